"""Which loads fit their tables, and what a load makes of what is known of columns."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from componentrun.csv.columnfacts import ColumnFacts
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.loader.loading.columns import Column, merged_columns
from componentrun.loader.loading.loads import Existing, TableLoad, check_load, loads_of
from componentrun.wire.agents import SliceWritten, TableWritten, Where

NAMES = ("id", "n")


def load(*columns: str, incremental: bool = False, key: tuple[str, ...] = (), **more: Any) -> TableLoad:
    return TableLoad("in.c-main.t", "t.csv", columns, primary_key=key, incremental=incremental, **more)


def there(*names: str, key: tuple[str, ...] = ()) -> Existing:
    return Existing(tuple(Column(name=name) for name in names), key)


@pytest.mark.parametrize("columns", [("a", "b", "c"), ("c", "b", "a"), ("b", "a"), ("d", "b", "c", "a")])
@pytest.mark.parametrize("incremental", [False, True])
def test_columns_may_be_added_and_stand_in_any_order(columns: tuple[str, ...], incremental: bool) -> None:
    check_load(there("a", "b"), load(*columns, incremental=incremental))
    check_load(None, load(*columns, incremental=incremental))


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
        (load("a", "b", delete_where=Where("z", "eq", ("1",))), "deletes rows by the column `z`"),
    ],
)
def test_a_load_that_does_not_fit_is_refused_by_name(refused: TableLoad, told: str) -> None:
    with pytest.raises(UserError) as refusal:
        check_load(there("a", "b", key=("a",)), refused)
    assert told in refusal.value.message
    assert "in.c-main.t: `t.csv`" in refusal.value.message
    assert refusal.value.reason is Reason.OUTPUT_INVALID


def test_a_key_is_the_same_whatever_the_order_of_its_columns() -> None:
    check_load(there("a", "b", key=("a", "b")), load("a", "b", key=("b", "a"), incremental=True))


def test_a_table_of_thousands_of_columns_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"lacks the columns `column 0`, .* `column 9` and 5990 more of") as refusal:
        check_load(there(*(f"column {i}" for i in range(6000))), load("x" * 5000))
    assert len(refusal.value.message) < 1000


def test_a_load_of_very_many_columns_takes_no_time() -> None:
    names = [f"column {number}" for number in range(20_000)]
    begun = process_time()
    check_load(there(*names), load(*names, "one more", incremental=True))
    columns = merged_columns([*names, "one more"], there(*names).columns, (), full=False)
    assert len(columns) == len(names) + 1
    # A second or so, where each name is looked for once, and minutes, where all are gone through for each.
    assert process_time() - begun < 20


def test_an_incremental_load_may_not_say_another_type() -> None:
    before = Existing((Column(name="id"), Column(name="n", type="DATE")), ())
    said = (Column(name="n", type="STRING"),)
    with pytest.raises(UserError) as caught:
        check_load(before, load(*NAMES, incremental=True, described=said))
    assert caught.value.reason is Reason.OUTPUT_INVALID
    assert "says that the column `n` is STRING, the table says DATE; leave the type out" in caught.value.message
    check_load(before, load(*NAMES, described=said))


class TestWhatStageOutSays:
    OWN = "team/a/data/r1-1/"

    def written(self, **change: Any) -> TableWritten:
        given: dict[str, Any] = {
            "source": "t.csv", "destination": "in.c-main.t", "columns": ("a",), "primary_key": (),
            "incremental": False, "write_always": False, "rows": 1, "size": 2,
            "slices": (SliceWritten(f"{self.OWN}0.csv", 2, 1, "e"), SliceWritten(f"{self.OWN}1.csv", 0, 0, "e")),
        }  # fmt: skip
        return TableWritten(**given | change)

    def test_becomes_a_load_without_empty_slices(self) -> None:
        (found,) = loads_of([self.written()], self.OWN)
        assert (found.table, found.rows, found.size, len(found.slices)) == ("in.c-main.t", 1, 2, 1)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"destination": "nowhere"}, "`t.csv`: `nowhere` is not a table id"),
            ({"delete_where": Where("a", "gt", ("1",))}, "deletes rows with the operator `gt`; expected eq or ne"),
            ({"schema": (ColumnFacts("a", "INT"),)}, "has a column with a type that this release does not know"),
        ],
    )
    def test_is_refused_where_it_can_not_be(self, change: dict[str, Any], told: str) -> None:
        with pytest.raises(UserError) as refusal:
            loads_of([self.written(**change)], self.OWN)
        assert told in refusal.value.message
        assert refusal.value.reason is Reason.OUTPUT_INVALID

    @pytest.mark.parametrize(
        ("part", "told"),
        [
            (SliceWritten("team/a/data/r2-1/0.csv", 2, 1, "e"), "the only place"),
            (SliceWritten(f"{OWN}../0.csv", 2, 1, "e"), "the only place"),
            (SliceWritten(f"{OWN}0.csv", 2, 1, "e", encoding="lzma", stored=1), "expected gzip, zstd or neither"),
        ],
    )
    def test_names_only_objects_of_its_own_that_can_be_read(self, part: SliceWritten, told: str) -> None:
        with pytest.raises(PlatformError, match=told) as refusal:
            loads_of([self.written(slices=(part,))], self.OWN)
        assert refusal.value.reason is Reason.PUBLISH_FAILED

    def test_of_two_files_for_one_table_the_second_has_to_add(self) -> None:
        second = self.written(source="u.csv")
        with pytest.raises(UserError, match=r"`t.csv` and `u.csv` both become `in.c-main.t`"):
            loads_of([self.written(), second], self.OWN)
        assert len(loads_of([self.written(), self.written(source="u.csv", incremental=True)], self.OWN)) == 2

    def test_names_all_that_is_wrong(self) -> None:
        wrong = [self.written(source=f"{name}.csv", destination=name) for name in ("here", "there")]
        with pytest.raises(UserError, match=r"`here.csv`: .* Also: `there.csv`: "):
            loads_of(wrong, self.OWN)


class TestColumns:
    def merged(self, before: dict[str, Any], said: dict[str, Any], *, full: bool) -> Column:
        columns = (Column(name="id"), Column(name="n", **before))
        return merged_columns(NAMES, columns, (Column(name="n", **said),), full=full)[1]

    def test_facts_of_the_agents_and_columns_are_the_same(self) -> None:
        facts = ColumnFacts("a", "DATE", "1", "", False, "d", {"k": "v"}, {"snowflake": {"type": "DATE"}})
        assert Column.of(facts).facts == facts
        assert Column.of(ColumnFacts("a")) == Column(name="a")
        with pytest.raises(ValueError, match="type"):
            Column.of(ColumnFacts("a", "INT"))

    def test_a_full_load_brings_its_own_types_and_leaves_descriptions(self) -> None:
        before = {"type": "INTEGER", "nullable": False, "description": "key", "metadata": {"a": "1", "b": "1"}}
        found = self.merged(before, {"type": "STRING", "metadata": {"b": "2"}}, full=True)
        assert found == Column(name="n", type="STRING", description="key", metadata={"a": "1", "b": "2"})
        assert merged_columns(NAMES, (Column(name="n", **before),), (), full=True)[1] == Column(
            name="n", description="key", metadata={"a": "1", "b": "1"}
        )

    def test_an_incremental_load_that_says_nothing_changes_nothing(self) -> None:
        before = (Column(name="id", type="INTEGER", nullable=False), Column(name="n"))
        assert merged_columns(NAMES, before, (), full=False) == before

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
        self, before: dict[str, Any], said: dict[str, Any], after: dict[str, Any]
    ) -> None:
        assert self.merged(before, said, full=False) == Column(name="n", **after)

    def test_a_column_that_is_added_is_empty_in_the_rows_before(self) -> None:
        said = Column(name="new", type="DATE", nullable=False)
        found = merged_columns((*NAMES, "new"), there(*NAMES).columns, (said,), full=False)
        assert found[2] == Column(name="new", type="DATE", nullable=True)
