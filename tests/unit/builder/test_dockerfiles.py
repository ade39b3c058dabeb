"""What BuildKit, or other people's code instead of it, has left in the folder of the image."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.builder.dockerfiles import read_layout
from componentrun.core.builds.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLATFORM = "linux/amd64"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def store(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def layout(folder: Path, layers: int = 2, **changes: Any) -> dict[str, Any]:
    """Write an image. Returns the descriptor of its manifest."""
    config = store(folder, json.dumps({"os": "linux", "architecture": "amd64"}).encode(), "config")
    content = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [store(folder, f"layer {number}".encode(), LAYER) for number in range(layers)],
        **changes,
    }
    entry = store(folder, json.dumps(content).encode(), MANIFEST)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return entry


def test_an_image(tmp_path: Path) -> None:
    entry = layout(tmp_path)
    found = read_layout(tmp_path, PLATFORM)
    assert found.digest == entry["digest"]
    assert len(found.blobs) == 3
    assert all(blob.path.stat().st_size == blob.size for blob in found.blobs)


def replace_by_link(folder: Path) -> None:
    """A layer becomes a link to a file outside the folder with the same content."""
    path = next((folder / "blobs/sha256").iterdir())
    outside = folder.parent / "outside"
    path.rename(outside)
    path.symlink_to(outside)


def replace_folder_by_link(folder: Path) -> None:
    (folder / "blobs").rename(folder.parent / "blobs")
    (folder / "blobs").symlink_to(folder.parent / "blobs")


def change_content(folder: Path) -> None:
    for path in (folder / "blobs/sha256").iterdir():
        if path.read_bytes() == b"layer 0":
            path.write_bytes(b"layer X")


def index_is_link(folder: Path) -> None:
    (folder / "index.json").rename(folder.parent / "index.json")
    (folder / "index.json").symlink_to(folder.parent / "index.json")


def no_index(folder: Path) -> None:
    (folder / "index.json").unlink()


def path_as_digest(folder: Path) -> None:
    entry = {"mediaType": MANIFEST, "digest": "sha256:../../../outside", "size": 1}
    (folder / "index.json").write_text(json.dumps({"manifests": [entry]}))


@pytest.mark.parametrize(
    "spoil", [replace_by_link, replace_folder_by_link, change_content, index_is_link, no_index, path_as_digest]
)
def test_what_is_not_an_image_in_the_folder_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    layout(folder)
    spoil(folder)
    with pytest.raises(BuildError, match="not an image"):
        read_layout(folder, PLATFORM)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": 128}, "128 layers"),
        ({"mediaType": "application/vnd.oci.image.index.v1+json"}, "not an OCI image"),
    ],
)
def test_images_that_nodes_or_registries_do_not_take(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    layout(tmp_path, **changes)
    with pytest.raises(BuildError, match=words):
        read_layout(tmp_path, PLATFORM)


def test_an_image_for_another_platform(tmp_path: Path) -> None:
    layout(tmp_path)
    with pytest.raises(BuildError, match="expected linux/arm64"):
        read_layout(tmp_path, "linux/arm64")
