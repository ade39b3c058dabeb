"""Matching events of a run, those that exist and new ones."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from componentrun.storage.events.query import first_segment, last_events_of
from componentrun.storage.events.reader import EventReader
from componentrun.storage.events.segments import last_segment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from componentrun.storage.events.events import Placed
    from componentrun.storage.events.query import EventQuery
    from componentrun.storage.store.connection import Store

__all__ = ["EventFeed"]


class EventFeed:
    """Reads matching events, each once."""

    def __init__(self, store: Store, run: str, query: EventQuery, limit: int | None = None) -> None:
        """Start with all existing events, or with the last `limit` of them."""
        self._store, self._run, self._query, self._limit = store, run, query, limit
        self._reader: EventReader | None = None

    async def read(self) -> AsyncGenerator[Placed]:
        """Yield existing events that were not read yet."""
        if self._reader is None:
            seen, first = await self._begin()
            self._reader = EventReader(self._store, self._run, seen)
            for found in first:
                yield found
        async with aclosing(self._reader.read_placed()) as placed:
            async for found in placed:
                if self._query.takes(found):
                    yield found

    async def _begin(self) -> tuple[int, list[Placed]]:
        """Return the event after which reading continues, and the events up to it."""
        query, last = self._query, None
        if self._limit is not None or query.types:
            last = await last_segment(self._store, self._run)
        if last is not None and self._limit is not None:
            found = await last_events_of(self._store, self._run, query, self._limit)
            # Events written in between are read as new ones.
            return last.next_seq - 1, [item for item in found if item.event.seq < last.next_seq]
        if last is not None and last.upto(query.types) == 0:
            return last.next_seq - 1, []
        earliest = query.earliest
        return await first_segment(self._store, self._run, earliest) if earliest is not None else 0, []
