"""Puts signatures where cosign puts them in a registry without the referrers API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.registry.manifest import digest_of
from tests.signing import EMPTY, IMAGE, INDEX, bundle_manifest, index_of, simple_manifest, tag_of

if TYPE_CHECKING:
    from e2e.tenant.repository import Repository


def attach_bundles(repository: Repository, digest: str, *bundles: bytes) -> None:
    """Let an image have these bundles, and no others."""
    repository.upload(EMPTY)
    manifests = [bundle_manifest(bundle, digest) for bundle in bundles]
    for bundle, manifest in zip(bundles, manifests, strict=True):
        repository.upload(bundle)
        repository.put_manifest(digest_of(manifest), manifest, IMAGE)
    repository.put_manifest(tag_of(digest), index_of(manifests), INDEX)


def attach_simple(repository: Repository, digest: str, *signed: tuple[bytes, str]) -> None:
    """Let an image have these signatures of cosign 2, and no others."""
    for content in (EMPTY, *(payload for payload, _ in signed)):
        repository.upload(content)
    repository.put_manifest(f"{tag_of(digest)}.sig", simple_manifest(signed), IMAGE)
