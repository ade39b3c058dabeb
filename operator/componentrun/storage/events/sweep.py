"""Deleting the events of runs that are over, when they have been kept for long enough.

The index says when a run's last event was, so a sweep lists only what has to go. A run goes in this order: the keys by
which others find it, its segments, the oldest first, and last the key by which the sweeper does; so whoever dies in
between leaves what the next sweep goes on with. A run that is still going is in another part of the index and not
looked at, unless its object is known to be gone: then no collector will ever end it. What was entered in the index in
the last hour is left alone, because a collector may still be at it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError
from componentrun.storage.events.index import EndedRun
from componentrun.storage.events.retention import LEAST_KEEP
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from componentrun.storage.events.retention import Retention
    from componentrun.storage.store.connection import ObjectInfo, Store

__all__ = ["SweptEvents", "sweep_events"]

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class SweptEvents:
    """What was deleted, or would be."""

    runs: int = 0
    objects: int = 0
    """Segments of these."""
    bytes: int = 0
    """In these segments."""

    def __add__(self, other: SweptEvents) -> SweptEvents:
        """Both together."""
        return SweptEvents(self.runs + other.runs, self.objects + other.objects, self.bytes + other.bytes)


async def sweep_events(
    store: Store,
    retention: Retention,
    *,
    existing: Collection[str] | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
) -> SweptEvents:
    """Delete the events of runs whose last one was longer ago than events are kept.

    Args:
        store: the Storage.
        retention: how long they are kept.
        existing: uids of all runs whose objects exist; what is left of others that never ended goes, too. None: nobody
            knows, so it stays.
        dry_run: delete nothing.
        now: the time; None: the clock's.
    """
    now = now or datetime.now(UTC)
    total = SweptEvents()
    if retention.endless:
        return total
    index = store.layout.event_index
    own = {index.ended(name): retention.of(name) for name in retention.components}
    receivers = [*await store.folders(index.unsent()), *await store.folders(index.dead_letters())]
    for prefix in await store.folders(index.components()):
        keep = own.get(prefix, retention.of(""))
        if keep is not None:
            before = _Times(now - keep, now - LEAST_KEEP)
            total += await _sweep_ended(store, prefix, before, receivers, dry_run=dry_run)
    if existing is not None:
        total += await _sweep_open(store, retention, existing, now, dry_run=dry_run)
    return total


@dataclass(frozen=True, slots=True)
class _Times:
    ended: datetime
    """Runs that ended before it are due."""
    entered: datetime
    """Those that were entered in the index since then wait."""


async def _sweep_ended(
    store: Store, prefix: str, before: _Times, receivers: Sequence[str], *, dry_run: bool
) -> SweptEvents:
    total = SweptEvents()

    async def remove(key: str) -> SweptEvents:
        return await _remove_ended(store, key, receivers, dry_run=dry_run)

    async for keys in _batches(store, prefix, before):
        total = sum(await gather_bounded(remove, keys), total)
    return total


async def _batches(store: Store, prefix: str, before: _Times) -> AsyncIterator[list[str]]:
    """Keys of ended runs that are due, some at a time."""
    batch: list[str] = []
    async for info in store.objects(prefix, after=store.layout.event_index.ended_before(prefix, before.ended)):
        if info.modified < before.entered:
            batch.append(info.key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


async def _remove_ended(store: Store, key: str, receivers: Sequence[str], *, dry_run: bool) -> SweptEvents:
    """Delete a run's events, and its keys in the index, of which this is the one that goes last.

    Args:
        store: the Storage.
        key: that one.
        receivers: prefixes of marks of those who have not got all of its events, and now never will.
        dry_run: delete nothing.
    """
    run = EndedRun.of_key(key)
    if run is None:
        return SweptEvents()
    try:
        about = json.loads((await store.get(key)).data)
        names = str(about["component"]), str(about["configuration"])
    except MissingError:
        return SweptEvents()  # another sweep was quicker
    except (ValueError, KeyError, TypeError) as error:
        raise PlatformError(
            f"the index entry {store.settings.where(key)} is none: {error}; expected JSON with component and "
            "configuration. Delete it to go on"
        ) from error
    segments = await _segments(store, run.run)
    if not dry_run:
        index = store.layout.event_index
        others = [item for item in index.ended_run(run, *names) if item != key]
        await store.delete([*others, index.open_run(*names, run.run), *(prefix + run.run for prefix in receivers)])
        await store.delete([info.key for info in segments])
        await store.delete([key])
    return _counted(segments)


async def _sweep_open(
    store: Store, retention: Retention, existing: Collection[str], now: datetime, *, dry_run: bool
) -> SweptEvents:
    """What is left of runs that were deleted while nobody collected their events."""
    index = store.layout.event_index
    own = {index.open(name): retention.of(name) for name in retention.components}

    async def remove(entry: tuple[ObjectInfo, str, datetime]) -> SweptEvents:
        info, run, before = entry
        segments = await _segments(store, run)
        if max(item.modified for item in (info, *segments)) >= before:
            return SweptEvents()
        if not dry_run:
            await store.delete([item.key for item in segments])
            await store.delete([info.key])
        return _counted(segments)

    entries = []
    for folder in await store.folders(index.open()):
        keep = own.get(folder, retention.of(""))
        async for info in store.objects(folder):
            run = index.open_run_of(info.key)
            if run is not None and keep is not None and run not in existing:
                entries.append((info, run, now - keep))
    return sum(await gather_bounded(remove, entries), SweptEvents())


async def _segments(store: Store, run: str) -> list[ObjectInfo]:
    return [info async for info in store.objects(store.layout.events(run))]


def _counted(segments: Sequence[ObjectInfo]) -> SweptEvents:
    return SweptEvents(1, len(segments), sum(info.size for info in segments))
