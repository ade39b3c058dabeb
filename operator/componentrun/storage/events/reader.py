"""Reads a run's events in order, starting after any number, each once.

Objects are fetched before they are needed, a few at a time. If one was merged between its listing and its request, the
run is listed again, and reading goes on with the next number.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.storage.events.segments import (
    MAX_SEGMENT_EVENTS,
    decode,
    list_events,
    open_merged,
    read_segment,
)
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
    from datetime import datetime

    from componentrun.storage.events.blocks import BlockEntry
    from componentrun.storage.events.events import Event, Placed, Segment
    from componentrun.storage.events.segments import EventObject, MergedObject, RunObjects
    from componentrun.storage.store.connection import Store

__all__ = ["EventReader", "read_backwards", "read_events"]

_AHEAD: Final = 8
"""Number of requests that are sent before their result is needed."""
_SPAN_BYTES: Final = 256 * 1024
"""Bytes of neighbouring blocks that one request reads."""

Item = TypeVar("Item")


class EventReader:
    """Reads a run's events in order, now and later, without reading segments twice."""

    def __init__(
        self, store: Store, run: str, since_seq: int = 0, *, is_segment_end: bool = False, ahead: int = _AHEAD
    ) -> None:
        """Read the events after `since_seq`.

        Args:
            store: the Storage.
            run: uid.
            since_seq: number of the event to start after.
            is_segment_end: whether a segment is known to end with that event.
            ahead: number of requests to send before their result is needed; 0 if reading may end early.
        """
        self._store, self._run, self._ahead = store, run, ahead
        self._seen = since_seq
        self._at_border = since_seq == 0 or is_segment_end

    @property
    def seen(self) -> int:
        """Number of the last event that was read."""
        return self._seen

    async def read(self) -> AsyncIterator[Event]:
        """Yield existing events that were not read yet."""
        async for found in self.read_placed():
            yield found.event

    async def read_placed(self) -> AsyncGenerator[Placed]:
        """Yield the same events with their positions in time."""
        async with aclosing(self._segments()) as segments:
            async for segment in segments:
                for found in segment.placed:
                    if found.event.seq > self._seen:
                        self._seen = found.event.seq
                        yield found

    async def read_segments(self) -> AsyncGenerator[Segment]:
        """Yield segments with unread events; the first one may also contain others."""
        async with aclosing(self._segments()) as segments:
            async for segment in segments:
                self._seen = max(self._seen, segment.next_seq - 1)
                yield segment

    async def _segments(self) -> AsyncGenerator[Segment]:
        """Yield segments with unread events. The caller moves `seen`."""
        listed_again = -1
        """Number of the last read event when the run was listed again."""
        while True:
            is_done = True
            try:
                async with aclosing(_read_all(self._store, await self._listed(), self._seen, self._ahead)) as segments:
                    async for segment in segments:
                        if segment.first_seq > self._seen + 1 and listed_again != self._seen:
                            # Merged while it was listed; if the gap remains, these events are expired.
                            is_done, listed_again = False, self._seen
                            break
                        self._at_border = False
                        yield segment
                        self._at_border = self._seen >= segment.next_seq - 1
            except MissingError:
                if listed_again == self._seen:
                    raise
                is_done, listed_again = False, self._seen
            if is_done:
                return

    async def _listed(self) -> list[EventObject]:
        """Return the objects with unread events.

        At the end of a segment, the next one starts with the next number, so the listing begins there. In the middle of
        a segment, its key has a number that is smaller by at most MAX_SEGMENT_EVENTS.
        """
        back = 0 if self._at_border else MAX_SEGMENT_EVENTS
        return (await list_events(self._store, self._run, max(self._seen - back, 0))).after(self._seen)


async def read_events(store: Store, run: str, since_seq: int = 0) -> AsyncIterator[Event]:
    """Yield all existing events after `since_seq`, in order."""
    async for event in EventReader(store, run, since_seq).read():
        yield event


