"""Events of many runs, against a plain model: any runs, any question."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.errors import UserError
from componentrun.storage.events.blocks import Block, MergedBuilder, read_directory
from componentrun.storage.events.events import AHEAD, About, Event, Placed, Segment
from componentrun.storage.events.index import EndedRun
from componentrun.storage.events.query import EventQuery, first_segment, last_events, last_events_of, locate
from componentrun.storage.events.runs import EventRun, ended_runs, enter_ended, enter_open, open_runs
from componentrun.storage.events.segments import append_segment, read_segment
from tests.unit.storage.pastruns import (
    EPOCH,
    START,
    Counting,
    Run,
    events_of,
    in_memory,
    model,
    runs,
    seconds,
    stamp,
    write,
)

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store

times = st.none() | seconds.map(lambda number: START + timedelta(seconds=number))


@settings(deadline=None)
@given(
    runs,
    st.sampled_from([(None, None), ("a", None), ("a", "1"), ("reg/b:1", "č"), ("c" * 300, ""), ("nobody", "1")]),
    times,
    times,
    st.frozensets(st.sampled_from(["info", "error"])),
    st.none() | st.just(re.compile("^h")),
    st.integers(1, 12),
    st.data(),
)
def test_the_newest_events_of_any_runs(
    made: list[Run],
    scope: tuple[str | None, str | None],
    since: datetime | None,
    until: datetime | None,
    types: frozenset[str],
    pattern: re.Pattern[str] | None,
    limit: int,
    data: Any,
) -> None:
    async def check() -> None:
        store = in_memory()
        for run in made:
            await write(store, run)
        query = EventQuery(*scope, since, until, types, pattern)
        everything = model(made, EventQuery())
        if everything:
            bounds = st.none() | st.sampled_from(everything).map(lambda event: event.id)
            after, before = data.draw(bounds), data.draw(bounds)
            query = EventQuery(
                *scope, since, until, types, pattern,
                after=None if after is None else await locate(store, after),
                before=None if before is None else await locate(store, before),
            )  # fmt: skip
        expected = model(made, query)
        found = await last_events(store, query, limit)
        assert [item.event for item in found] == expected[-limit:]
        assert all(item.name == f"name-{item.event.run}" for item in found)
        for run in made:
            mine = model([run], EventQuery(None, None, since, until, types, pattern))
            of_run = await last_events_of(store, run.uid, EventQuery(None, None, since, until, types, pattern), limit)
            assert [item.event for item in of_run] == mine[-limit:]
            if since is not None:
                behind = await first_segment(store, run.uid, since)
                assert all(event.seq > behind for event in model([run], EventQuery(since=since)))

    asyncio.run(check())


@pytest.mark.parametrize(("source", "taken"), [("component", True), ("component/gelf", True), ("stage-in", False)])
def test_a_source_and_a_part_of_it(source: str, taken: bool) -> None:
    event = Event("r-1", 1, stamp(1), "r", "a", "", "info", "x", source="component/gelf")
    assert EventQuery(source=source).takes(Placed(START, event)) == taken


async def test_pages_are_walked_by_ids(store: Store) -> None:
    made = [Run(f"r{n}", "a", "1", n % 2 == 0, (tuple((n + k, "info", "x") for k in range(5)),)) for n in range(4)]
    for run in made:
        await write(store, run)
    pages: list[Event] = []
    query = EventQuery("a")
    while page := await last_events(store, query, 3):
        pages[:0] = [item.event for item in page]
        query = EventQuery("a", before=page[0])
    assert pages == model(made, EventQuery())


@pytest.mark.parametrize("long_ones", [0, 5])
async def test_paging_through_history_costs_the_same_for_each_page_however_much_there_is(long_ones: int) -> None:
    """Also if some runs go on for days beside the short ones."""

    async def requests(count: int) -> float:
        store = in_memory()
        hours = 3600.0
        for number in range(count):
            await write(store, Run(f"r{number}", "a", "1", True, (((number * hours, "info", "x"),),), merged=1))
        for number in range(long_ones):
            ends = ((number * hours, "info", "x"),), ((number * hours + 48 * hours, "info", "y"),)
            await write(store, Run(f"long{number}", "a", "1", True, ends, merged=2))
        counting, pages, query, found = Counting(store), 0, EventQuery("a"), list[str]()
        while page := await last_events(counting, query, 5):
            pages += 1
            found += [item.event.id for item in page]
            query = EventQuery("a", before=page[0])
        assert len(found) == len(set(found)) == count + 2 * long_ones
        listed = counting.requests.pop("listed")
        return (counting.requests.total() + listed) / pages

    few, many = await requests(150), await requests(600)
    assert many < 1.1 * few


async def test_runs_that_ended_on_a_day_are_listed_without_the_others(store: Store) -> None:
    day = 86_400.0
    for number in range(40):
        await write(store, Run(f"r{number:02}", "a", "1", True, (((number * day / 4, "info", "x"),),)))
    await write(store, Run("long", "a", "1", True, (((0, "info", "x"),), ((5.1 * day, "info", "x"),))))
    counting = Counting(store)
    found = [
        run async for run in ended_runs(counting, since=START + timedelta(days=5), until=START + timedelta(days=6))
    ]
    assert [run.run for run in found] == ["r23", "r22", "r21", "long", "r20"]
    assert all(run.entered is not None for run in found)
    assert counting.requests["listed"] <= 7


async def test_a_type_that_no_run_has_is_not_looked_for_in_segments(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        await write(store, Run(f"r{number}", "a", "1", True, (((number, "info", "x"),),)))
    await write(store, Run("bad", "a", "1", True, (((1, "error", "x"),), ((2, "info", "y"),), ((3, "info", "z"),))))
    read: list[str] = []
    get = store.get

    async def noted(key: str) -> Any:
        read.append(key)
        return await get(key)

    monkeypatch.setattr(store, "get", noted)
    found = await last_events(store, EventQuery("a", "1", types=frozenset({"error"})), 100)
    assert [item.event.id for item in found] == ["bad-1"]
    assert {key.split("/")[-2] for key in read} == {"bad"}
    read.clear()
    assert await last_events_of(store, "r3", EventQuery(types=frozenset({"error"})), 100) == []
    assert len(read) == 1


async def test_old_runs_are_not_read_where_newer_ones_have_enough(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        await write(
            store, Run(f"r{number:03}", "a", "1", True, (((number, "info", "x"), (number + 0.5, "info", "y")),))
        )
    read = 0
    get = store.get

    async def noted(key: str) -> Any:
        nonlocal read
        read += 1
        return await get(key)

    monkeypatch.setattr(store, "get", noted)
    found = await last_events(store, EventQuery("a", "1"), 4)
    assert [item.event.id for item in found] == ["r098-1", "r098-2", "r099-1", "r099-2"]
    assert read <= 16


async def test_entering_is_repeatable_and_ends_with_one_entry(store: Store) -> None:
    run = Run("r1", "a", "1", True, (((1, "info", "x"),),))
    about = await write(store, run)
    await enter_ended(store, EventRun("r1", "a", "1"), about)
    assert await open_runs(store) == []
    for scope in [(), ("a",), ("a", "1")]:
        (found,) = [item async for item in ended_runs(store, *scope)]
        assert (found.run, found.begin, found.end) == ("r1", START + timedelta(seconds=1), START + timedelta(seconds=1))
        assert found.counts == {"info": 1, "success": 0, "warn": 0, "error": 0}
    assert [item async for item in ended_runs(store, "b")] == []


async def test_a_run_is_found_while_it_is_open_and_open_twice(store: Store) -> None:
    await write(store, Run("r1", "a", "1", False, (((1, "info", "x"),),)))
    assert await open_runs(store, "a", "1") == ["r1"]
    assert [item.event.id for item in await last_events(store, EventQuery("a"), 5)] == ["r1-1"]
    # Who ends a run and dies before the open entry is gone leaves both: its events come once.
    both = Run("r2", "a", "1", True, (((1, "info", "x"),),))
    await write(store, both)
    await enter_open(store, EventRun("r2", "a", "1"))
    assert [item.event.id for item in await last_events(store, EventQuery("a"), 5)] == ["r1-1", "r2-1"]


@pytest.mark.parametrize("wrong", ["", "r1", "r1-0", "r1-9", "r1-x", "../r1-1", "other-1", "-1"])
async def test_an_id_that_is_none(store: Store, wrong: str) -> None:
    await write(store, Run("r1", "a", "1", True, (((1, "info", "x"),),)))
    with pytest.raises(UserError, match="there is no event"):
        await locate(store, wrong)


def test_no_event_is_placed_before_an_earlier_one_though_the_next_collector_s_clock_is_behind() -> None:
    first = Event("r-1", 1, stamp(3600), "r", "a", "", "info", "the clock of its node is ahead")
    second = Event("r-2", 2, stamp(5), "r", "a", "", "info", "later")
    before = About().following("name", [first], START)
    after = before.following("name", [second], START - timedelta(seconds=30))
    assert after.latest == before.latest == (START + AHEAD).isoformat()
    segment = Segment("r", 2, {}, (second,), after)
    assert [found.time for found in segment.placed] == [START + AHEAD]
    merged = MergedBuilder()
    merged.add(Block.of(Segment("r", 1, {}, (first,), before)))
    merged.add(Block.of(segment))
    data = merged.finish({})
    (entry,) = read_directory(data, "here")
    placed = Block.decode(data[: entry.length], "here").segment("here").placed
    assert [found.time for found in placed] == [START + AHEAD] * 2


def test_a_time_far_ahead_does_not_hide_what_comes_later() -> None:
    event = Event("r-1", 1, "2099-01-01T00:00:00.000000000Z", "r", "a", "1", "info", "from the future")
    about = About().following("r", [event], START)
    assert about.latest == (START + AHEAD).isoformat()
    later = Event("r-2", 2, stamp(300), "r", "a", "1", "info", "later")
    after = about.following("r", [later], START + timedelta(seconds=300))
    assert after.latest == (START + timedelta(seconds=300)).isoformat()
    assert after.counts == {"info": 2}


async def test_a_segment_of_which_nobody_counted_is_read_all_the_same(store: Store) -> None:
    run = Run("r1", "a", "1", False, (((1, "error", "x"),), ((2, "info", "y"),)))
    await enter_open(store, EventRun("r1", "a", "1"))
    for events in events_of(run):
        await append_segment(store, "r1", events[0].seq, events, {})
    assert (await read_segment(store, store.layout.segment("r1", 2))).before(frozenset()) is None
    found = await last_events(store, EventQuery(types=frozenset({"error"})), 5)
    assert [item.event.id for item in found] == ["r1-1"]


@given(
    st.integers(0, 7 * 10**15).map(lambda micros: EPOCH + timedelta(microseconds=micros)),
    st.integers(0, 7 * 10**15).map(lambda micros: EPOCH + timedelta(microseconds=micros)),
)
def test_entries_sort_newest_first(one: datetime, other: datetime) -> None:
    first, second = (EndedRun(time, START, "r-1", {"info": 3}) for time in (one, other))
    assert (first.entry <= second.entry) == (first.end >= second.end) or abs(one - other) < timedelta(milliseconds=1)
    back = EndedRun.of_key(f"x/{first.entry}")
    assert back is not None
    assert timedelta(0) <= back.end - one < timedelta(milliseconds=1)
    assert (back.run, back.counts["info"]) == ("r-1", 3)


def test_an_encoded_segment_says_what_it_is_about() -> None:
    about = About(name="n", counts={"info": 1})
    event = Event("r-1", 1, stamp(0), "r", "a", "1", "info", "x")
    assert Block.decode(Block.of(Segment("r", 1, {}, (event,), about)).encode(), "here").about == about
