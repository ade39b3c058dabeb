"""Manifests of images: digests, platforms and layers.

https://github.com/opencontainers/image-spec
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from componentrun.core.images.reference import DIGEST
from componentrun.registry import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["INDEX_TYPES", "MANIFEST_TYPES", "Descriptor", "Manifest", "digest_of", "read_manifest"]

INDEX_TYPES: Final = frozenset({
    "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
})  # fmt: skip
MANIFEST_TYPES: Final = (
    *sorted(INDEX_TYPES),
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Media types that a container runtime can pull."""


def digest_of(content: bytes) -> str:
    """The digest of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest refers to."""

    digest: str
    size: int
    media_type: str
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    """`os/architecture`; empty if it is not given."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest, or an index of manifests, whose digest was verified."""

    digest: str
    media_type: str
    is_index: bool
    children: tuple[Descriptor, ...]
    """Manifests of an index, or layers of an image."""
    config: Descriptor | None
    """Configuration of an image; None for an index."""
    content: bytes = field(default=b"", repr=False)
    """The manifest as the registry has it."""


def read_manifest(body: bytes, digest: str, media_type: str, image: str) -> Manifest:
    """Parse a manifest whose digest was verified.

    Args:
        body: the content.
        digest: its digest.
        media_type: media type of the response.
        image: name of the image, for messages.

    Raises:
        ImageError: it is no manifest.
    """
    host = image.partition("/")[0]
    try:
        content = json.loads(body)
        kind = str(content.get("mediaType") or media_type)
        is_index = kind in INDEX_TYPES or ("manifests" in content and "layers" not in content)
        children = tuple(_descriptor(item) for item in content["manifests" if is_index else "layers"])
        config = None if is_index else _descriptor(content["config"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise errors.not_a_registry(host, f"the manifest of `{image}` is not valid") from error
    return Manifest(digest, kind, is_index, children, config, body)


def _descriptor(item: Mapping[str, Any]) -> Descriptor:
    platform = item.get("platform") or {}
    digest = str(item["digest"])
    if not DIGEST.fullmatch(digest):
        raise ValueError(digest)
    return Descriptor(
        digest,
        int(item["size"]),
        str(item["mediaType"]),
        str(item.get("artifactType") or ""),
        {str(key): str(value) for key, value in (item.get("annotations") or {}).items()},
        f"{platform['os']}/{platform['architecture']}" if platform else "",
    )
