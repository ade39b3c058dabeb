"""Parent images, and builds on top of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

from componentrun.builder.folder import entries_of
from componentrun.builder.pushing import Pushed, layer_file, pull_parent, push
from componentrun.core.builds.image import Changes
from componentrun.registry.client import RegistryClient
from componentrun.registry.manifest import digest_of
from componentrun.registry.upload import RegistryUploader

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.settings import RegistrySettings

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CHANGES = Changes(("python3", "/code/main.py"), "/code", (("PYTHONPATH", "/code/.packages"),))


def parent_layer(text: str = "parent") -> tuple[bytes, str]:
    """A blob, and its digest before compression."""
    content = text.encode() * 1000
    return gzip.compress(content, mtime=0), f"sha256:{hashlib.sha256(content).hexdigest()}"


def empty_layer() -> tuple[bytes, str]:
    """The same for a layer without files, which a container runtime can unpack."""
    out = io.BytesIO()
    tarfile.open(fileobj=out, mode="w").close()
    return gzip.compress(out.getvalue(), mtime=0), f"sha256:{hashlib.sha256(out.getvalue()).hexdigest()}"


async def push_parent(
    settings: RegistrySettings,
    repository: Repository,
    login: Login | None = None,
    layer: tuple[bytes, str] | None = None,
) -> str:
    """Push a parent image of one layer. Returns its digest."""
    blob, diff_id = layer or parent_layer()
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created_by": "parent"}],
        }
    ).encode()
    async with RegistryUploader(settings, repository, login) as uploader:
        for content in (blob, config):
            await uploader.upload_blob(digest_of(content), content)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": digest_of(blob), "size": len(blob)}],
        }
        return await uploader.put_manifest("3.12", json.dumps(manifest).encode(), MANIFEST)


def write_code(folder: Path, text: str = "print(1)") -> Path:
    """A folder with code and dependencies."""
    (folder / ".packages").mkdir(parents=True)
    (folder / ".packages" / "six.py").write_text("six = 6\n" * 1000)
    (folder / "main.py").write_text(text)
    return folder


async def build(
    settings: RegistrySettings,
    parent: tuple[Repository, str],
    target: Repository,
    code: Path,
    tag: str,
    login: Login | None = None,
    parent_settings: RegistrySettings | None = None,
) -> Pushed:
    """Push an image with a layer of dependencies and one of code."""
    logins = () if login is None else (login,)
    is_local = parent[0].host == target.host
    async with (
        RegistryClient(parent_settings or settings) as client,
        RegistryUploader(settings, target, login, mounted=parent[0] if is_local else None) as uploader,
    ):
        base = await pull_parent(client, *parent, "linux/amd64", logins)
        with ExitStack() as stack:
            dependencies = entries_of(code, ".packages")
            rest = entries_of(code, without=".packages")
            layers = [
                stack.enter_context(layer_file(dependencies, "/code", "componentrun: dependencies", hides_below=True)),
                stack.enter_context(layer_file(rest, "/code", "componentrun: code", hides_below=False)),
            ]
            return await push(uploader, client, base, layers, CHANGES, tag)
