"""Deletes versions that no listing of objects shows: deleted and overwritten objects in a bucket with versioning.

below data/   deleted objects only: files may refer to overwritten versions of existing objects
elsewhere     all noncurrent versions: earlier versions of documents are never read
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from componentrun.storage.store.keys import RESERVED_AREAS, SWEEP_NOTES
from componentrun.storage.store.objectversions import ObjectVersion, Versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.storage.store.connection import Store

__all__ = ["delete_hidden", "hidden"]

_CHUNK: Final = 1000


async def delete_hidden(store: Store, *, dry_run: bool) -> int:
    """Delete noncurrent versions permanently; return their number. Does nothing in a bucket without versioning.

    Args:
        store: the Storage.
        dry_run: only count them.

    Raises:
        PlatformError: the store refused.
        TransientError: the store is away.
    """
    versions = Versions(store.settings)
    if not await versions.kept():
        return 0
    root = store.layout.data_root().removesuffix("data/")
    count = 0
    for area in sorted(area for area in RESERVED_AREAS if area != SWEEP_NOTES):
        async for chunk in versions.chunks(f"{root}{area}/"):
            targets = hidden(chunk, is_data=area == "data")
            count += len(targets)
            for start in range(0, 0 if dry_run else len(targets), _CHUNK):
                await versions.delete(targets[start : start + _CHUNK])
    return count


def hidden(listing: Iterable[ObjectVersion], *, is_data: bool) -> list[ObjectVersion]:
    """Return the versions below an area that may be deleted. Pure.

    Args:
        listing: all versions of some keys, by key.
        is_data: whether these are uploads of attempts.
    """
    targets: list[ObjectVersion] = []
    for _, group in groupby(listing, key=lambda item: item.key):
        versions = list(group)
        if any(item.latest and item.marker for item in versions):
            targets += versions
        elif not is_data:
            targets += [item for item in versions if not item.latest]
    return targets
