"""Events of many runs on real stores are found, and deleted when they expire."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.storage.events.events import About, Event
from componentrun.storage.events.merging import merge_segments
from componentrun.storage.events.query import EventQuery, last_events, locate
from componentrun.storage.events.reader import read_events
from componentrun.storage.events.retention import Retention
from componentrun.storage.events.runs import EventRun, ended_runs, enter_ended, enter_open, open_runs
from componentrun.storage.events.segments import (
    SegmentTakenError,
    append_segment,
    last_segment,
    list_events,
    read_last,
)
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


async def test_segments_are_merged_while_people_read(store: Store) -> None:
    """On a real store, whose listings and deletions take their time; the collector dies again and again."""
    about, firsts, count = About(), [], 60
    for seq in range(1, count + 1):
        said = [Event(f"r1-{seq}", seq, f"2026-11-24T08:00:{seq % 60:02}Z", "r1", "ex", "12", "info", f"{seq}")]
        about = about.following("run", said, datetime.now(UTC))
        await append_segment(store, "r1", seq, said, {"upto": seq}, about)
        firsts.append(seq)
    done = asyncio.Event()

    async def merge() -> None:
        left = firsts
        while left:
            some, left = left[:7], left[7:]
            async for merged in merge_segments(store, "r1", some, {}):
                # Killed in between: the next one deletes what is left.
                await store.delete([store.layout.segment("r1", first) for first in merged.segments[::2]])
            obsolete = (await list_events(store, "r1")).obsolete
            await store.delete([item.key for item in obsolete])
        done.set()

    async def read() -> None:
        while not done.is_set():
            assert [found.seq async for found in read_events(store, "r1")] == list(range(1, count + 1))
            assert [found.seq async for found in read_events(store, "r1", 30)] == list(range(31, count + 1))
            last = await last_segment(store, "r1")
            assert last is not None
            assert last.checkpoint == {"upto": count}

    async with asyncio.TaskGroup() as group:
        for work in (merge(), read(), read(), read()):
            group.create_task(work)
    found = await list_events(store, "r1")
    assert (len(found.merged), found.segments, found.obsolete) == (9, (), ())
    assert (await locate(store, "r1-33")).event.message == "33"


async def test_whoever_dies_while_it_writes_and_merges_loses_and_doubles_nothing(store: Store) -> None:
    """A request that is given up may still be carried out, like that of a process that is killed."""
    moments = random.Random(15)  # noqa: S311 - reproducible moments, though they hit different states

    async def collect(*, ends: bool = False) -> None:
        """Write events, and merge them; until the first merge if it `ends`."""
        last, found = await read_last(store, "r1")
        about, seq = (last.about, last.next_seq) if last is not None else (About(), 1)
        await store.delete([item.key for item in found.obsolete])
        firsts, has_merged = [item.first_seq for item in found.segments], False
        while not (ends and has_merged):
            said = [Event(f"r1-{seq}", seq, "2026-11-24T08:00:00Z", "r1", "ex", "12", "info", f"{seq}")]
            about = about.following("run", said, datetime.now(UTC))
            await append_segment(store, "r1", seq, said, {"upto": seq}, about)
            firsts.append(seq)
            seq += 1
            if len(firsts) >= 4:
                async for merged in merge_segments(store, "r1", firsts, {}):
                    await store.delete([store.layout.segment("r1", first) for first in merged.segments])
                firsts, has_merged = [], True

    for _ in range(25):
        collector = asyncio.create_task(collect())
        await asyncio.sleep(moments.uniform(0.0, 0.3))
        collector.cancel()
        await asyncio.gather(collector, return_exceptions=True)
        if not collector.cancelled():
            # Only a segment that the one before had sent may be in the way.
            assert isinstance(collector.exception(), SegmentTakenError)
    # The last one lives until it has merged, which none before it may have done on a slow machine. The request that was
    # given up last may still be carried out. Then its segment is in the way, and nothing else comes.
    try:
        await collect(ends=True)
    except SegmentTakenError:
        await collect(ends=True)
    last = await last_segment(store, "r1")
    assert last is not None
    found = [event async for event in read_events(store, "r1")]
    assert [event.seq for event in found] == list(range(1, last.next_seq))
    assert [event.message for event in found] == [str(event.seq) for event in found]
    assert (await list_events(store, "r1")).merged


async def write_run(store: Store, number: int, begin: datetime) -> None:
    """Write a run with three events, ten seconds apart. Run number 1 does not end."""
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
    # Do not list folders: with versioning, some stores also list folders in which everything was deleted.
    assert {int(info.key.removeprefix(root)[1:4]) async for info in store.objects(root)} == left
    assert len(await last_events(store, EventQuery(), 1000)) == 3 * len(left)
