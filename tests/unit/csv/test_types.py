"""What is a value of which type."""

from __future__ import annotations

import pytest

from componentrun.csv.columnfacts import BASE_TYPES, ColumnFacts
from componentrun.csv.text import CsvError
from componentrun.csv.types import check_typed_rows, typed_columns

GOOD = {
    "STRING": ["", "x", " "],
    "INTEGER": ["0", "-1", "+7", "007", "9" * 40],
    "NUMERIC": ["0", "-1.50", ".5", "1.", "+1.0"],
    "FLOAT": ["0", "1e6", "-1.5E-3", ".5e+1"],
    "BOOLEAN": ["true", "FALSE", "1", "0", "True"],
    "DATE": ["2026-01-31", "2024-02-29", "0001-01-01"],
    "TIMESTAMP": [
        "2026-01-31", "2026-01-31 12:30", "2026-01-31T12:30:59Z", "2026-01-31 12:30:00.123456789+01:00",
        "2026-01-31 12:30:00 +0100", "2026-01-31T12:30:00-05",
    ],
}  # fmt: skip
BAD = {
    "INTEGER": ["1.0", " 1", "1 ", "x", "1e3", "--1", "\uff11"],
    "NUMERIC": ["1,0", ".", "1e3", "NaN", "0x1"],
    "FLOAT": ["e1", "1e", "inf", "NaN", "1,5"],
    "BOOLEAN": ["yes", "t", "2", " true"],
    "DATE": ["2026-02-30", "31.1.2026", "2026-1-31", "2026-01-31T00:00:00"],
    "TIMESTAMP": [
        "now", "2026-02-30 00:00:00", "2026-01-31 25:00", "2026-01-31 12:30:61", "2026-01-31 12", "2026-01-31T12:61:00",
    ],
}  # fmt: skip


def look(kind: str, value: str, *, nullable: bool | None = None) -> None:
    columns = ("a", "b")
    typed = typed_columns(columns, [ColumnFacts("b", kind, nullable=nullable)])
    data = b"head\n" * 10 + f'"x\ny","{value}"\n'.encode()
    assert check_typed_rows(lambda n, at: data[at : at + n], 50, len(data), columns, "x.csv", typed) == 1


def test_every_type_has_a_rule() -> None:
    assert set(GOOD) == set(BASE_TYPES)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in GOOD.items() for value in values])
def test_a_value_of_its_type(kind: str, value: str) -> None:
    look(kind, value)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD.items() for value in values])
def test_a_value_of_another_type_is_named(kind: str, value: str) -> None:
    with pytest.raises(CsvError) as caught:
        look(kind, value)
    assert caught.value.message == f"x.csv, line 11, column `b`: found `{value}`, expected {kind}"


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_value_may_be_missing_unless_it_is_said_otherwise(kind: str) -> None:
    look(kind, "")
    look(kind, "", nullable=True)
    with pytest.raises(CsvError, match=f"line 11, column `b`: found an empty value, expected {kind}"):
        look(kind, "", nullable=False)


def test_a_single_empty_column_is_an_empty_line() -> None:
    typed = typed_columns(("a",), [ColumnFacts("a", "INTEGER", nullable=False)])
    with pytest.raises(CsvError, match="line 2, column `a`: found an empty value"):
        check_typed_rows(lambda n, at: b"1\n\n"[at : at + n], 0, 3, ("a",), "x.csv", typed)


def test_a_line_ends_with_a_line_feed_also_where_values_hold_carriage_returns() -> None:
    typed = typed_columns(("a", "b"), [ColumnFacts("b", "INTEGER")])
    data = b'"x\ry",1\r\n"x\r\ny",2\n3,four\n'
    with pytest.raises(CsvError, match="line 4, column `b`: found `four`"):
        check_typed_rows(lambda n, at: data[at : at + n], 0, len(data), ("a", "b"), "x.csv", typed)


def test_columns_of_which_nothing_is_said_are_not_looked_at() -> None:
    facts = [ColumnFacts("a"), ColumnFacts("b", "STRING"), ColumnFacts("gone", "DATE")]
    assert typed_columns(("a", "b"), facts) == ()
