"""Queries the last matching events of one run or of many.

Events of several runs are ordered by their positions in time (`About.places`), then by their runs' uids. The newest
events are found by walking along the index from the run that ended last, reading each run from its end, until the
results are newer than the ends of all remaining runs. If only events before a time are wanted, the walk begins there.
"""

from __future__ import annotations

import heapq
import re
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from componentrun.errors import Reason, UserError
from componentrun.storage.events.reader import EventReader, read_backwards
from componentrun.storage.events.runs import ended_runs, open_runs
from componentrun.storage.events.segments import list_events, open_merged, read_segment
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from componentrun.storage.events.events import Placed
    from componentrun.storage.events.index import EndedRun
    from componentrun.storage.events.segments import EventObject, RunObjects
    from componentrun.storage.store.connection import Store

__all__ = ["EventQuery", "asked_runs", "first_segment", "last_events", "last_events_of", "locate"]

_BATCH: Final = 16
"""Number of runs that are read at the same time."""
_ID: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})-([1-9][0-9]{0,11})")


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Selects events; all conditions must hold. Without conditions: all events."""

    component: str | None = None
    configuration: str | None = None
    """Configuration of the component, which is required with it."""
    since: datetime | None = None
    """Events at this time or later."""
    until: datetime | None = None
    """Events before this time."""
    types: frozenset[str] = frozenset()
    """Types; empty: all."""
    pattern: re.Pattern[str] | None = None
    """Regular expression that the message matches."""
    source: str | None = None
    """Source of the event; `component` includes its GELF messages."""
    after: Placed | None = None
    """Events after this one."""
    before: Placed | None = None
    """Events before this one."""

    def takes(self, found: Placed) -> bool:
        """Whether an event matches. Component and configuration belong to its run and are not checked."""
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
        """No event before this time matches."""
        times = [self.since, self.after.time if self.after is not None else None]
        return max((time for time in times if time is not None), default=None)

    @property
    def latest(self) -> datetime | None:
        """No event after this time matches."""
        times = [self.until, self.before.time if self.before is not None else None]
        return min((time for time in times if time is not None), default=None)

    def may_be_of(self, run: EndedRun) -> bool:
        """Whether an ended run may have matching events according to the index, regardless of its end."""
        if self.latest is not None and run.begin > self.latest:
            return False
        return not self.types or any(run.counts.get(kind, 0) for kind in self.types)


async def last_events(store: Store, query: EventQuery, limit: int) -> list[Placed]:
    """Return the newest matching events of all runs, at most `limit`, oldest first."""
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
    """Yield uids of runs that may have matching events: open runs first, then from the one that ended last."""
    async for _, uids in _batches(store, query):
        for uid in uids:
            yield uid


async def _batches(store: Store, query: EventQuery) -> AsyncIterator[tuple[datetime | None, list[str]]]:
    """Yield batches of runs that may have matching events, and when the first of them ended; None for open runs."""
    scope = query.component, query.configuration
    # A run that ends in between is listed as open and as ended.
    opened = await open_runs(store, *scope)
    for start in range(0, len(opened), _BATCH):
        yield None, opened[start : start + _BATCH]
    seen = frozenset(opened)
    batch: list[EndedRun] = []
    async for run in ended_runs(store, *scope, since=query.earliest, began_by=query.latest):
        if run.run not in seen and query.may_be_of(run):
            batch.append(run)
        if len(batch) >= _BATCH:
            yield batch[0].end, [item.run for item in batch]
            batch = []
    if batch:
        yield batch[0].end, [item.run for item in batch]


async def last_events_of(store: Store, run: str, query: EventQuery, limit: int) -> list[Placed]:
    """Return the newest matching events of one run, at most `limit`, in order. Reads from its end, as far as needed."""
    found: list[Placed] = []
    if limit < 1:
        return found
    lowest: int | None = None
    async with aclosing(read_backwards(store, run, latest=query.latest, types=query.types)) as segments:
        async for segment in segments:
            placed = segment.placed
            found[:0] = [item for item in placed if (lowest is None or item.event.seq < lowest) and query.takes(item)]
            lowest = segment.first_seq if lowest is None else min(lowest, segment.first_seq)
            over = query.earliest is not None and placed[0].time < query.earliest
            if len(found) >= limit or over or segment.before(query.types) == 0:
                break
    return found[-limit:]


async def first_segment(store: Store, run: str, since: datetime) -> int:
    """Return the number of the event after which to start reading for all events since a time; 0: the first."""
    try:
        return await _first_segment(store, await list_events(store, run), since)
    except MissingError:
        return 0  # merged in the meantime, or being swept: start with the first one


async def _first_segment(store: Store, objects: RunObjects, since: datetime) -> int:
    async def merged_ends_before(item: EventObject) -> bool:
        latest = (await open_merged(store, item)).entries[-1].latest
        return latest is not None and latest < since

    async def segment_ends_before(item: EventObject) -> bool:
        return (await read_segment(store, item.key)).placed[-1].time < since

    at = await _bisect(objects.merged, merged_ends_before)
    if at < len(objects.merged):
        entries = (await open_merged(store, objects.merged[at])).entries
        return next(entry.first_seq for entry in entries if entry.latest is None or entry.latest >= since) - 1
    at = await _bisect(objects.segments, segment_ends_before)
    if at < len(objects.segments):
        return objects.segments[at].first_seq - 1
    if objects.segments:
        return (await read_segment(store, objects.segments[-1].key)).next_seq - 1
    return objects.merged_upto


async def _bisect(items: Sequence[EventObject], ends_before: Callable[[EventObject], Awaitable[bool]]) -> int:
    """Return the index of the first object that does not end before the time; the number of objects if all do."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if await ends_before(items[middle]):
            low = middle + 1
        else:
            high = middle
    return low


async def locate(store: Store, event_id: str) -> Placed:
    """Return the event with an id.

    Raises:
        UserError: (InputNotFound) it does not exist (any more), or it is not the id of an event.
    """
    parts = _ID.fullmatch(event_id)
    found = await _find(store, parts[1], int(parts[2])) if parts is not None else None
    if found is None:
        raise UserError(
            f"there is no event `{event_id}`; expected the id of an event that is still kept, as `-o json` prints it: "
            "the run's uid, `-`, and the event's number",
            Reason.INPUT_NOT_FOUND,
        )
    return found


async def _find(store: Store, run: str, seq: int) -> Placed | None:
    async with aclosing(EventReader(store, run, seq - 1, ahead=0).read_placed()) as events:
        try:
            found = await anext(events, None)
        except MissingError:
            return None  # being swept
    return found if found is not None and found.event.seq == seq else None
