"""Merges the segments of one run while it is in progress, and the rest at its end.

A collector that writes a segment relies on the store to refuse a number that another collector has used. Merging
deletes segments, and with them this protection. So two rules hold, which compare durations only, never the clocks of
two machines:

- A collector deletes segments only if it listed the run at least `LEASE_SECONDS` ago.
- A collector whose previous segment is older than that, or that has written none yet, checks after the write whether
  its number was merged by another one (`EventWriter`).

A collector that another one has replaced wrote its last segment before the other one listed the run. So as long as it
writes without checking, the other one does not delete.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from componentrun.collector.events.budget import MemoryBudget
from componentrun.storage.events.merging import merge_segments
from componentrun.storage.events.segments import list_events
from componentrun.storage.store.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from componentrun.storage.events.segments import RunObjects
    from componentrun.storage.store.connection import Store

__all__ = ["LEASE_SECONDS", "MergeGate", "RunMerger", "clock", "sleep_until"]

LEASE_SECONDS: Final = 3.0
"""Longer than the pause between two segments of a component that prints, shorter than most runs."""
_SEGMENTS: Final = 256
"""Number of segments from which on a run in progress is merged: less than a page of a listing."""
_HELD_BYTES: Final = 32 * 1024
"""Bytes of segments that are kept in memory until they are merged. Most runs have less, so nothing is read back."""
_LISTINGS: Final = 3
_MERGES: Final = 4
_MERGES_OF_STORE: Final = 2


def clock() -> float:
    """Return the time of the event loop in seconds."""
    return asyncio.get_running_loop().time()


async def sleep_until(time: float) -> None:
    """Wait until a time of `clock`."""
    await asyncio.sleep(max(time - clock(), 0.0))


class MergeGate:
    """Limits how many runs are merged at the same time, as each takes some MiB of memory.

    One store has a part of the places only, so that one that does not respond does not stop the merges of others.
    """

    def __init__(self, total: int = _MERGES, each: int = _MERGES_OF_STORE) -> None:
        """Allow this many merges in total, and in each store."""
        self._total, self._each = asyncio.Semaphore(total), each
        self._of_stores: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, store: Store) -> AsyncIterator[None]:
        """Wait for a place, and keep it while the context is active."""
        own = self._of_stores.setdefault(store.settings.where(), asyncio.Semaphore(self._each))
        async with own, self._total:
            yield


class RunMerger:
    """Knows which segments of a run are to be merged."""

    def __init__(self, run: str, gate: MergeGate, memory: MemoryBudget | None = None) -> None:
        """Merge this run, by its uid; `gate` limits how many runs are merged at the same time.

        Its segments are kept in `memory` until they are merged, if there is room.
        """
        self._run, self._gate, self._memory = run, gate, memory or MemoryBudget()
        self._segments: list[int] = []
        """Numbers of the first events of segments that are not merged."""
        self._obsolete: list[int] = []
        """The same of segments that are merged and still to be deleted."""
        self._held: dict[int, bytes] = {}
        self._held_bytes = 0
        self._listed_at = 0.0
        """When the listing of `listed` ended."""
        self._due = _SEGMENTS

    def listed(self, found: RunObjects) -> None:
        """Start with the objects of a listing that just ended."""
        self._listed_at = clock()
        self._segments = [item.first_seq for item in found.segments]
        self._obsolete = [item.first_seq for item in found.obsolete]
        for first in self._held.keys() - set(self._segments):
            self._drop(first)

    def written(self, first_seq: int, data: bytes) -> None:
        """Add a segment that was written, with its content."""
        self._segments.append(first_seq)
        if self._held_bytes + len(data) <= _HELD_BYTES and self._memory.keep(len(data)):
            self._held[first_seq] = data
            self._held_bytes += len(data)

    @property
    def is_due(self) -> bool:
        """Whether there are enough segments to merge them before the run's end."""
        return len(self._segments) >= self._due

    async def merge(self, store: Store) -> None:
        """Merge all segments that are written, and delete them. Repeatable after an error.

        Raises:
            ComponentRunError: the store failed. No event is lost.
        """
        self._due = len(self._segments) + _SEGMENTS
        for attempt in range(_LISTINGS):
            try:
                async with self._place(store):
                    await self._create(store)
                break
            except MissingError:
                # Another collector has merged them.
                if attempt == _LISTINGS - 1:
                    raise
                self.listed(await list_events(store, self._run))
        if self._obsolete:
            await sleep_until(self._listed_at + LEASE_SECONDS)
            await store.delete([store.layout.segment(self._run, first) for first in self._obsolete])
            self._obsolete = []
        self._due = _SEGMENTS

    def release(self) -> None:
        """Release the memory of segments that are not merged. A merge then reads them from the store."""
        for first in tuple(self._held):
            self._drop(first)

    def _drop(self, first: int) -> None:
        size = len(self._held.pop(first, b""))
        self._held_bytes -= size
        self._memory.drop(size)

    def _place(self, store: Store) -> AbstractAsyncContextManager[None]:
        """A place of the gate; segments that are all in memory already need none."""
        return nullcontext() if self._held.keys() >= set(self._segments) else self._gate.place(store)

    async def _create(self, store: Store) -> None:
        async for merged in merge_segments(store, self._run, tuple(self._segments), self._held):
            self._obsolete += merged.segments
            del self._segments[: len(merged.segments)]
            for first in merged.segments:
                self._drop(first)
