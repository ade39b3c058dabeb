"""The rules of a load, as tables and against a plain model."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.errors import PlatformError, Reason, UserError
from componentrun.storage.document import parse_document
from componentrun.storage.pointer import (
    RECENT_COMMITS,
    Commit,
    Pointer,
    Slice,
    TableLoad,
    apply_load,
    merge_load,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def commit(run: str, minute: int = 0) -> Commit:
    return Commit(run=run, attempt=1, time=START + timedelta(minutes=minute))


def load(
    *columns: str, rows: int = 1, incremental: bool = False, key: tuple[str, ...] = (), name: str = "s"
) -> TableLoad:
    slices = (Slice(key=name, size=rows * 10, rows=rows, etag='"e"'),) if rows else ()
    return TableLoad(
        table="in.c-main.t", source="t.csv", columns=columns, primary_key=key, incremental=incremental, slices=slices
    )


def test_a_full_load_replaces_the_rows() -> None:
    first = apply_load(None, load("a", "b", rows=5), commit("r1"))
    second = apply_load(first, load("a", "b", rows=2, name="s2"), commit("r2", 1))
    assert (second.version, second.rows, second.bytes) == (2, 2, 20)
    assert [part.key for part in second.slices] == ["s2"]
    assert (second.created, second.last_change) == (START, START + timedelta(minutes=1))
    assert second.committed_by.run == "r2"


def test_an_incremental_load_adds_a_segment() -> None:
    first = apply_load(None, load("a", rows=5, key=("a",)), commit("r1"))
    second = apply_load(first, load("a", rows=2, incremental=True, name="s2"), commit("r2", 1))
    assert [(segment.run, len(segment.slices)) for segment in second.segments] == [("r1", 1), ("r2", 1)]
    assert second.rows == 7
    assert second.primary_key == ("a",)


def test_an_empty_table_has_columns_and_no_segment() -> None:
    empty = apply_load(None, load("a", "b", rows=0), commit("r1"))
    assert (empty.column_names, empty.segments, empty.rows) == (("a", "b"), (), 0)


@pytest.mark.parametrize(
    ("columns", "incremental", "expected"),
    [
        (("a", "b", "c"), False, ("a", "b", "c")),
        (("c", "b", "a"), False, ("c", "b", "a")),
        (("b", "a"), False, ("b", "a")),
        (("a", "b", "c"), True, ("a", "b", "c")),
        (("a", "b"), True, ("a", "b")),
        (("b", "a"), True, ("a", "b")),
        (("d", "b", "c", "a"), True, ("a", "b", "d", "c")),
    ],
)
def test_columns_may_be_added_and_stand_in_any_order(
    columns: tuple[str, ...], incremental: bool, expected: tuple[str, ...]
) -> None:
    first = apply_load(None, load("a", "b"), commit("r1"))
    assert apply_load(first, load(*columns, incremental=incremental), commit("r2")).column_names == expected


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (load("a"), "lacks the column `b`"),
        (load("x", "y"), "lacks the columns `a`, `b`"),
        (load("a", "B"), "lacks the column `b`"),
        (load("a", "b", "a"), "`a` more than once"),
        (load("a", "b", key=("z",)), "`z` in its primary key"),
        (load("a", "b", incremental=True, key=("b",)), "primary key `b`, the table has `a`"),
        (load(), "no column"),
        (load("a", ""), "without a name"),
    ],
)
def test_a_load_that_does_not_fit_is_refused_by_name(refused: TableLoad, told: str) -> None:
    first = apply_load(None, load("a", "b", key=("a",)), commit("r1"))
    with pytest.raises(UserError) as refusal:
        apply_load(first, refused, commit("r2"))
    assert told in refusal.value.message
    assert "in.c-main.t: `t.csv`" in refusal.value.message
    assert refusal.value.reason is Reason.OUTPUT_INVALID


def test_a_key_is_the_same_whatever_the_order_of_its_columns() -> None:
    first = apply_load(None, load("a", "b", "c", key=("a", "b")), commit("r1"))
    second = apply_load(first, load("a", "b", "c", key=("b", "a"), incremental=True), commit("r2"))
    assert second.primary_key == ("a", "b")
    assert apply_load(None, load("a", "b", key=("a", "a")), commit("r1")).primary_key == ("a",)


def test_a_table_of_thousands_of_columns_is_refused_in_a_sentence() -> None:
    first = apply_load(None, load(*(f"column {i}" for i in range(6000))), commit("r1"))
    with pytest.raises(UserError, match=r"lacks the columns `column 0`, .* `column 9` and 5990 more of") as refusal:
        apply_load(first, load("x" * 5000), commit("r2"))
    assert len(refusal.value.message) < 1000


def test_a_load_of_very_many_columns_holds_up_nobody() -> None:
    """The operator does nothing else while it works out what becomes of a table: it would lose its Lease."""
    names = [f"column {number}" for number in range(20_000)]
    begun = process_time()
    table = apply_load(None, load(*names), commit("r0"))
    table = apply_load(table, load(*names, "one more", incremental=True), commit("r1", 1))
    assert len(table.columns) == len(names) + 1
    # A second or so, where each name is looked for once, and minutes, where all are gone through for each.
    assert process_time() - begun < 20


def test_what_is_decided_is_merged_even_if_the_table_has_changed_since() -> None:
    other = apply_load(None, load("x", "a"), commit("r1"))
    merged = merge_load(other, load("a", "b", incremental=True), commit("r2"))
    assert merged.column_names == ("x", "a", "b")
    assert [segment.columns for segment in merged.segments] == [("x", "a"), ("a", "b")]


def test_a_table_remembers_its_last_commits_newest_first() -> None:
    table: Pointer | None = None
    for number in range(RECENT_COMMITS + 20):
        table = apply_load(table, load("a"), commit(f"r{number}"))
    assert table is not None
    assert len(table.recent_commits) == RECENT_COMMITS
    assert table.recent_commits[0] == f"r{RECENT_COMMITS + 19}"
    assert table.has_commit("r25")
    assert not table.has_commit("r5")


def test_the_time_of_the_last_change_never_goes_back() -> None:
    late = apply_load(None, load("a"), commit("r1", 9))
    assert apply_load(late, load("a"), commit("r2", 3)).last_change == START + timedelta(minutes=9)


def test_a_pointer_is_the_same_after_a_round_trip() -> None:
    table = apply_load(None, load("a", "b", rows=3, key=("a",)), commit("r1"))
    assert parse_document(Pointer, table.to_bytes(), "here", 1) == table
    assert b'"primaryKey":["a"]' in table.to_bytes()
    assert b'"recentCommits":["r1"]' in table.to_bytes()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is no valid pointer"),
        (b"{}", "is no valid pointer: id"),
        (b"[1]", "is no valid pointer"),
    ],
)
def test_a_broken_pointer_is_refused_with_its_place(data: bytes, told: str) -> None:
    with pytest.raises(PlatformError) as refusal:
        parse_document(Pointer, data, "s3://b/k", 1)
    assert "s3://b/k" in refusal.value.message
    assert told in refusal.value.message


def test_a_pointer_of_a_later_release_is_not_misread() -> None:
    later = apply_load(None, load("a"), commit("r1")).model_copy(update={"format": 2})
    with pytest.raises(PlatformError, match="format 2"):
        parse_document(Pointer, later.to_bytes(), "here", 1)


@dataclass
class Model:
    """The same table as a plain list of rows with their columns."""

    columns: tuple[str, ...] | None = None
    rows: list[str] = field(default_factory=list)
    loads: int = 0

    def fits(self, new: TableLoad) -> bool:
        if self.columns is None:
            return True
        return set(self.columns) <= set(new.columns)

    def apply(self, new: TableLoad) -> None:
        kept = self.rows if new.incremental else []
        there = self.columns or () if new.incremental else ()
        self.columns = there + tuple(name for name in new.columns if name not in there)
        self.rows = kept + [part.key for part in new.slices]
        self.loads += 1


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True),
            st.booleans(),
            st.integers(0, 3),
        ),
        max_size=12,
    )
)
def test_any_sequence_of_loads_agrees_with_the_model(steps: list[tuple[list[str], bool, int]]) -> None:
    table: Pointer | None = None
    model = Model()
    for number, (columns, incremental, rows) in enumerate(steps):
        new = load(*columns, rows=rows, incremental=incremental, name=f"s{number}")
        if model.fits(new):
            model.apply(new)
            table = apply_load(table, new, commit(f"r{number}", number))
            assert table.column_names == model.columns
            assert [part.key for part in table.slices] == model.rows
            assert table.version == model.loads
            assert table.rows == sum(part.rows for part in table.slices)
            assert table.bytes == sum(part.size for part in table.slices)
        else:
            with pytest.raises(UserError):
                apply_load(table, new, commit(f"r{number}", number))
