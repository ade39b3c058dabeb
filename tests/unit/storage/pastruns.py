"""What the tests of events of many runs share: runs as collectors leave them, and a plain model of asking for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from hypothesis import strategies as st
from obstore.store import MemoryStore

from componentrun.storage.events import blocks
from componentrun.storage.events.events import About, Event, Placed
from componentrun.storage.events.merging import merge_segments
from componentrun.storage.events.runs import EventRun, enter_ended, enter_open
from componentrun.storage.events.segments import append_segment
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from componentrun.storage.events.query import EventQuery
    from componentrun.storage.store.connection import Stored

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(second: float) -> str:
    return (START + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


@dataclass(frozen=True)
class Run:
    """What the model knows of one run."""

    uid: str
    component: str
    configuration: str
    ended: bool
    segments: tuple[tuple[tuple[float, str, str], ...], ...]
    """Second, type and message of each event."""
    merged: int = 0
    """Number of its first segments that are merged."""
    killed: bool = False
    """Whether the collector was killed before it had deleted these."""
    block_bytes: int = 1
    """Size from which on a block ends."""


def events_of(run: Run) -> list[list[Event]]:
    made: list[list[Event]] = []
    seq = 0
    for segment in run.segments:
        made.append([])
        for second, kind, message in segment:
            seq += 1
            made[-1].append(
                Event(
                    id=f"{run.uid}-{seq}", seq=seq, time=stamp(second), run=run.uid, component=run.component,
                    configuration=run.configuration, type=kind, message=message, source="component",  # type: ignore[arg-type]
                )
            )  # fmt: skip
    return made


async def write(store: Store, run: Run) -> About:
    about, event_run, first = About(), EventRun(run.uid, run.component, run.configuration), 1
    await enter_open(store, event_run)
    for events in events_of(run):
        written = max(datetime.fromisoformat(event.time) for event in events)
        about = about.following(f"name-{run.uid}", events, written)
        await append_segment(store, run.uid, first, events, {"upto": events[-1].seq}, about)
        first += len(events)
    firsts = [events[0].seq for events in events_of(run)][: run.merged]
    with patch.object(blocks, "_BLOCK_BYTES", run.block_bytes):
        async for merged in merge_segments(store, run.uid, firsts, {}):
            if not run.killed:
                await store.delete([store.layout.segment(run.uid, number) for number in merged.segments])
    if run.ended:
        await enter_ended(store, event_run, about)
    return about


def model(runs: Sequence[Run], query: EventQuery) -> list[Event]:
    """All that fit, in order: places never go back within a run."""
    found = []
    for run in runs:
        if query.component not in {None, run.component} or query.configuration not in {None, run.configuration}:
            continue
        latest = datetime.min.replace(tzinfo=UTC)
        for event in (event for events in events_of(run) for event in events):
            latest = max(latest, datetime.fromisoformat(event.time))
            if query.takes(Placed(latest, event)):
                found.append(Placed(latest, event))
    return [item.event for item in sorted(found)]


def in_memory() -> Store:
    return Store(StoreSettings(bucket="bucket", endpoint="http://store.test", prefix="team/a"), MemoryStore())


class Counting(Store):
    """A store that counts its requests, and the keys that were listed."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.settings, store._backend)
        self.requests: Counter[str] = Counter()
        self.bytes = 0
        self.at_once = self.most_at_once = 0

    async def get(self, key: str, *, most: int | None = None) -> Stored:
        self.requests["get"] += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(0)
            return await super().get(key, most=most)
        finally:
            self.at_once -= 1

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        self.requests["get"] += 1
        self.bytes += end - start
        return await super().read_range(key, start, end)

    async def create(self, key: str, data: bytes) -> str:
        self.requests["put"] += 1
        return await super().create(key, data)

    async def delete(self, keys: Sequence[str]) -> None:
        self.requests["delete"] += 1
        await super().delete(keys)

    async def objects(self, prefix: str, *, after: str | None = None) -> AsyncIterator[Any]:
        listed = 0
        async for info in super().objects(prefix, after=after):
            listed += 1
            yield info
        self.requests["listed"] += listed
        self.requests["list"] += max(-(-listed // 1000), 1)


seconds = st.integers(0, 40).map(lambda number: number / 2)
events = st.tuples(seconds, st.sampled_from(["info", "error", "warn", "success"]), st.sampled_from(["hot", "cold"]))
segments = st.lists(st.lists(events, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4).map(tuple)
runs = st.lists(
    st.tuples(
        st.sampled_from(["a", "reg/b:1", "c" * 300]),
        st.sampled_from(["", "1", "č"]),
        st.booleans(),
        segments,
        st.integers(0, 4),
        st.booleans(),
        st.sampled_from([1, 300, 10**6]),
    ),
    max_size=24,
).map(lambda found: [Run(f"run-{number}", *item) for number, item in enumerate(found)])
