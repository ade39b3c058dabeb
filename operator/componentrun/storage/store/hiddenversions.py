"""What no listing of objects shows, in a bucket that keeps versions: what was deleted or written over.

below data/   what was deleted. What is there may be named by its version, also where it was written over.
elsewhere     whatever is not the newest: nobody reads an earlier version of a document
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
    """Delete for good what was deleted or written over; how many versions. Nothing where the bucket keeps none.

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
            doomed = hidden(chunk, is_data=area == "data")
            count += len(doomed)
            for start in range(0, 0 if dry_run else len(doomed), _CHUNK):
                await versions.delete(doomed[start : start + _CHUNK])
    return count


def hidden(found: Iterable[ObjectVersion], *, is_data: bool) -> list[ObjectVersion]:
    """Which of the versions below an area may go. Pure.

    Args:
        found: all of some keys, by their keys.
        is_data: whether these are what attempts uploaded.
    """
    doomed: list[ObjectVersion] = []
    for _, group in groupby(found, key=lambda item: item.key):
        versions = list(group)
        if any(item.latest and item.marker for item in versions):
            doomed += versions
        elif not is_data:
            doomed += [item for item in versions if not item.latest]
    return doomed
