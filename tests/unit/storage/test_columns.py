"""What a load makes of what is known of columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from componentrun.columnfacts import ColumnFacts
from componentrun.errors import Reason, UserError
from componentrun.storage.columns import Column
from componentrun.storage.pointer import Commit, Pointer, Slice, TableLoad, apply_load, check_load, merge_load

COMMIT = Commit(run="r", attempt=1, time=datetime(2026, 1, 1, tzinfo=UTC))
NAMES = ("id", "n")
PART = Slice(key="k", size=2, rows=1, etag='"e"')


def load(*described: Column, incremental: bool = False, columns: tuple[str, ...] = NAMES, **more: Any) -> TableLoad:
    return TableLoad(
        table="out.c-m.t", columns=columns, described=described, incremental=incremental, slices=(PART,), **more
    )


def table(*described: Column, **more: Any) -> Pointer:
    return merge_load(None, load(*described, **more), COMMIT)


def test_what_is_said_is_kept_by_name() -> None:
    said = Column(name="n", type="NUMERIC", length="38,9", nullable=False, description="how many", metadata={"k": "v"})
    found = table(said, metadata={"KBC.description": "all"})
    assert found.columns == (Column(name="id"), said)
    assert found.metadata == {"KBC.description": "all"}
    assert Pointer.model_validate_json(found.to_bytes()) == found


def test_facts_of_the_agents_and_columns_are_the_same() -> None:
    facts = ColumnFacts("a", "DATE", "1", "", False, "d", {"k": "v"}, {"snowflake": {"type": "DATE"}})
    assert Column.of(facts).facts == facts
    assert Column.of(ColumnFacts("a")) == Column(name="a")
    with pytest.raises(ValueError, match="type"):
        Column.of(ColumnFacts("a", "INT"))


def test_a_full_load_brings_its_own_types_and_leaves_descriptions() -> None:
    first = table(
        Column(name="id", type="INTEGER", nullable=False, description="key", metadata={"a": "1", "b": "1"}),
        Column(name="n", type="DATE", description="day"),
        metadata={"x": "1", "y": "1"},
    )
    said = Column(name="id", type="STRING", metadata={"b": "2"})
    second = apply_load(first, load(said, metadata={"y": "2"}), COMMIT)
    assert second.columns == (
        Column(name="id", type="STRING", description="key", metadata={"a": "1", "b": "2"}),
        Column(name="n", description="day"),
    )
    assert second.metadata == {"x": "1", "y": "2"}


def test_an_incremental_load_that_says_nothing_changes_nothing() -> None:
    first = table(Column(name="id", type="INTEGER", nullable=False), metadata={"x": "1"})
    second = apply_load(first, load(incremental=True), COMMIT)
    assert (second.columns, second.metadata) == (first.columns, first.metadata)


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        ({"length": "10"}, {"length": "9"}, {"length": "10"}),
        ({"length": "9"}, {"length": "10"}, {"length": "10"}),
        ({"length": "38,9"}, {"length": "38,2"}, {}),
        ({"length": "38,9"}, {"length": "38,9"}, {"length": "38,9"}),
        ({"length": "9"}, {}, {"length": "9"}),
        ({"nullable": False}, {"nullable": True}, {"nullable": True}),
        ({"nullable": True}, {"nullable": False}, {"nullable": True}),
        ({"nullable": False}, {"nullable": False}, {"nullable": False}),
        ({"type": "DATE"}, {"description": "day"}, {"type": "DATE", "description": "day"}),
        ({"description": "day"}, {"type": "DATE"}, {"type": "DATE", "description": "day"}),
        ({"default": "1"}, {"default": "2"}, {"default": "2"}),
    ],
)
def test_an_incremental_load_says_what_holds_for_all_rows(
    before: dict[str, Any], said: dict[str, Any], after: dict[str, Any]
) -> None:
    first = table(Column(name="n", **before))
    second = apply_load(first, load(Column(name="n", **said), incremental=True), COMMIT)
    assert second.columns[1] == Column(name="n", **after)


def test_an_incremental_load_may_not_say_another_type() -> None:
    first = table(Column(name="n", type="DATE"))
    other = load(Column(name="n", type="STRING"), incremental=True)
    with pytest.raises(UserError) as caught:
        check_load(first, other)
    assert caught.value.reason is Reason.OUTPUT_INVALID
    assert "says that the column `n` is STRING, the table says DATE; leave the type out" in caught.value.message
    # Decided already, and another run was faster: text is what both are.
    assert merge_load(first, other, COMMIT).columns[1].type == "STRING"
    check_load(first, load(Column(name="n", type="STRING")))


def test_a_column_that_is_added_is_empty_in_the_rows_before() -> None:
    said = Column(name="new", type="DATE", nullable=False)
    second = apply_load(table(), load(said, incremental=True, columns=(*NAMES, "new")), COMMIT)
    assert second.columns[2] == Column(name="new", type="DATE", nullable=True)
