"""Parent images that are like another one of the cluster's registry, but can't be used, or hardly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from componentrun.registry.manifest import digest_of
from tests.unit.builder.images import LAYER, MANIFEST, empty_layer

if TYPE_CHECKING:
    from e2e.tenant.repository import Repository

INDEX = "application/vnd.oci.image.index.v1+json"


def for_another_machine(repository: Repository, tag: str) -> str:
    """The image with another architecture in its configuration. Returns its digest."""
    return _changed(repository, tag, architecture="arm64")


def with_layers(repository: Repository, tag: str, count: int) -> str:
    """The image with empty layers up to this number. Returns its digest."""
    return _changed(repository, tag, count=count)


def index_of(repository: Repository, digest: str, *architectures: str) -> str:
    """An index that names the image for each of these architectures. Returns its digest."""
    manifest, media_type = repository.manifest(digest)
    size = len(json.dumps(manifest))
    entries = [
        {"mediaType": media_type, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": name}}
        for name in architectures
    ]
    content = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return repository.put_manifest("index", json.dumps(content).encode(), INDEX)


def _changed(repository: Repository, tag: str, *, count: int = 0, **changes: Any) -> str:
    manifest, _ = repository.manifest(tag)
    config = json.loads(repository.blob(manifest["config"]["digest"])) | changes
    missing = max(0, count - len(manifest["layers"]))
    layer, diff_id = empty_layer()
    if missing:
        repository.upload(layer)
    config["rootfs"]["diff_ids"] += [diff_id] * missing
    config.pop("history", None)
    content = json.dumps(config).encode()
    repository.upload(content)
    manifest["layers"] += [{"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)}] * missing
    manifest["config"] |= {"digest": digest_of(content), "size": len(content)}
    return repository.put_manifest(
        f"changed-{digest_of(content)[7:19]}", json.dumps(manifest | {"mediaType": MANIFEST}).encode(), MANIFEST
    )
