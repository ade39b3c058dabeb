"""Reads a run's events in order, from any number on, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.storage.events.segments import MAX_SEGMENT_EVENTS, read_segment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.storage.events.events import Event, Placed, Segment
    from componentrun.storage.store.connection import Store

__all__ = ["EventReader", "read_events"]


class EventReader:
    """Reads a run's events in order, now and later: what it has read it does not look at again."""

    def __init__(self, store: Store, run: str, since_seq: int = 0) -> None:
        """Read what comes behind `since_seq`."""
        self._store = store
        self._run = run
        self._seen = since_seq
        self._at_border = since_seq == 0

    @property
    def seen(self) -> int:
        """Number of the last event that was read."""
        return self._seen

    async def read(self) -> AsyncIterator[Event]:
        """Events that are there now and were not read yet."""
        async for found in self.read_placed():
            yield found.event

    async def read_placed(self) -> AsyncIterator[Placed]:
        """The same, with their places."""
        async for key in self._keys():
            for found in (await read_segment(self._store, key)).placed:
                if found.event.seq > self._seen:
                    self._seen = found.event.seq
                    yield found
            self._at_border = True

    async def read_segments(self) -> AsyncIterator[Segment]:
        """Segments that hold events which were not read yet; the first one may hold others, too."""
        async for key in self._keys():
            segment = await read_segment(self._store, key)
            self._seen, self._at_border = max(self._seen, segment.next_seq - 1), True
            yield segment

    async def _keys(self) -> AsyncIterator[str]:
        """Keys of the segments that hold something behind what was read.

        At a border the next segment starts with the next number, so one short listing says whether it is there. In the
        middle of a segment, that one is behind some key of at most MAX_SEGMENT_EVENTS less.
        """
        layout = self._store.layout
        back = 0 if self._at_border else MAX_SEGMENT_EVENTS
        after = layout.segment(self._run, max(self._seen - back, 0))
        held = None
        async for info in self._store.objects(layout.events(self._run), after=after):
            first = layout.first_seq_of(info.key)
            if first is None:
                continue
            if first > self._seen + 1 and held is not None:
                yield held
            if first > self._seen + 1:
                yield info.key
                held = None
            else:
                held = info.key
        if held is not None:
            yield held


async def read_events(store: Store, run: str, since_seq: int = 0) -> AsyncIterator[Event]:
    """All events behind `since_seq` that are there now, in order."""
    async for event in EventReader(store, run, since_seq).read():
        yield event