@dataclass(frozen=True, slots=True)
class _Span:
    """What one request reads: an object, or neighbouring blocks of a merged one."""

    item: EventObject
    merged: MergedObject | None = None
    entries: tuple[BlockEntry, ...] = ()

    async def fetch(self, store: Store) -> list[bytes]:
        """Return the blocks."""
        if self.merged is None:
            return [(await store.get(self.item.key)).data]
        cached = [self.merged.cached(entry) for entry in self.entries]
        if None not in cached:
            return [data for data in cached if data is not None]
        start = self.entries[0].offset
        data = await store.read_range(self.item.key, start, self.entries[-1].end)
        return [data[entry.offset - start : entry.end - start] for entry in self.entries]


async def _read_all(store: Store, items: Sequence[EventObject], seen: int, ahead: int) -> AsyncGenerator[Segment]:
    """Yield the segments of these objects that end after an event."""
    tasks: deque[tuple[_Span, asyncio.Task[list[bytes]]]] = deque()
    try:
        async for span in _spans(store, items, seen):
            tasks.append((span, asyncio.create_task(span.fetch(store))))
            if len(tasks) > ahead:
                taken, task = tasks.popleft()
                for data in await task:
                    yield decode(store, taken.item.key, data)
        while tasks:
            taken, task = tasks.popleft()
            for data in await task:
                yield decode(store, taken.item.key, data)
    finally:
        for _, task in tasks:
            task.cancel()
        await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)


async def _spans(store: Store, items: Sequence[EventObject], seen: int) -> AsyncIterator[_Span]:
    for item in items:
        if not item.is_merged:
            yield _Span(item)
            continue
        merged = await open_merged(store, item)
        span: list[BlockEntry] = []
        for entry in merged.entries:
            if entry.last_seq <= seen:
                continue
            if span and entry.end - span[0].offset > _SPAN_BYTES:
                yield _Span(item, merged, tuple(span))
                span = []
            span.append(entry)
        if span:
            yield _Span(item, merged, tuple(span))


async def read_backwards(
    store: Store, run: str, *, latest: datetime | None = None, types: frozenset[str] = frozenset()
) -> AsyncGenerator[Segment]:
    """Yield the segments of a run, the last one first.

    If the run is merged in the meantime, a segment may also contain events that were yielded before.

    Args:
        store: the Storage.
        run: uid.
        latest: skip blocks with only events after this time.
        types: skip blocks without an event of these types; empty: all types.
    """
    before: int | None = None
    is_again = False
    while True:
        try:
            found = await list_events(store, run)
            async with aclosing(_backwards(store, found, before, latest, types)) as segments:
                async for segment in segments:
                    before, is_again = segment.first_seq, False
                    yield segment
        except MissingError:
            if is_again:
                return  # swept, with all segments before it
            is_again = True
        else:
            return


async def _backwards(
    store: Store, found: RunObjects, before: int | None, latest: datetime | None, types: frozenset[str]
) -> AsyncGenerator[Segment]:
    segments = [item for item in reversed(found.segments) if before is None or item.first_seq < before]
    async for segment in _in_batches(lambda item: read_segment(store, item.key), segments):
        yield segment
    for item in reversed(found.merged):
        if before is not None and item.first_seq >= before:
            continue
        merged = await open_merged(store, item)
        chosen = [
            entry
            for previous, entry in zip((None, *merged.entries), merged.entries, strict=False)
            if (before is None or entry.first_seq < before) and _may_match(previous, entry, latest, types)
        ]
        async for segment in _in_batches(partial(merged.read, store), chosen[::-1]):
            yield segment


def _may_match(previous: BlockEntry | None, entry: BlockEntry, latest: datetime | None, types: frozenset[str]) -> bool:
    """Whether a block may have an event of these types that is not after a time. `previous`: the block before it."""
    if previous is None and entry.first_seq > 1:
        return True  # what is before it is in another object
    if latest is not None and previous is not None and previous.latest is not None and previous.latest > latest:
        return False
    if not types or sum(entry.counts.values()) != entry.last_seq:
        return True
    before = previous.counts if previous is not None else {}
    return any(entry.counts.get(kind, 0) > before.get(kind, 0) for kind in types)


async def _in_batches(
    read: Callable[[Item], Coroutine[object, object, Segment]], items: Sequence[Item]
) -> AsyncIterator[Segment]:
    """Read items in order: a single one first, then twice as many at a time, as the first ones are often enough."""
    start, count = 0, 1
    while start < len(items):
        for segment in await gather_bounded(read, items[start : start + count]):
            yield segment
        start, count = start + count, min(count * 2, _AHEAD)
