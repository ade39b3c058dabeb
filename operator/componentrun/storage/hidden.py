"""What no listing of objects shows, in a bucket that keeps versions: what was deleted or written over.

    below data/   what was deleted; and what lies under the key of a slice beside the version that its table names
    elsewhere     whatever is not the newest: nobody reads an earlier version of a document

Below `data/`, what nobody names yet is left alone however often it was written over: it may be published right now.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from componentrun.storage.layout import RESERVED_AREAS, SWEEP_NOTES
from componentrun.storage.versions import ObjectVersion, Versions, written_over

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping

    from componentrun.storage.connection import Store

    Pins = Callable[[Collection[str]], Awaitable[Mapping[str, str | None]]]
    """Key to version of those of the slices' keys that something names; version None: it names none."""

__all__ = ["delete_hidden", "hidden"]

_CHUNK: Final = 1000
_BATCH: Final = 20_000
"""Versions for which the pointers are read once: all of them are, and there may be many."""


async def delete_hidden(store: Store, pins: Pins, *, dry_run: bool) -> int:
    """Delete for good what was deleted or written over; how many versions. Nothing where the bucket keeps none.

    Args:
        store: the Storage.
        pins: which versions are named. Asked behind the listing, so a slice that was published meanwhile is known.
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
        is_data = area == "data"
        async for batch in _candidates(versions, f"{root}{area}/"):
            pinned = await pins({item.key for item in batch}) if is_data else {}
            doomed = hidden(batch, pinned, is_data=is_data)
            count += len(doomed)
            for start in range(0, 0 if dry_run else len(doomed), _CHUNK):
                await versions.delete(doomed[start : start + _CHUNK])
    return count


async def _candidates(versions: Versions, prefix: str) -> AsyncIterator[list[ObjectVersion]]:
    """What belongs to keys that have more than one version, or a marker; many at a time, by their keys."""
    batch: list[ObjectVersion] = []
    async for chunk in versions.chunks(prefix):
        for _, group in groupby(chunk, key=lambda item: item.key):
            found = list(group)
            if len(found) > 1 or found[0].marker:
                batch += found
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def hidden(found: Iterable[ObjectVersion], pinned: Mapping[str, str | None], *, is_data: bool) -> list[ObjectVersion]:
    """Which of the versions below an area may go. Pure.

    Args:
        found: all of them.
        pinned: key to version of each slice that something names; None: it names none.
        is_data: whether these are slices.
    """
    doomed: list[ObjectVersion] = []
    for key, group in groupby(sorted(found, key=lambda item: item.key), key=lambda item: item.key):
        versions = list(group)
        if pinned.get(key) is not None:
            doomed += written_over(versions, pinned)
        elif any(item.latest and item.marker for item in versions) and key not in pinned:
            doomed += versions
        elif not is_data:
            doomed += [item for item in versions if not item.latest]
    return doomed
