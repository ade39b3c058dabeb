"""Compaction changes nothing that a reader could tell: the same rows, in their order, also of what came since when."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.errors import Reason, UserError
from componentrun.exchange import Where
from componentrun.storage import compaction
from componentrun.storage.adaptive import seen_of
from componentrun.storage.commit import publish, read_journal
from componentrun.storage.compaction import MAX_ORIGINS, is_due
from componentrun.storage.connection import Store
from componentrun.storage.download import head_rows
from componentrun.storage.pointer import Origin, Pointer, Segment, Slice
from componentrun.storage.reading import EVERYTHING, Wish, plan_read
from componentrun.storage.rewriting import compact_table
from componentrun.storage.sweep import HISTORY_KEEP, MIN_KEEP, sweep
from componentrun.storage.tables import need_table, read_table
from tests.unit.mapping.model import ModelTable, Row, decode
from tests.unit.storage.loading import DELETES, FOO, ROWS, START, Load, content, pointer, rows, take
from tests.unit.storage.scenarios import KilledError, MortalStore, new_store, result, uploaded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class TimedTable(ModelTable):
    """The model, which also knows with which load a row came."""

    load_number = 0

    def _put(self, row: dict[str, str], *, insert: bool) -> None:
        super()._put(row | {"\0": str(self.load_number)}, insert=insert)

    def since(self, number: int) -> list[Row]:
        kept = [row for row in self.rows if int(row["\0"]) >= number]
        return [tuple(self.columns), *(tuple(row[name] for name in self.columns) for row in kept)]


class RacyStore(Store):
    """Somebody else is faster, once: right before the first swap."""

    def __init__(self, store: Store, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(store.settings, store._backend)
        self._meanwhile: Callable[[], Awaitable[None]] | None = meanwhile

    async def swap(self, key: str, data: bytes, etag: str) -> str:
        if (meanwhile := self._meanwhile) is not None:
            self._meanwhile = None
            await meanwhile()
        return await super().swap(key, data, etag)


@dataclasses.dataclass(frozen=True)
class Compaction:
    meanwhile: Load | None


@dataclasses.dataclass
class Scene:
    store: Store
    model: TimedTable
    loads: int = 0
    there: bool = False
    segments: int = 0

    async def load(self, load: Load) -> None:
        number, self.loads = self.loads, self.loads + 1
        try:
            await take(self.store, number, load)
        except UserError as refusal:
            assert refusal.reason is Reason.OUTPUT_INVALID  # noqa: PT017 - the model goes on after it
            return
        if load.delete is not None and load.incremental and self.there:
            self.model.delete(load.delete.column, load.delete.operator, load.delete.values)
        self.model.load_number = number
        short = [row[: len(load.columns)] for row in load.rows]
        incremental = load.incremental and self.there
        self.model.load(load.columns, short, incremental=incremental, key=load.key, insert=load.insert)
        self.there = True

    async def compact(self, step: Compaction) -> None:
        if not self.there:
            return

        async def meanwhile() -> None:
            if step.meanwhile is not None:
                await self.load(step.meanwhile)

        await compact_table(RacyStore(self.store, meanwhile), FOO, segments=None)

    async def check(self) -> None:
        assert await content(self.store) == self.model.content()
        assert decode(await head_rows(self.store, FOO, 2)) == self.model.content()[:3]
        for number in range(1, self.loads + 1):
            since = Wish(changed_since=START + timedelta(hours=number))
            assert await content(self.store, since) == self.model.since(number)


LOAD = st.builds(Load, ROWS, st.sampled_from([True] * 5 + [False]), st.booleans(),
                 st.sampled_from([(), (), ("a",), ("a", "b")]), DELETES, st.booleans())  # fmt: skip
STEPS = st.lists(LOAD | st.builds(Compaction, st.none() | LOAD), min_size=2, max_size=9)


def new_scene() -> Scene:
    store = new_store()
    return Scene(store, TimedTable())


@settings(max_examples=40, deadline=None)
@given(LOAD, STEPS)
async def test_any_sequence_of_loads_and_compactions_is_what_the_model_says(
    first: Load, steps: Sequence[Load | Compaction]
) -> None:
    scene = new_scene()
    for step in (first, *steps):
        await (scene.load(step) if isinstance(step, Load) else scene.compact(step))
    await scene.check()
    await scene.compact(Compaction(None))
    await scene.check()
    pointer = (await need_table(scene.store, FOO)).pointer
    assert pointer.rows == len(scene.model.rows)
    assert plan_read(pointer, EVERYTHING).mapping is None, "nobody has to parse what was compacted"


async def swept(store: Store) -> None:
    """Everything that may go goes, earlier versions, too."""
    now = datetime.now(UTC) + HISTORY_KEEP + timedelta(hours=1)
    await sweep(store, MIN_KEEP, now=now)
    await sweep(store, MIN_KEEP, now=now + MIN_KEEP)


async def three(store: Store, *, key: tuple[str, ...] = ()) -> None:
    for number, name in enumerate(("x", "y", "x")):
        await take(store, number, Load([(name, str(number), "")], key=key if number == 0 else ()))


@pytest.mark.parametrize("key", [(), ("a",)])
async def test_many_segments_become_one_and_the_old_slices_stay_for_who_reads_them(
    store: Store, key: tuple[str, ...]
) -> None:
    await three(store, key=key)
    old = (await need_table(store, FOO)).pointer
    told = await compact_table(store, FOO, segments=None)
    assert (told.outcome, told.segments, told.slices_before, told.slices_after) == ("compacted", 3, 3, 1)
    new = (await need_table(store, FOO)).pointer
    assert [(origin.time - START, origin.rows) for origin in new.segments[0].origins] == [
        (timedelta(hours=number), 1) for number in ((1, 2) if key else (0, 1, 2))
    ]
    assert all([await store.head(part.key) for part in old.slices])
    assert (await compact_table(store, FOO, segments=None)).outcome == "notNeeded"


async def test_a_dry_run_writes_nothing(store: Store) -> None:
    await three(store)
    before = [info.key async for info in store.objects("team/a/")]
    told = await compact_table(store, FOO, segments=None, dry_run=True)
    assert (told.outcome, told.segments, told.bytes_before) == ("wouldCompact", 3, 12)
    assert [info.key async for info in store.objects("team/a/")] == before


async def test_what_is_appended_meanwhile_stays_behind(store: Store) -> None:
    await three(store)
    racy = RacyStore(store, lambda: take(store, 3, Load([("z", "3", "")])))
    assert (await compact_table(racy, FOO, segments=None)).outcome == "compacted"
    pointer = (await need_table(store, FOO)).pointer
    assert [len(segment.origins) for segment in pointer.segments] == [3, 0]
    assert (await content(store))[1:] == [("x", "0"), ("y", "1"), ("x", "2"), ("z", "3")]


async def test_a_full_load_meanwhile_wins(store: Store) -> None:
    await three(store)
    racy = RacyStore(store, lambda: take(store, 3, Load([("z", "3", "")], incremental=False)))
    assert (await compact_table(racy, FOO, segments=None)).outcome == "changedMeanwhile"
    assert (await content(store))[1:] == [("z", "3")]


async def test_another_compaction_meanwhile_is_as_good(store: Store) -> None:
    await three(store)

    async def another() -> None:
        await compact_table(store, FOO, segments=None)

    assert (await compact_table(RacyStore(store, another), FOO, segments=None)).outcome == "changedMeanwhile"
    assert len(await content(store)) == 4


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [1, 2, 3])
async def test_killed_at_any_write_the_table_is_whole(store: Store, write: int, after: bool) -> None:
    await three(store, key=("a",))
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await compact_table(MortalStore(store, write, after=after), FOO, segments=None)
    assert (await content(store))[1:] == [("y", "1"), ("x", "2")]
    await compact_table(store, FOO, segments=None)
    assert (await content(store))[1:] == [("y", "1"), ("x", "2")]
    await swept(store)
    assert len(await store.folders(store.layout.data_root())) == 1, "what was left is swept"
    assert (await content(store))[1:] == [("y", "1"), ("x", "2")]


async def test_a_run_that_is_being_published_stays_known_to_the_table(store: Store) -> None:
    await three(store)
    table = await uploaded(store, "late", 1, str(FOO), ["z,3"], columns=("a", "b"), incremental=True)
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 3, after=True), "late", 1, result(table))
    journal = await read_journal(store, "late")
    assert journal is not None
    assert journal.state == "publishing"
    assert (await compact_table(store, FOO, segments=None)).segments == 3
    pointer = (await need_table(store, FOO)).pointer
    assert [segment.run for segment in pointer.segments][1:] == ["late"]
    await publish(store, "late", 1, result(table))
    assert len(await content(store)) == 5
    assert (await compact_table(store, FOO, segments=None)).segments == 2


async def test_large_slices_stay_as_they_are(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SLICE_BYTES", 10)
    await take(store, 0, Load([("0123456789", "x", "")]))
    large = (await need_table(store, FOO)).pointer.slices[0]
    for number in range(1, 4):
        await take(store, number, Load([("x", str(number), "")]))
    told = await compact_table(store, FOO, segments=None)
    assert (told.slices_before, told.slices_after) == (4, 3)
    assert (await need_table(store, FOO)).pointer.slices[0] == large
    await swept(store)
    assert len(await content(store)) == 5, "a slice is named by its key, whoever's segment it is in"


async def test_a_table_that_is_larger_than_the_disk_is_left_alone(store: Store) -> None:
    await three(store, key=("a",))
    assert (await compact_table(store, FOO, segments=None, room=20)).outcome == "noRoom"
    assert len((await need_table(store, FOO)).pointer.segments) == 3


async def test_a_table_of_which_no_row_is_left_has_no_segment(store: Store) -> None:
    await three(store)
    await take(store, 3, Load([], delete=Where("b", "ne", ("none",))))
    assert (await compact_table(store, FOO, segments=None)).outcome == "compacted"
    found = await read_table(store, FOO)
    assert found is not None
    assert (found.pointer.segments, found.pointer.rows, found.pointer.column_names) == ((), 0, ("a", "b"))
    assert await content(store) == [("a", "b")]


async def test_what_was_seen_before_is_not_delivered_again(store: Store) -> None:
    await three(store)
    seen = seen_of((await need_table(store, FOO)).pointer)
    await take(store, 3, Load([("z", "3", "")]))
    await compact_table(store, FOO, segments=None)
    assert (await content(store, Wish(seen=seen)))[1:] == [("z", "3")]
    await take(store, 4, Load([("z", "4", "")]))
    assert (await content(store, Wish(seen=seen)))[1:] == [("z", "3"), ("z", "4")]


def timed(count: int, *, key: tuple[str, ...] = (), first: Segment | None = None) -> Pointer:
    """A table of `count` loads with a small slice each, perhaps behind a compacted segment."""
    loads = [rows(f"r{number}", 1).model_copy(update={"time": START}) for number in range(count)]
    return pointer(*([first] if first else []), *loads, key=key)


def compacted(size: int) -> Segment:
    part = Slice(key="c", size=size, rows=1, etag='"e"')
    return Segment(run="c", attempt=1, time=START, columns=("a", "b"), slices=(part,),
                   origins=(Origin(time=START, rows=1),))  # fmt: skip


@pytest.mark.parametrize(
    ("found", "due"),
    [
        (timed(50), False),
        (timed(51), True),
        (timed(51, key=("a",)), True),
        (pointer(rows("r", *[1] * 201)), False),  # an earlier release: it is not known when the rows came
        (timed(60, first=compacted(100_000)), True),
        (timed(60, key=("a",), first=compacted(100_000)), False),
        (timed(60, key=("a",), first=compacted(5_000)), True),
        (timed(501, key=("a",), first=compacted(100_000)), True),
    ],
)
def test_a_table_is_due_where_compacting_it_pays(found: Pointer, due: bool) -> None:
    assert is_due(found, 50) is due


def test_old_times_get_coarser_and_no_row_gets_lost() -> None:
    loads = [
        segment.model_copy(update={"time": START - timedelta(minutes=5000 - number)})
        for number, segment in enumerate(timed(5000).segments)
    ]
    found = compaction.rewrite_of(pointer(*loads))
    assert found is not None
    segment = compaction.compacted_segment(found, "c", found.slices, [1] * 5000)
    assert segment is not None
    assert len(segment.origins) <= MAX_ORIGINS
    assert (segment.rows, segment.origins[-1].time) == (5000, loads[-1].time)
    for minutes in (2, 10, 60, 1000, 4000):
        reading = plan_read(pointer(segment), Wish(changed_since=START - timedelta(minutes=minutes)))
        skip = reading.mapping.steps[0].skip if reading.mapping is not None else 0
        delivered = sum(part.rows for part in reading.slices) - skip
        assert minutes <= delivered <= minutes * 1.2 + 1
