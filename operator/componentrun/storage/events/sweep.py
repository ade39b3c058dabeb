"""Deletes events of ended runs after their retention period.

The index contains the time of a run's last event, so a sweep lists only expired runs. A run is deleted in this order:
the keys by which readers find it, its segments, oldest first, and last the key by which the sweeper finds it, so that
the next sweep continues after an interruption. Runs in progress are in another part of the index and are skipped,
unless their object is known to be deleted: then no collector will ever complete them. Entries of the last hour are
kept, because a collector may still be writing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError
from componentrun.storage.events.index import LENGTHS, EndedRun
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
    """Counts of deleted objects, or with `dry_run` of those that would be deleted."""

    runs: int = 0
    objects: int = 0
    """Number of their segments."""
    bytes: int = 0
    """Size of these segments in bytes."""

    def __add__(self, other: SweptEvents) -> SweptEvents:
        """Return the sum of both."""
        return SweptEvents(self.runs + other.runs, self.objects + other.objects, self.bytes + other.bytes)


async def sweep_events(
    store: Store,
    retention: Retention,
    *,
    existing: Collection[str] | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
) -> SweptEvents:
    """Delete the events of runs whose retention period has ended.

    Args:
        store: the Storage.
        retention: the retention periods.
        existing: uids of all runs whose objects exist; events of other runs that never ended are deleted as well. None:
        unknown, so they are kept.
        dry_run: delete nothing.
        now: the time; defaults to the current time.
    """
    now = now or datetime.now(UTC)
    total = SweptEvents()
    if retention.endless:
        return total
    index = store.layout.event_index
    own = {index.ended(name): retention.of(name) for name in retention.components}
    receivers = [*await store.folders(index.forward_marks()), *await store.folders(index.dead_letters())]
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
    """Runs that ended before it have expired."""
    entered: datetime
    """Runs that were added to the index since then are kept."""


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
    """Yield batches of keys of expired runs."""
    batch: list[str] = []
    for length in LENGTHS:
        folder = f"{prefix}{length}/"
        async for info in store.objects(folder, after=store.layout.event_index.ended_before(folder, before.ended)):
            if info.modified < before.entered:
                batch.append(info.key)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    yield batch


async def _remove_ended(store: Store, key: str, receivers: Sequence[str], *, dry_run: bool) -> SweptEvents:
    """Delete a run's events and its keys in the index; this key is deleted last.

    Args:
        store: the Storage.
        key: the key in the index.
        receivers: prefixes of the marks of receivers that have not received all events.
        dry_run: delete nothing.
    """
    run = EndedRun.of_key(key)
    if run is None:
        return SweptEvents()
    try:
        about = json.loads((await store.get(key)).data)
        names = str(about["component"]), str(about["configuration"])
    except MissingError:
        return SweptEvents()  # another sweep was faster
    except (ValueError, KeyError, TypeError) as error:
        raise PlatformError(
            f"the index entry {store.settings.where(key)} is invalid: {error}; expected JSON with "
            "component and configuration",
            advice="Delete it to continue.",
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
    """Delete the events of runs whose objects were deleted while no collector completed them."""
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
