"""Typed columns: values are converted to the column's type, or the load is rejected."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from componentrun.csv.columnfacts import ColumnFacts
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import Where
from tests.integration.loader.foreign import Foreign

if TYPE_CHECKING:
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store

A = "out.c-main.a"
SCHEMA = (
    ColumnFacts("text", type="STRING"),
    ColumnFacts("number", type="INTEGER"),
    ColumnFacts("amount", type="NUMERIC", length="12,2"),
    ColumnFacts("ratio", type="FLOAT"),
    ColumnFacts("is_paid", type="BOOLEAN"),
    ColumnFacts("day", type="DATE"),
    ColumnFacts("moment", type="TIMESTAMP"),
)
NAMES = tuple(facts.name for facts in SCHEMA)


def load(bench: Bench, rows: list[list[str]], schema: tuple[ColumnFacts, ...] = SCHEMA, **more: object) -> None:
    run = bench.new_run()
    names = tuple(facts.name for facts in schema)
    bench.load(run, bench.table(run, A, names, rows, schema=schema, **more), typed=True)  # type: ignore[arg-type]


def test_every_type_comes_as_engines_have_it_and_an_empty_value_is_null(bench: Bench) -> None:
    load(bench, [
        ["x", "-12", "1.50", "1e3", "TRUE", "2026-01-31", "2026-01-31 12:30:00.123456+01:00"],
        [""] * 7,
    ])  # fmt: skip
    found = Foreign(bench.space).rows(A)
    assert sorted(found, key=lambda row: row[0], reverse=True) == [
        (
            "x", -12, Decimal("1.50"), 1000.0, True, dt.date(2026, 1, 31),
            dt.datetime(2026, 1, 31, 11, 30, 0, 123456),  # noqa: DTZ001 - a timestamp without a zone
        ),
        ("", None, None, None, None, None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31 12:30Z", "2026-01-31T12:30", "2026-01-31 12:30:00 +00:00", "2026-01-31 13:30+01",
        "2026-01-31T14:30:00.000000000+0200", "2026-01-31 11:30 -01:00",
    ],
)  # fmt: skip
def test_a_time_may_have_every_form_that_the_check_of_types_takes(bench: Bench, value: str) -> None:
    load(bench, [["", "", "", "", "", "", value]])
    moment = dt.datetime(2026, 1, 31, 12, 30)  # noqa: DTZ001 - a timestamp without a zone
    assert Foreign(bench.space).rows(A, "moment") == [(moment,)]


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("number", "9223372036854775808", "long"),
        ("number", "1.5", "long"),
        ("amount", "99999999999.00", r"decimal\(12, 2\)"),
        ("ratio", "1e400", "double"),
        ("is_paid", "perhaps", "boolean"),
        ("day", "2026-02-30", "date"),
        ("moment", "soon", "timestamp"),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_nothing_is_changed(
    bench: Bench, column: str, value: str, kind: str
) -> None:
    load(bench, [["kept", "1", "", "", "", "", ""]])
    row = ["", "", "", "", "", "", ""]
    row[NAMES.index(column)] = value
    with pytest.raises(UserError, match=rf"`{A}`: the column `{column}` is {kind}, and can't hold `{value}`") as caught:
        load(bench, [["new", "2", "", "", "", "", ""], row], incremental=True)
    assert caught.value.reason is Reason.OUTPUT_INVALID
    assert Foreign(bench.space).rows(A, "text") == [("kept",)]


def test_keys_are_compared_as_values_and_not_as_texts(bench: Bench) -> None:
    schema = (ColumnFacts("id", type="INTEGER"), ColumnFacts("amount", type="NUMERIC"), ColumnFacts("v"))
    load(bench, [["1", "1.5", "a"], ["01", "1.50", "b"], ["2", "", "c"]], schema, key=["id", "amount"])
    load(bench, [["+2", "", "d"], ["1", "1.500", "e"]], schema, incremental=True)
    assert sorted(Foreign(bench.space).rows(A, "id, v")) == [(1, "e"), (2, "d")]


@pytest.mark.parametrize(("operator", "left"), [("eq", [3]), ("ne", [1, 2])])
def test_rows_are_deleted_by_values_and_not_by_texts(bench: Bench, operator: str, left: list[int]) -> None:
    schema = (ColumnFacts("id", type="INTEGER"), ColumnFacts("amount", type="NUMERIC"))
    load(bench, [["1", "1.5"], ["2", ""], ["3", "4"]], schema)
    load(bench, [], schema, incremental=True, delete=Where("amount", operator, ("1.50", "")))
    assert sorted(number for (number,) in Foreign(bench.space).rows(A, "id")) == left


def test_text_loaded_into_typed_columns_keeps_their_types_until_a_full_load(bench: Bench) -> None:
    load(bench, [["x", "1", "", "", "", "", ""]])
    run = bench.new_run()
    bench.load(run, bench.table(run, A, NAMES, [["y", "2", "", "", "", "", ""]], incremental=True))
    assert sorted(Foreign(bench.space).rows(A, "text, number")) == [("x", 1), ("y", 2)]
    run = bench.new_run()
    bench.load(run, bench.table(run, A, NAMES, [["z", "three", "", "", "", "", ""]]))
    assert Foreign(bench.space).rows(A, "text, number, day") == [("z", "three", "")]
