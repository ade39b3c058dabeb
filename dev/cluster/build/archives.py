"""Container images of one static program, written as OCI archives without an image builder."""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = 0
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Image:
    """The parts of an image: `blobs` by digest, without the manifest."""

    manifest: bytes
    blobs: dict[str, bytes]


def reference(program: Path) -> str:
    """Image reference for `program`. It changes with the program's bytes."""
    return f"localhost/{name(program)}"


def name(program: Path) -> str:
    """Image name for `program`, without a registry. It changes with the program's bytes."""
    return f"componentrun/{program.name}:{_tag(program)}"


def image(program: Path, reference: str) -> Image:
    """An image that contains and starts only `program`.

    The image contains its own name, so the same program under another name is a different image. The kubelet remembers
    pulled images by content: if it pulled an image under one name, it does not accept the same content loaded under
    another name.
    """
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    config = _json(
        {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "Labels": {"org.opencontainers.image.ref.name": reference}},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    compressed = gzip.compress(layer, 1, mtime=EPOCH)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(config, CONFIG),
        "layers": [_descriptor(compressed, LAYER)],
    }
    return Image(_json(manifest), {_digest(config): config, _digest(compressed): compressed})


def archive(program: Path, reference: str) -> bytes:
    """An OCI archive of the image of `program`, to be imported under the name `reference`."""
    built_image = image(program, reference)
    entry = _descriptor(built_image.manifest, MANIFEST) | {"annotations": {"io.containerd.image.name": reference}}
    blobs = built_image.blobs | {_digest(built_image.manifest): built_image.manifest}
    files = {f"blobs/{digest.replace(':', '/')}": content for digest, content in blobs.items()}
    files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = _json({"schemaVersion": 2, "manifests": [entry]})
    return _tar(files, mode=0o644)


def _tag(program: Path) -> str:
    with program.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12]


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, EPOCH
            tar.addfile(entry, io.BytesIO(content))
    return output.getvalue()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
