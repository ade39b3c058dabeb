"""Tables after any history of loads, as `table get` and stage-in's plans have them, against a model in plain Python."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.errors import Reason, UserError
from componentrun.exchange import Step, Where
from componentrun.storage.commit import publish
from componentrun.storage.download import head_rows
from componentrun.storage.pointer import Pointer, Segment
from componentrun.storage.reading import Wish, plan_read
from componentrun.storage.tables import need_table
from tests.unit.mapping.model import ModelTable, decode
from tests.unit.storage.loading import DELETES, FOO, ROWS, START, Load, content, pointer, rows, take, written
from tests.unit.storage.scenarios import new_store, result

if TYPE_CHECKING:
    from collections.abc import Sequence


LOADS = st.lists(
    st.builds(Load, ROWS, st.sampled_from([True, True, True, False]), st.booleans(),
              st.sampled_from([(), ("a",), ("a", "b")]), DELETES, st.booleans()),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(LOADS)
async def test_any_sequence_of_loads_is_what_the_model_says(loads: Sequence[Load]) -> None:
    store, model, there = new_store(), ModelTable(), False
    for number, load in enumerate(loads):
        try:
            await take(store, number, load)
        except UserError as refusal:
            assert refusal.reason is Reason.OUTPUT_INVALID  # noqa: PT017 - the model goes on after it
            continue
        if load.delete is not None and load.incremental and there:
            model.delete(load.delete.column, load.delete.operator, load.delete.values)
        rows = [row[: len(load.columns)] for row in load.rows]
        incremental = load.incremental and there
        model.load(load.columns, rows, incremental=incremental, key=load.key, insert=load.insert)
        there = True
    if there:
        assert await content(store) == model.content()
        head = await head_rows(store, FOO, 2)
        assert decode(head) == model.content()[:3]


async def test_changed_since_delivers_what_was_loaded_since_then() -> None:
    store = new_store()
    for number in range(4):
        await take(store, number, Load([(str(number), "x", "")], wide=number > 1))
    since = [Wish(changed_since=START + timedelta(hours=hours)) for hours in (0, 1, 2, 3, 3.5)]
    found = [[row[0] for row in (await content(store, wish))[1:]] for wish in since]
    assert found == [["0", "1", "2", "3"], ["1", "2", "3"], ["2", "3"], ["3"], []]
    pointer = (await need_table(store, FOO)).pointer
    assert plan_read(pointer, since[2]).mapping is None, "these have the table's columns: they pass unparsed"
    assert plan_read(pointer, since[1]).mapping is not None


async def test_times_of_commits_never_go_back_so_that_nothing_is_missed() -> None:
    store = new_store()
    await take(store, 5, Load([("late", "", "")]))
    await take(store, 1, Load([("early", "", "")]))
    pointer = (await need_table(store, FOO)).pointer
    assert [segment.time for segment in pointer.segments] == [START + timedelta(hours=5)] * 2
    assert len(await content(store, Wish(changed_since=START + timedelta(hours=3)))) == 3


async def test_a_segment_tells_the_version_that_brought_it() -> None:
    store = new_store()
    await take(store, 0, Load([("1", "", "")]))
    load = await written(store, "r1", Load([("2", "", ""), ("3", "", "")]))
    twice = [dataclasses.replace(load, slices=(part,), source=f"{i}.csv") for i, part in enumerate(load.slices)]
    await publish(store, "r1", 1, result(*twice), now=START)
    pointer = (await need_table(store, FOO)).pointer
    assert [segment.version for segment in pointer.segments] == [1, 2, 2]
    await take(store, 2, Load([("4", "", "")], incremental=False))
    pointer = (await need_table(store, FOO)).pointer
    assert (pointer.version, [segment.version for segment in pointer.segments]) == (3, [3])


async def test_a_primary_key_is_resolved_after_deletions_and_before_conditions() -> None:
    store = new_store()
    await take(store, 0, Load([("1", "old", ""), ("2", "old", ""), ("1", "new", "")], key=("a",)))
    assert (await content(store))[1:] == [("2", "old"), ("1", "new")]
    assert (await content(store, Wish(where=Where("b", "eq", ("old",)))))[1:] == [("2", "old")]
    await take(store, 1, Load([("3", "x", "")], delete=Where("b", "eq", ("new",))))
    assert (await content(store))[1:] == [("2", "old"), ("3", "x")], "the row that was replaced does not come back"
    await take(store, 2, Load([("1", "again", "")]))
    assert (await content(store))[1:] == [("2", "old"), ("3", "x"), ("1", "again")]


async def test_rows_that_are_inserted_replace_none_of_the_same_key_and_are_replaced_by_later_ones() -> None:
    store = new_store()
    await take(store, 0, Load([("1", "old", ""), ("2", "old", "")], key=("a",)))
    await take(store, 1, Load([("1", "new", ""), ("1", "newer", "")], insert=True))
    assert (await content(store))[1:] == [("1", "old"), ("2", "old"), ("1", "new"), ("1", "newer")]
    await take(store, 2, Load([("1", "last", "")]))
    assert (await content(store))[1:] == [("2", "old"), ("1", "last")]


async def test_nobody_parses_a_table_with_a_key_into_which_rows_were_only_inserted() -> None:
    store = new_store()
    await take(store, 0, Load([("1", "x", ""), ("1", "x", "")], key=("a",), insert=True))
    await take(store, 1, Load([("1", "x", "")], insert=True))
    assert plan_read((await need_table(store, FOO)).pointer, Wish()).mapping is None
    assert (await content(store))[1:] == [("1", "x")] * 3


async def test_a_full_load_forgets_what_was_deleted() -> None:
    store = new_store()
    await take(store, 0, Load([("1", "x", "")]))
    await take(store, 1, Load([], delete=Where("a", "eq", ("1",))))
    assert await content(store) == [("a", "b")]
    await take(store, 2, Load([("1", "x", "")], incremental=False, delete=Where("a", "eq", ("1",))))
    pointer = (await need_table(store, FOO)).pointer
    assert [segment.kind for segment in pointer.segments] == ["rows"]
    assert await content(store) == [("a", "b"), ("1", "x")]


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (Load([("1", "2", "")], key=("z",)), "`z` in its primary key"),
        (Load([("1", "2", "")], delete=Where("z", "eq", ("1",))), "deletes rows by the column `z`"),
        (Load([("1", "2", "")], delete=Where("a", "gt", ("1",))), "the operator `gt`; expected eq or ne"),
    ],
)
async def test_what_names_no_column_or_operator_changes_nothing(load: Load, told: str) -> None:
    store = new_store()
    await take(store, 0, Load([("1", "x", "")]))
    with pytest.raises(UserError) as refusal:
        await take(store, 1, load)
    assert (told in refusal.value.message, refusal.value.reason) == (True, Reason.OUTPUT_INVALID)
    assert await content(store) == [("a", "b"), ("1", "x")]


@pytest.mark.parametrize(
    ("wish", "slices", "parsed"),
    [
        (Wish(), 3, False),
        (Wish(columns=("a", "b")), 3, False),
        (Wish(columns=("b", "a")), 3, True),
        (Wish(columns=("*",)), 3, False),
        (Wish(columns=("b", "*")), 3, True),
        (Wish(where=Where("a", "eq", ("1",))), 3, True),
        (Wish(limit=1), 1, True),
        (Wish(limit=5), 1, False),
        (Wish(limit=6), 2, True),
        (Wish(limit=99), 3, False),
        (Wish(where=Where("a", "eq", ("1",)), limit=1), 3, True),
        (Wish(changed_since=START + timedelta(1)), 0, False),
    ],
)
def test_only_what_is_needed_is_read_and_parsed(wish: Wish, slices: int, parsed: bool) -> None:
    reading = plan_read(pointer(rows("r1", 5, 5), rows("r2", 5)), wish)
    assert (len(reading.slices), reading.mapping is not None) == (slices, parsed)
    if reading.mapping is not None:
        assert sum(step.slices for step in reading.mapping.steps) == slices


def test_a_key_is_always_resolved() -> None:
    found = plan_read(pointer(rows("r1", 5), key=("a",)), Wish(limit=1))
    assert (found.mapping is not None, found.rows) == (True, None)


def test_a_pointer_of_an_earlier_release_reads_on() -> None:
    raw: dict[str, Any] = pointer(rows("r1", 5)).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert "time" not in raw["segments"][0]
    found = plan_read(Pointer.model_validate(raw), Wish(changed_since=START))
    assert len(found.slices) == 1


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"has no column `z\*`.*it has `a`, `b`"):
        plan_read(pointer(rows("r1", 1)), Wish(columns=("a", "z*")))
    for wish in (Wish(columns=("a", "z")), Wish(where=Where("z", "eq", ("1",)))):
        with pytest.raises(UserError, match=r"has no column `z`.*it has `a`, `b`") as refusal:
            plan_read(pointer(rows("r1", 5)), wish)
        assert refusal.value.reason is Reason.INPUT_INVALID


def test_a_pattern_is_resolved_before_stage_in_reads() -> None:
    found = plan_read(pointer(rows("r1", 1)), Wish(columns=("b", "*")))
    assert found.columns == ("b", "a")
    assert found.mapping is not None
    assert found.mapping.select == ("b", "a")


def test_a_deletion_is_a_step() -> None:
    delete = Segment.model_validate(
        {"kind": "delete", "run": "r2", "attempt": 1, "delete": {"column": "a", "values": ["1"]}}
    )
    found = plan_read(pointer(delete, rows("r1", 5), delete), Wish())
    assert found.mapping is not None
    assert found.mapping.steps == (Step(("a", "b"), 1), Step(None, 0, Where("a", "eq", ("1",))))
    assert plan_read(pointer(delete), Wish()).mapping is None
