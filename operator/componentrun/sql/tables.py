"""What has to be applied to files of rows, as SQL for DuckDB. Pure text: DuckDB is not imported here.

Every value is text and stays as it is, byte for byte; an empty value and a missing one are both empty (NULL in here).
Columns are called `c0`, `c1`, ... inside, because DuckDB takes `id` and `ID` for one name.

The order of the rows is that of the files, one after the other. Of several rows that agree in the primary key the last
one counts, wherever the others are: so a row is there unless a later one has its key, or a later step deletes it. Rows
of a step that inserts replace none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.csv.text import encode_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.wire.agents import Where

__all__ = [
    "MISFIT",
    "ORDERED",
    "Mapping",
    "Step",
    "check_where",
    "columns_of",
    "condition_of",
    "copy_statement",
    "identifier",
    "keep_statement",
    "microseconds",
    "quoted",
    "rows_of",
    "select_of",
]

ORDERED: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
"""Operators that compare a number or a time."""
MISFIT: Final = "misfit: "
"""What a statement says before it tells which value it refuses."""
_NUMBER: Final = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?"
_INTEGER: Final = r"[-+]?[0-9]{1,37}"
"""What fits into 128 bits, so that long identifiers are compared exactly."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a load: rows that are added, or rows that are deleted."""

    columns: tuple[str, ...] | None
    """Of added rows, as they stand in the files; None where none are added."""
    delete: Where | None = None
    """Rows of all steps before that meet this are not there any more; then the step adds none."""
    insert: bool = False
    """Whether its rows replace none that agree in the primary key, neither of steps before nor of its own."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """What has to be applied to rows."""

    columns: tuple[str, ...]
    """Of the table; a step that lacks one has empty values there."""
    steps: tuple[Step, ...] = ()
    select: tuple[str, ...] | None = None
    """Columns to deliver, in this order; None: all."""
    primary_key: tuple[str, ...] = ()
    """A row replaces those before it that agree in these, unless its step only inserts."""
    where: Where | None = None
    """Only rows that meet this are delivered."""
    limit: int | None = None
    """Only so many rows are delivered, the first ones."""


def check_where(where: Where) -> None:
    """Refuse a condition that can't be.

    Raises:
        ValueError: the operator is unknown, or a value is none that it can compare; the message says which.
    """
    if any("\0" in value for value in where.values):
        raise ValueError("a value holds a NUL character")
    if where.operator in {"eq", "ne"}:
        if where.type != "text":
            raise ValueError(f"`{where.operator}` compares text, not a {where.type}")
        if not where.values:
            raise ValueError(f"`{where.operator}` needs at least one value")
        return
    if where.operator not in ORDERED:
        raise ValueError(f"found the operator `{where.operator}`; expected eq, ne, gt, ge, lt or le")
    if len(where.values) != 1:
        raise ValueError(f"`{where.operator}` takes one value; found {len(where.values)}")
    if where.type == "timestamp":
        microseconds(where.values[0])
    elif where.type != "number":
        raise ValueError(f"`{where.operator}` compares a number or a timestamp, not a {where.type}")
    elif not re.fullmatch(_NUMBER, where.values[0]):
        raise ValueError(f"`{where.values[0]}` is no number; expected such as `12`, `-0.5` or `1e6`")


def columns_of(mapping: Mapping) -> tuple[str, ...]:
    """The columns that are delivered."""
    return mapping.select or mapping.columns


def rows_of(mapping: Mapping, files: Sequence[Sequence[str]]) -> str:
    """A query for all rows of the steps as `c0`, `c1`, ... and `step`, in their order.

    Args:
        mapping: what is to be applied.
        files: for each step the headerless files that hold its rows.
    """
    parts = [_rows_of_step(mapping, number, files[number]) for number in range(len(mapping.steps)) if files[number]]
    if not parts:
        nothing = ", ".join(f"NULL::VARCHAR AS c{i}" for i in range(len(mapping.columns)))
        return f"SELECT {nothing}, 0 AS step WHERE false"
    return " UNION ALL ".join(parts)


def _rows_of_step(mapping: Mapping, number: int, files: Sequence[str]) -> str:
    step = mapping.steps[number]
    own = step.columns or mapping.columns
    places = {name: f"s{i}" for i, name in enumerate(own)}
    chosen = ", ".join(f"{places.get(name, 'NULL::VARCHAR')} AS c{i}" for i, name in enumerate(mapping.columns))
    kinds = ", ".join(f"'s{i}': 'VARCHAR'" for i in range(len(own)))
    listed = ", ".join(quoted(file) for file in files)
    # One thread reads a file from end to end: cut anywhere, a line break in quotes would be taken for the end of a row.
    return (
        f"SELECT {chosen}, {number} AS step FROM read_csv([{listed}], columns = {{{kinds}}}, auto_detect = false, "  # noqa: S608 - made here
        "header = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', new_line = '\\n', "
        "parallel = false, max_line_size = getvariable('row_bytes')::BIGINT, "
        "buffer_size = getvariable('buffer_bytes')::BIGINT)"
    )


def keep_statement(mapping: Mapping, rows: str) -> str | None:
    """Makes a table that says of each row, in their order, whether no later one replaces it; None: no key.

    Only keys and positions are sorted, never whole rows, so this needs little memory and spills what it has.
    """
    if not mapping.primary_key:
        return None
    key = ", ".join(f"c{mapping.columns.index(name)}" for name in mapping.primary_key)
    inserting = ", ".join(str(number) for number, step in enumerate(mapping.steps) if step.insert)
    number = f"CASE WHEN step NOT IN ({inserting}) THEN n END" if inserting else "n"
    return (
        "CREATE OR REPLACE TEMP TABLE kept AS SELECT n >= last AS keep FROM "  # noqa: S608 - made here
        f"(SELECT n, coalesce(max({number}) OVER (PARTITION BY {key}), 0) AS last FROM "
        f"(SELECT *, row_number() OVER () AS n FROM ({rows}))) ORDER BY n"
    )


def copy_statement(mapping: Mapping, rows: str, target: str, *, header: bool = True) -> str:
    """Writes what is delivered, with or without its header line, to the file `target`.

    Where nothing is delivered the file gets an empty line too many behind its header.
    """
    columns = mapping.columns
    names = columns_of(mapping)
    chosen = [f"c{columns.index(name)}" for name in names]
    if len(chosen) == 1:
        # An empty line would be skipped by most readers; two quotes are not.
        chosen = [f"coalesce({chosen[0]}, '')"]
    line = f"PREFIX {quoted(encode_header(names).decode())}, SUFFIX {quoted(chr(10))}, " if header else ""
    return (
        f"COPY ({select_of(mapping, rows, chosen)}) TO {quoted(target)} (FORMAT csv, HEADER false, {line}"
        "DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '')"
    )


def select_of(mapping: Mapping, rows: str, chosen: Sequence[str]) -> str:
    """A query for the rows that are delivered.

    Args:
        mapping: what is applied.
        rows: see `rows_of`.
        chosen: what to make of `c0`, `c1`, ..., the table's columns.
    """
    conditions = _conditions(mapping)
    if mapping.where is not None:
        conditions.append(condition_of(mapping.where, mapping.columns))
    query = f"SELECT {', '.join(chosen)} FROM {_source(mapping, rows)}"  # noqa: S608 - made here
    if conditions:
        query += f" WHERE {' AND '.join(conditions)}"
    if mapping.limit is not None:
        query += f" LIMIT {mapping.limit}"
    return query


def _source(mapping: Mapping, rows: str) -> str:
    return f"(SELECT * FROM ({rows}) POSITIONAL JOIN kept)" if mapping.primary_key else f"({rows})"  # noqa: S608 - made here


def _conditions(mapping: Mapping) -> list[str]:
    """What says of each row whether it is there."""
    columns = mapping.columns
    deleted = [_not_deleted(number, step, columns) for number, step in enumerate(mapping.steps) if step.delete]
    return (["keep"] if mapping.primary_key else []) + deleted


def _not_deleted(number: int, step: Step, columns: Sequence[str]) -> str:
    if step.delete is None:
        return "true"
    return f"NOT (step < {number} AND {condition_of(step.delete, columns)})"


def condition_of(where: Where, columns: Sequence[str]) -> str:
    """A condition on rows of `c0`, `c1`, ...: true or false for every row, never unknown."""
    value = f"c{columns.index(where.column)}"
    if where.operator in ORDERED:
        compare = _compare_times if where.type == "timestamp" else _compare_numbers
        return f"coalesce({compare(value, ORDERED[where.operator], where.values[0])}, false)"
    negated = "NOT " if where.operator == "ne" else ""
    return f"coalesce({value}, '') {negated}IN ({', '.join(quoted(item) for item in where.values)})"


def _compare_numbers(value: str, sign: str, wanted: str) -> str:
    inexact = (
        f"CASE WHEN regexp_full_match({value}, {quoted(_NUMBER)}) "
        f"THEN TRY_CAST({value} AS DOUBLE) {sign} TRY_CAST({quoted(wanted)} AS DOUBLE) END"
    )
    if not re.fullmatch(_INTEGER, wanted):
        return inexact
    exact = f"TRY_CAST({value} AS HUGEINT) {sign} CAST({quoted(wanted)} AS HUGEINT)"
    return f"CASE WHEN regexp_full_match({value}, {quoted(_INTEGER)}) THEN {exact} ELSE {inexact} END"


def _compare_times(value: str, sign: str, wanted: str) -> str:
    return f"epoch_us(TRY_CAST({value} AS TIMESTAMPTZ)) {sign} {microseconds(wanted)}"


def microseconds(text: str) -> int:
    """A point in time as microseconds since 1970; without an offset it is UTC.

    Raises:
        ValueError: the text is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"`{text}` is no time; expected such as `2026-01-31` or `2026-01-31T12:00:00Z`") from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def identifier(name: str) -> str:
    """A column's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def quoted(value: str) -> str:
    """A text as SQL has it."""
    return "'" + value.replace("'", "''") + "'"
