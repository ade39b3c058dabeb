"""cosign, and what it leaves in a registry.

`python -m tests.integration.registry.cosign` makes tests/golden/cosign.json anew. cosign takes four minutes to
build, so tests use it only if `python -m dev.cluster build cosign` was called before.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from dev.cluster.build import builds
from tests.integration.registry.realregistry import PASSWORD, USER, Authority, RealRegistry
from tests.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

GOLDEN: Final = Path(__file__).parents[2] / "golden/cosign.json"
NO_LOG: Final = ("--use-signing-config=false", "--tlog-upload=false")
OLD: Final = "--new-bundle-format=false"
"""Signs as cosign 2 does."""


@dataclass(frozen=True)
class Cosign:
    """cosign, which may write to one registry."""

    folder: Path
    """For its keys."""
    registry: RealRegistry

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        authorization = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (self.folder / "config.json").write_text(json.dumps({"auths": {self.registry.host: {"auth": authorization}}}))
        environment = os.environ | {
            "COSIGN_PASSWORD": "",
            "DOCKER_CONFIG": str(self.folder),
            "SSL_CERT_FILE": str(self.registry.authority.certificate_file),
        }
        program = builds.build(["cosign"]) / "cosign"
        return subprocess.run(
            [program, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def must(self, *arguments: str) -> str:
        """Run it; it must succeed. Returns its output."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def import_key(self, name: str, signer: Signer) -> None:
        """Give it the key pair of a signer."""
        pem = signer.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / f"{name}.pem").write_bytes(pem)
        self.must("import-key-pair", "--key", f"{name}.pem", "--output-key-prefix", name, "--yes")

    def sign(self, name: str, image: str, *options: str) -> None:
        """Sign an image with a key."""
        self.must("sign", "--key", f"{name}.key", *NO_LOG, *options, "--yes", image)

    def accepts(self, name: str, image: str, *options: str) -> bool:
        """Whether it finds a valid signature of an image."""
        return self.run("verify", "--key", f"{name}.pub", "--insecure-ignore-tlog", *options, image).returncode == 0


def signers() -> dict[str, Signer]:
    """A key pair of each kind."""
    return {
        "p256": Signer(),
        "p384": Signer(ec.generate_private_key(ec.SECP384R1())),  # cosign verifies SHA-256, and signs SHA-384
        "rsa": Signer(rsa.generate_private_key(65537, 3072)),
        "ed25519": Signer(ed25519.Ed25519PrivateKey.generate()),
    }


async def record(folder: Path) -> dict[str, object]:
    """What cosign leaves in a registry: for each kind of key a repository with a bundle, and one as of cosign 2."""
    registry = RealRegistry(folder, Authority.create(folder))
    registry.start()
    try:
        cosign = Cosign(folder, registry)
        version = re.search(r"GitVersion:\s+(\S+)", cosign.must("version"))
        images: dict[str, dict[str, str]] = {}
        for name, signer in signers().items():
            cosign.import_key(name, signer)
            for form, options in {"bundle": (), "simple": (OLD,)}.items():
                path = f"{name}/{form}"
                digest = await registry.push("1.0", path, path)
                cosign.sign(name, f"{registry.host}/{path}@{digest}", *options)
                images[path] = {"digest": digest, "key": signer.public}
        await _attest(cosign, images)
        return {"cosign": version[1] if version else "unknown", "images": images, **_contents(folder / "data")}
    finally:
        registry.stop()


async def _attest(cosign: Cosign, images: dict[str, dict[str, str]]) -> None:
    """An image without a signature, but with a list of its parts that the key has signed."""
    (cosign.folder / "parts.json").write_text('{"spdxVersion": "SPDX-2.3"}')
    digest = await cosign.registry.push("1.0", "attested", "p256/attested")
    image = f"{cosign.registry.host}/p256/attested@{digest}"
    cosign.must(
        "attest", "--key", "p256.key", *NO_LOG, "--type", "spdxjson", "--predicate", "parts.json", "--yes", image
    )
    images["p256/attested"] = {"digest": digest, "key": images["p256/bundle"]["key"]}


def _contents(data: Path) -> Mapping[str, object]:
    """All tags by repository, and all contents by digest."""
    root = data / "docker/registry/v2"
    tags: dict[str, dict[str, str]] = {}
    for link in sorted((root / "repositories").rglob("_manifests/tags/*/current/link")):
        path = str(link.parents[4].relative_to(root / "repositories"))
        tags.setdefault(path, {})[link.parents[1].name] = link.read_text()
    contents = {f"sha256:{file.parent.name}": file.read_text() for file in sorted((root / "blobs").rglob("data"))}
    return {"tags": tags, "contents": contents}


def main() -> None:
    """Make the golden file anew."""
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(asyncio.run(record(Path(folder))), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
