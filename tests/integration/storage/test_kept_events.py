"""Events of many runs on real stores: found, and deleted when their time has come."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.storage.events.events import About, Event
from componentrun.storage.events.query import EventQuery, last_events, locate
from componentrun.storage.events.reader import read_events
from componentrun.storage.events.retention import Retention
from componentrun.storage.events.runs import EventRun, ended_runs, enter_ended, enter_open, open_runs
from componentrun.storage.events.segments import SegmentTakenError, append_segment, last_segment
from componentrun.storage.events.sweep import sweep_events
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store

pytestmark = pytest.mark.store


async def test_of_two_collectors_one_notices(store: Store) -> None:
    def event(seq: int, message: str = "hello") -> Event:
        return Event(f"r1-{seq}", seq, "2026-01-01T00:00:00Z", "r1", "ex", "12", "info", message)

    ends = await asyncio.gather(
        *(append_segment(store, "r1", 1, [event(1, f"{n}")], {"by": n}) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(end, SegmentTakenError) for end in ends) == 4
    await append_segment(store, "r1", 2, [event(2), event(3)], {"by": "next"})
    last = await last_segment(store, "r1")
    assert last is not None
    assert (last.checkpoint, last.next_seq) == ({"by": "next"}, 4)
    assert [found.seq async for found in read_events(store, "r1", 2)] == [3]


async def test_events_of_many_runs_are_found_newest_first(store: Store) -> None:
    start = datetime(2026, 11, 24, 8, tzinfo=UTC)

    async def write(number: int) -> None:
        run, about = EventRun(f"r{number:02}", "a" if number % 2 else "b", str(number % 4)), About()
        await enter_open(store, run)
        for seq, kind in enumerate(("info", "error" if number == 3 else "warn"), 1):
            time = start + timedelta(seconds=number, milliseconds=seq)
            said = [Event(f"{run.uid}-{seq}", seq, time.isoformat(), run.uid, run.component, "", kind, f"{number}")]
            about = about.following(f"run-{number}", said, time)
            await append_segment(store, run.uid, seq, said, {}, about)
        if number != 5:
            await enter_ended(store, run, about)

    await gather_bounded(write, range(24))
    newest = await last_events(store, EventQuery("a", "1"), 3)
    assert [found.event.id for found in newest] == ["r17-2", "r21-1", "r21-2"]
    assert [found.name for found in newest] == ["run-17", "run-21", "run-21"]
    everything = await last_events(store, EventQuery(), 100)
    assert [found.event.seq for found in everything] == [1, 2] * 24
    assert [found.event.message for found in everything[::2]] == [str(number) for number in range(24)]
    failed = EventQuery("a", types=frozenset({"error"}))
    assert [found.event.id for found in await last_events(store, failed, 100)] == ["r03-2"]
    middle = EventQuery("a", since=start + timedelta(seconds=4), until=start + timedelta(seconds=8))
    assert {found.event.run for found in await last_events(store, middle, 100)} == {"r05", "r07"}
    assert await open_runs(store, "a") == ["r05"]
    before = await locate(store, "r05-1")
    assert [found.event.id for found in await last_events(store, EventQuery(before=before), 2)] == ["r04-1", "r04-2"]


async def write_run(store: Store, number: int, begin: datetime) -> None:
    """A run with three events, ten seconds apart. Number 1 does not end."""
    run, about = EventRun(f"r{number:03}", f"c{number % 3}", ""), About()
    await enter_open(store, run)
    for seq in range(1, 4):
        time = begin + timedelta(seconds=10 * seq)
        said = [Event(f"{run.uid}-{seq}", seq, time.isoformat(), run.uid, run.component, "", "info", "x")]
        about = about.following(run.uid, said, datetime.now(UTC))
        await append_segment(store, run.uid, seq, said, {}, about)
    if number != 1:
        await enter_ended(store, run, about)


async def test_old_events_go_while_a_collector_writes_and_people_read(store: Store) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    retention = Retention(timedelta(hours=20), {"c2": None})
    done = asyncio.Event()
    await gather_bounded(lambda number: write_run(store, number, later - timedelta(hours=60 - number)), range(50))

    async def write() -> None:
        for first in range(50, 80, 6):
            fresh = range(first, min(first + 6, 80))
            await gather_bounded(lambda number: write_run(store, number, datetime.now(UTC)), fresh)
        done.set()

    async def sweep() -> None:
        while not done.is_set():
            await sweep_events(store, retention, existing=["r001"], now=later)

    async def read() -> None:
        while not done.is_set():
            found = await last_events(store, EventQuery("c0", ""), 50)
            assert found == sorted(found)

    async with asyncio.TaskGroup() as group:
        for work in (write(), sweep(), sweep(), read()):
            group.create_task(work)
    await sweep_events(store, retention, existing=["r001"], now=later)
    left = {number for number in range(80) if number == 1 or number % 3 == 2 or number >= 40}
    assert {int(run.run[1:]) async for run in ended_runs(store)} == left - {1}
    assert await open_runs(store) == ["r001"]
    root = store.layout.events("r001").removesuffix("r001/")
    # Not by folders: where a bucket keeps versions, some stores list those of which all is deleted.
    assert {int(info.key.removeprefix(root)[1:4]) async for info in store.objects(root)} == left
    assert len(await last_events(store, EventQuery(), 1000)) == 3 * len(left)
