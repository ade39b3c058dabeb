"""Reading events: the last ones that are asked for, of one run or of many.

Events of several runs stand in the order of their places in time (`About.places`), then of their runs' uids. The newest
are found by walking along the index from the run that ended last, reading each run from its end, until what is found is
newer than the end of all runs that were not looked at.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from componentrun.errors import Reason, UserError
from componentrun.storage.events.runs import ended_runs, open_runs
from componentrun.storage.events.segments import read_segment, segment_keys
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from componentrun.storage.events.events import Placed
    from componentrun.storage.events.index import EndedRun
    from componentrun.storage.store.connection import Store

__all__ = ["EventQuery", "asked_runs", "first_segment", "last_events", "last_events_of", "locate"]

_BATCH: Final = 16
"""Runs that are read at the same time."""
_ID: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})-([1-9][0-9]{0,11})")


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events; all that is said must hold. Nothing: all."""

    component: str | None = None
    configuration: str | None = None
    """Of the component, which has to be given with it."""
    since: datetime | None = None
    """Not before this time."""
    until: datetime | None = None
    """Before this time."""
    types: frozenset[str] = frozenset()
    """One of these; none: any."""
    pattern: re.Pattern[str] | None = None
    """Found in the message."""
    source: str | None = None
    """Container, or part of ComponentRun, that says it; `component` is also what it sends by GELF."""
    after: Placed | None = None
    """Behind this event."""
    before: Placed | None = None
    """Before this event."""

    def takes(self, found: Placed) -> bool:
        """Whether an event is one of them. Component and configuration are those of its run and not looked at."""
        event, time = found.event, found.time
        return (
            (not self.types or event.type in self.types)
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
            and (self.source is None or self.source in {event.source, event.source.partition("/")[0]})
            and (self.after is None or self.after.place < found.place)
            and (self.before is None or found.place < self.before.place)
            and (self.pattern is None or self.pattern.search(event.message) is not None)
        )

    @property
    def earliest(self) -> datetime | None:
        """No event before this time is one of them."""
        times = [self.since, self.after.time if self.after is not None else None]
        return max((time for time in times if time is not None), default=None)

    @property
    def latest(self) -> datetime | None:
        """No event behind this time is one of them."""
        times = [self.until, self.before.time if self.before is not None else None]
        return min((time for time in times if time is not None), default=None)

    def may_be_of(self, run: EndedRun) -> bool:
        """Whether an ended run may have such events, as the index says; when it ended is left out."""
        if self.latest is not None and run.begin > self.latest:
            return False
        return not self.types or any(run.counts.get(kind, 0) for kind in self.types)


async def last_events(store: Store, query: EventQuery, limit: int) -> list[Placed]:
    """The newest events of all runs that fit, at most `limit`, the oldest of them first."""
    best: list[Placed] = []
    if limit < 1:
        return best

    async def read(uid: str) -> list[Placed]:
        floor = best[0].time if len(best) >= limit else None
        narrowed = query if floor is None else replace(query, since=max(filter(None, (query.since, floor))))
        return await last_events_of(store, uid, narrowed, limit)

    def take(found: list[list[Placed]]) -> None:
        for event in (event for events in found for event in events):
            if len(best) < limit:
                heapq.heappush(best, event)
            else:
                heapq.heappushpop(best, event)

    async for end, uids in _batches(store, query):
        if end is not None and len(best) >= limit and best[0].time > end:
            break
        take(await gather_bounded(read, uids))
    return sorted(best)


async def asked_runs(store: Store, query: EventQuery) -> AsyncIterator[str]:
    """Uids of the runs that may have such events, those that are open first, then the one that ended last."""
    async for _, uids in _batches(store, query):
        for uid in uids:
            yield uid


async def _batches(store: Store, query: EventQuery) -> AsyncIterator[tuple[datetime | None, list[str]]]:
    """Runs that may have such events, some at a time, and when the first of them ended; None: they are open."""
    scope = query.component, query.configuration
    # A run that ends in between is in both.
    seen = await open_runs(store, *scope)
    for start in range(0, len(seen), _BATCH):
        yield None, seen[start : start + _BATCH]
    batch: list[EndedRun] = []
    async for run in ended_runs(store, *scope):
        if query.earliest is not None and run.end < query.earliest:
            break
        if run.run not in seen and query.may_be_of(run):
            batch.append(run)
        if len(batch) >= _BATCH:
            yield batch[0].end, [item.run for item in batch]
            batch = []
    if batch:
        yield batch[0].end, [item.run for item in batch]


async def last_events_of(store: Store, run: str, query: EventQuery, limit: int) -> list[Placed]:
    """The newest events of one run that fit, at most `limit`, in order. Reads from its end, as far as needed."""
    found: list[Placed] = []
    for key in reversed(await segment_keys(store, run)) if limit > 0 else ():
        try:
            segment = await read_segment(store, key)
        except MissingError:
            break  # swept meanwhile, and with it all before it
        placed = segment.placed
        found[:0] = filter(query.takes, placed)
        over = query.earliest is not None and placed[0].time < query.earliest
        if len(found) >= limit or over or segment.before(query.types) == 0:
            break
    return found[-limit:]


async def first_segment(store: Store, run: str, since: datetime) -> int:
    """Number of the event behind which a reader has to begin that wants all events since a time; 0: with the first."""
    keys = await segment_keys(store, run)
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if (await read_segment(store, keys[middle])).placed[-1].time < since:
            low = middle + 1
        else:
            high = middle
    if low == len(keys):
        return (await read_segment(store, keys[-1])).next_seq - 1 if keys else 0
    return (store.layout.first_seq_of(keys[low]) or 1) - 1


async def locate(store: Store, event_id: str) -> Placed:
    """The event with an id.

    Raises:
        UserError: (InputNotFound) there is none (any more), or it is no id of an event.
    """
    parts = _ID.fullmatch(event_id)
    if parts is not None:
        run, seq = parts[1], int(parts[2])
        keys = [key for key in await segment_keys(store, run) if (store.layout.first_seq_of(key) or 0) <= seq]
        for found in (await read_segment(store, keys[-1])).placed if keys else ():
            if found.event.seq == seq:
                return found
    raise UserError(
        f"there is no event `{event_id}`; expected the id of an event that is still kept, as `-o json` prints it: "
        "the run's uid, `-`, and the event's number",
        Reason.INPUT_NOT_FOUND,
    )
