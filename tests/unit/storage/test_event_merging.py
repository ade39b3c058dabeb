"""Merging the segments of a run changes no event, no number and no order, whoever reads or dies meanwhile."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.errors import PlatformError
from componentrun.storage.events import blocks, merging, segments
from componentrun.storage.events import reader as eventreader
from componentrun.storage.events.blocks import Block, MergedBuilder
from componentrun.storage.events.events import About, Event, Placed
from componentrun.storage.events.merging import merge_segments
from componentrun.storage.events.query import EventQuery, first_segment, last_events_of, locate
from componentrun.storage.events.reader import EventReader, read_events
from componentrun.storage.events.segments import append_segment, last_segment, list_events, open_merged, read_last
from componentrun.storage.store.connection import Store
from tests.unit.storage.pastruns import START, Counting, in_memory, stamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

RUN = "r1"


def event(seq: int, second: float = 0.0, message: str = "x", kind: Any = "info") -> Event:
    return Event(f"{RUN}-{seq}", seq, stamp(second), RUN, "a", "1", kind, message, source="component", attempt=1)


async def write(store: Store, *sizes: int, first: int = 1, message: str = "x") -> list[int]:
    """Segments of these sizes, and their numbers. One event a second."""
    about, firsts = About(), []
    for size in sizes:
        events = [event(seq, seq, message) for seq in range(first, first + size)]
        about = about.following("name", events, START + timedelta(seconds=first + size))
        await append_segment(store, RUN, first, events, {"upto": first + size - 1}, about)
        firsts.append(first)
        first += size
    return firsts


async def merge(store: Store, firsts: Sequence[int], *, delete: bool = True) -> None:
    async for merged in merge_segments(store, RUN, firsts, {}):
        if delete:
            await store.delete([store.layout.segment(RUN, first) for first in merged.segments])


async def placed(store: Store, since: int = 0) -> list[Placed]:
    return [found async for found in EventReader(store, RUN, since).read_placed()]


class KilledError(BaseException):
    """The collector died. No `except Exception` may hide it."""


class Mortal(Store):
    """A store whose user is killed at its n-th write; a deletion has deleted some keys by then."""

    def __init__(self, store: Store, writes: int) -> None:
        super().__init__(store.settings, store._backend)
        self.left = writes

    async def create(self, key: str, data: bytes) -> str:
        self._live()
        return await super().create(key, data)

    async def delete(self, keys: Sequence[str]) -> None:
        try:
            self._live()
        except KilledError:
            await super().delete(keys[1::2])
            raise
        await super().delete(keys)

    def _live(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KilledError


seconds = st.integers(-200, 200).map(lambda number: number / 2)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.lists(seconds, min_size=1, max_size=4), seconds), min_size=1, max_size=6),
    st.sampled_from([1, 200, 400, 10**6]),
    st.sampled_from([1, 10**6]),
)
def test_positions_and_totals_stay_whatever_the_clocks_say(
    made: list[tuple[list[float], float]], block_bytes: int, object_bytes: int
) -> None:
    async def check() -> None:
        store, about, firsts, seq = in_memory(), About(), [], 1
        for times, written in made:
            events = [event(seq + at, second) for at, second in enumerate(times)]
            about = about.following("name", events, START + timedelta(seconds=written))
            await append_segment(store, RUN, seq, events, {"upto": seq}, about)
            firsts.append(seq)
            seq += len(events)
        before, last = await placed(store), await last_segment(store, RUN)
        with patch.object(blocks, "_BLOCK_BYTES", block_bytes), patch.object(merging, "_OBJECT_BYTES", object_bytes):
            await merge(store, firsts)
        assert await placed(store) == before
        merged = await last_segment(store, RUN)
        assert last is not None
        assert merged is not None
        assert (merged.checkpoint, merged.next_seq, merged.upto(frozenset())) == ({"upto": firsts[-1]}, seq, seq - 1)
        assert (merged.about.latest, merged.about.begin, merged.about.name) == (about.latest, about.begin, "name")
        found = await list_events(store, RUN)
        assert (found.segments, found.obsolete) == ((), ())
        assert (len(found.merged) == 1) or object_bytes == 1

    asyncio.run(check())


async def test_the_same_segments_give_the_same_object(store: Store) -> None:
    firsts = await write(store, 3, 1, 2)
    await merge(store, firsts, delete=False)
    before = [info async for info in store.objects(store.layout.events(RUN))]
    await merge(store, firsts, delete=False)
    assert [info async for info in store.objects(store.layout.events(RUN))] == before


@pytest.mark.parametrize("death", range(7))
async def test_a_killed_merge_loses_and_doubles_nothing_and_the_next_one_finishes(store: Store, death: int) -> None:
    firsts, mortal = await write(store, 3, 1, 5, 2), Mortal(store, death)
    with patch.object(merging, "_OBJECT_BYTES", 1), patch.object(blocks, "_BLOCK_BYTES", 400):
        try:
            await merge(mortal, firsts)
        except KilledError:
            assert death < 6, "three objects, and a deletion for each"
        else:
            assert death == 6
        assert [found.seq async for found in read_events(store, RUN)] == list(range(1, 12))
        for since in range(12):
            assert [found.event.seq for found in await placed(store, since)] == list(range(since + 1, 12))
        last, found = await read_last(store, RUN)
        assert last is not None
        assert (last.next_seq, last.checkpoint) == (12, {"upto": 11})
        await merge(store, [item.first_seq for item in found.segments])
        await store.delete([item.key for item in found.obsolete])
    left = await list_events(store, RUN)
    assert (left.segments, left.obsolete) == ((), ())
    assert [found.seq async for found in read_events(store, RUN)] == list(range(1, 12))


@pytest.mark.parametrize("moment", range(12))
@pytest.mark.parametrize("ahead", [0, 8])
async def test_who_reads_while_segments_are_merged_gets_each_event_once(store: Store, moment: int, ahead: int) -> None:
    firsts = await write(store, 3, 1, 5, 2)
    seen = []
    async for found in EventReader(store, RUN, ahead=ahead).read():
        if found.seq == moment:
            await merge(store, firsts)
        seen.append(found.seq)
    assert seen == list(range(1, 12))


@pytest.mark.parametrize("moment", range(12))
async def test_who_follows_a_run_that_is_merged_gets_each_event_once(store: Store, moment: int) -> None:
    reader, firsts, seen = EventReader(store, RUN), [], []
    for number in range(12):
        firsts += await write(store, 2, first=number * 2 + 1)
        if number == moment:
            await merge(store, firsts)
            firsts = []
        seen += [found.seq async for found in reader.read()]
    assert seen == list(range(1, 25))


async def test_who_lists_while_segments_are_merged_lists_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    firsts, objects, lists = await write(store, 3, 1), store.objects, 0

    async def without_what_came_meanwhile(prefix: str, *, after: str | None = None) -> AsyncIterator[Any]:
        """As if the object for the first events was created when the listing had passed its key."""
        nonlocal lists
        lists += 1
        async for info in objects(prefix, after=after):
            if lists > 1 or store.layout.merged_range_of(info.key) != (1, 4):
                yield info

    await merge(store, firsts)
    await merge(store, await write(store, 2, first=5))
    monkeypatch.setattr(store, "objects", without_what_came_meanwhile)
    assert [found.seq async for found in read_events(store, RUN)] == list(range(1, 7))
    assert lists == 2


async def test_newest_events_are_found_while_segments_are_merged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    firsts, listed, done = await write(store, 1, 1, 1, 1, 1, 1), eventreader.list_events, False

    async def list_before_they_are_merged(where: Store, run: str, after: int = 0) -> Any:
        nonlocal done
        found = await listed(where, run, after)
        if not done:
            done = True
            await merge(store, firsts[:-1], delete=True)
        return found

    monkeypatch.setattr(eventreader, "list_events", list_before_they_are_merged)
    found = await last_events_of(store, RUN, EventQuery(), 10)
    assert [item.event.seq for item in found] == [1, 2, 3, 4, 5, 6]


async def test_a_segment_that_is_merged_already_is_ignored_though_it_came_back(store: Store) -> None:
    """A collector that was away wrote it, and has not noticed yet that another one goes on with the run."""
    await merge(store, await write(store, 3, 3))
    await append_segment(store, RUN, 4, [event(seq, seq, "stale") for seq in range(4, 14)], {}, About())
    await write(store, 2, first=7)
    found = [item async for item in read_events(store, RUN)]
    assert [item.seq for item in found] == list(range(1, 9))
    assert {item.message for item in found} == {"x"}
    last = await last_segment(store, RUN)
    assert last is not None
    assert last.next_seq == 9
    assert [item.first_seq for item in (await list_events(store, RUN)).obsolete] == [4]


@pytest.mark.parametrize("limit", [1, 4, 9, 11, 100])
async def test_events_are_read_once_if_a_replaced_collector_merged_some_of_them_as_well(
    store: Store, limit: int
) -> None:
    """It was paused before it created its object, and its successor merged these segments and a later one."""
    with patch.object(blocks, "_BLOCK_BYTES", 100):
        firsts = await write(store, 3, 1, 3, 2, 2, 2)
        await merge(store, firsts[:2])
        await merge(store, firsts[2:5], delete=False)
        await merge(store, firsts[2:])
    found = await list_events(store, RUN)
    assert [(item.first_seq, item.last_seq) for item in found.merged] == [(1, 4), (5, 13)]
    assert [item.event.seq for item in await placed(store)] == list(range(1, 14))
    newest = await last_events_of(store, RUN, EventQuery(), limit)
    assert [item.event.seq for item in newest] == list(range(1, 14))[-limit:]
    segments = [item async for item in EventReader(store, RUN).read_segments()]
    assert [event.seq for item in segments for event in item.events] == list(range(1, 14))


async def test_merged_objects_that_overlap_in_part_are_read_once(store: Store) -> None:
    with patch.object(blocks, "_BLOCK_BYTES", 100):
        firsts = await write(store, 3, 1, 3, 2, 2, 2)
        await merge(store, firsts[:4], delete=False)
        await merge(store, firsts[1:])
    assert [item.event.seq for item in await placed(store)] == list(range(1, 14))
    newest = await last_events_of(store, RUN, EventQuery(), 100)
    assert [item.event.seq for item in newest] == list(range(1, 14))


@pytest.mark.parametrize("passed", [1, 3, 500])
async def test_a_reader_of_new_events_does_not_list_all_merged_objects(store: Store, passed: int) -> None:
    for number in range(20):
        await merge(store, await write(store, 2, first=number * 2 + 1))
    await write(store, 2, first=41)
    with patch.object(segments, "_PASSED", passed):
        for since in range(43):
            assert [found.event.seq for found in await placed(store, since)] == list(range(since + 1, 43))
        listed = 0
        objects = store.objects

        async def counted(prefix: str, *, after: str | None = None) -> AsyncIterator[Any]:
            nonlocal listed
            async for info in objects(prefix, after=after):
                listed += 1
                yield info

        with patch.object(store, "objects", counted):
            found = await list_events(store, RUN, 38)
    assert [item.first_seq for item in (*found.merged, *found.segments)] == [39, 41]
    assert listed == 2 + min(passed, 19)


async def test_missing_segments_are_not_merged_over(store: Store) -> None:
    firsts = await write(store, 3, 1, 5)
    await store.delete([store.layout.segment(RUN, firsts.pop(1))])
    with pytest.raises(PlatformError, match="events between them are missing"):
        await merge(store, firsts)


async def test_a_block_is_found_without_reading_the_others(store: Store) -> None:
    with patch.object(blocks, "_BLOCK_BYTES", 10_000):
        firsts = await write(store, *[50] * 600)
        await merge(store, firsts)
    counting = Counting(store)
    (item,) = (await list_events(store, RUN)).merged
    entries = (await open_merged(store, item)).entries
    assert len(entries) > 100
    assert item.size > 2 * 64 * 1024
    assert (await locate(counting, f"{RUN}-777")).event.seq == 777
    assert counting.requests["get"] == 2, "the directory, and a part of the object"
    middle = START + timedelta(seconds=10_000)
    behind = await first_segment(store, RUN, middle)
    assert 10_000 - 200 < behind < 10_000
    counting = Counting(store)
    found = await last_events_of(counting, RUN, EventQuery(until=middle), 3)
    assert [item.event.seq for item in found] == [9_997, 9_998, 9_999]
    assert counting.requests["get"] <= 4


async def test_a_directory_that_is_longer_than_usual_is_read(store: Store) -> None:
    with patch.object(blocks, "_BLOCK_BYTES", 1):
        await merge(store, await write(store, *[1] * 1_200))
    assert [found.seq async for found in read_events(store, RUN)] == list(range(1, 1_201))
    assert [found.seq async for found in read_events(store, RUN, 1_100)] == list(range(1_101, 1_201))


async def test_blocks_without_the_wanted_type_are_not_read(store: Store) -> None:
    builder, about = MergedBuilder(), About()
    for seq in range(1, 41):
        made = event(seq, seq, kind="error" if seq == 7 else "info")
        about = about.following("name", [made], START + timedelta(seconds=seq))
        await append_segment(store, RUN, seq, [made], {}, about)
    with patch.object(blocks, "_BLOCK_BYTES", 1), patch.object(Block, "segment", autospec=True) as decoded:
        decoded.side_effect = ORIGINAL
        await merge(store, list(range(1, 41)))
        found = await last_events_of(store, RUN, EventQuery(types=frozenset({"error"})), 10)
        assert decoded.call_count == 1
    assert [item.event.seq for item in found] == [7]
    assert builder.last_seq == 0


ORIGINAL = Block.segment


async def test_segments_are_fetched_ahead_and_not_too_far(store: Store) -> None:
    await write(store, *[1] * 60)
    counting = Counting(store)
    reader = EventReader(counting, RUN)
    events = reader.read()
    assert (await anext(events)).seq == 1
    assert counting.requests["get"] <= 9
    assert [found.seq async for found in events] == list(range(2, 61))
    assert 2 <= counting.most_at_once <= 9
    await events.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_the_last_segment_is_found_without_reading_a_merged_object(store: Store) -> None:
    with patch.object(blocks, "_BLOCK_BYTES", 10_000):
        await merge(store, await write(store, *[50] * 200))
    counting = Counting(store)
    last = await last_segment(counting, RUN)
    assert last is not None
    assert (last.next_seq, last.checkpoint) == (10_001, {"upto": 10_000})
    assert (counting.requests["list"], counting.requests["get"]) == (1, 1)


def test_a_block_tells_when_its_events_are_from() -> None:
    builder = MergedBuilder()
    about = About().following("n", [event(1, 5)], START + timedelta(seconds=5))
    builder.add(Block.of(blocks.Segment(RUN, 1, {}, (event(1, 5),), about)))
    data = builder.finish({"finished": True})
    (entry,) = blocks.read_directory(data, "here")
    assert (entry.first_seq, entry.count, entry.latest) == (1, 1, datetime.fromisoformat(about.latest))
    with pytest.raises(PlatformError, match="does not end with a directory"):
        blocks.read_directory(data[:-1] + b"x", "here")


async def test_bytes_of_a_line(store: Store) -> None:
    """Lines of 80 bytes, ten a second, for a minute: 347 bytes a line when each repeated the names of its run."""
    about, firsts, begin = About(), [], START
    for second in range(60):
        events = [
            Event(
                f"{RUN}-{seq}",
                seq,
                (begin + timedelta(microseconds=seq * 98_765)).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{seq % 1000:03}Z",
                RUN,
                "cleaner",
                "12",
                "info",
                f"row {seq * 1_000:>9,} of 600,000 of in.c-nyc.flights is done, {seq * 31:>6} of them had a delay",
                source="component",
                attempt=1,
            )
            for seq in range(second * 10 + 1, second * 10 + 11)
        ]
        about = about.following("name", events, START + timedelta(seconds=second))
        checkpoint = {"containers": {"pod/component": {"time": second, "lines": [f"{second:064x}"]}}, "finished": False}
        await append_segment(store, RUN, events[0].seq, events, checkpoint, about)
        firsts.append(events[0].seq)
    live = sum([info.size async for info in store.objects(store.layout.events(RUN))]) / 600
    await merge(store, firsts)
    merged = sum([info.size async for info in store.objects(store.layout.events(RUN))]) / 600
    assert len(events[0].message) == 80
    assert live < 70
    assert merged < 20
    print(f"bytes a line: {live:.1f} in segments, {merged:.1f} merged")  # noqa: T201 - a figure for the test log
