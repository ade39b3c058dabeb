"""SQL for DuckDB that applies a mapping to CSV files. Does not import DuckDB.

Every value is text and is kept byte for byte. An empty value and a missing one are the same (NULL in queries).
Queries name columns `c0`, `c1`, ..., because DuckDB ignores case and would confuse `id` and `ID`.

Rows are in the order of the files. Of several rows with the same primary key, the last one is kept: a row is kept
unless a later row has its key, or a later step deletes it. Rows of a step that inserts replace no other rows.
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
"""Prefix of error messages about a value that does not fit."""
_NUMBER: Final = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?"
_INTEGER: Final = r"[-+]?[0-9]{1,37}"
"""Numbers that fit into 128 bits: long identifiers are compared exactly."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a load: rows that are added, or rows that are deleted."""

    columns: tuple[str, ...] | None
    """Columns of the added rows, in the order of the files; None if the step adds no rows."""
    delete: Where | None = None
    """Deletes the rows of earlier steps that match this condition; such a step adds no rows."""
    insert: bool = False
    """Whether its rows are added without replacing rows with the same primary key, of earlier steps or its own."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """Steps, columns and conditions to apply to rows."""

    columns: tuple[str, ...]
    """Columns of the table; a step without one of them has empty values in it."""
    steps: tuple[Step, ...] = ()
    select: tuple[str, ...] | None = None
    """Columns to deliver, in this order; None: all."""
    primary_key: tuple[str, ...] = ()
    """A row replaces earlier rows with the same values in these columns, unless its step inserts."""
    where: Where | None = None
    """Only rows that match this condition are delivered."""
    limit: int | None = None
    """Maximum number of rows to deliver, from the first one."""


def check_where(where: Where) -> None:
    """Reject an invalid condition.

    Raises:
        ValueError: the operator is unknown or can't compare the value; the message names it.
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
        raise ValueError(f"`{where.values[0]}` is not a number; expected one such as `12`, `-0.5` or `1e6`")


def columns_of(mapping: Mapping) -> tuple[str, ...]:
    """The columns to deliver."""
    return mapping.select or mapping.columns


def rows_of(mapping: Mapping, files: Sequence[Sequence[str]]) -> str:
    """A query for all rows of the steps as `c0`, `c1`, ... and `step`, in their order.

    Args:
        mapping: the mapping to apply.
        files: for each step, the headerless files that hold its rows.
    """
    parts = [_rows_of_step(mapping, number, files[number]) for number in range(len(mapping.steps)) if files[number]]
    if not parts:
        nulls = ", ".join(f"NULL::VARCHAR AS c{i}" for i in range(len(mapping.columns)))
        return f"SELECT {nulls}, 0 AS step WHERE false"
    return " UNION ALL ".join(parts)


def _rows_of_step(mapping: Mapping, number: int, files: Sequence[str]) -> str:
    step = mapping.steps[number]
    step_columns = step.columns or mapping.columns
    places = {name: f"s{i}" for i, name in enumerate(step_columns)}
    expressions = ", ".join(f"{places.get(name, 'NULL::VARCHAR')} AS c{i}" for i, name in enumerate(mapping.columns))
    kinds = ", ".join(f"'s{i}': 'VARCHAR'" for i in range(len(step_columns)))
    files_text = ", ".join(quoted(file) for file in files)
    # One thread reads a file from start to end: split anywhere, a line break in quotes would end a row.
    return (
        f"SELECT {expressions}, {number} AS step FROM read_csv([{files_text}], columns = {{{kinds}}}, "  # noqa: S608 - made here
        "auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
        "new_line = '\\n', parallel = false, max_line_size = getvariable('row_bytes')::BIGINT, "
        "buffer_size = getvariable('buffer_bytes')::BIGINT)"
    )


def keep_statement(mapping: Mapping, rows: str) -> str | None:
    """A statement that creates a table with a flag for each row, in order: whether no later row replaces it.

    None if the mapping has no key. Only keys and positions are sorted, never whole rows, so this needs little memory.
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
    """A statement that writes the delivered rows to the file `target`, with or without a header line.

    If no rows are delivered, the file has an empty line after its header line.
    """
    columns = mapping.columns
    names = columns_of(mapping)
    expressions = [f"c{columns.index(name)}" for name in names]
    if len(expressions) == 1:
        # Most readers skip an empty line, but not two quotes.
        expressions = [f"coalesce({expressions[0]}, '')"]
    line = f"PREFIX {quoted(encode_header(names).decode())}, SUFFIX {quoted(chr(10))}, " if header else ""
    return (
        f"COPY ({select_of(mapping, rows, expressions)}) TO {quoted(target)} (FORMAT csv, HEADER false, {line}"
        "DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '')"
    )


def select_of(mapping: Mapping, rows: str, expressions: Sequence[str]) -> str:
    """A query for the rows to deliver.

    Args:
        mapping: the mapping to apply.
        rows: see `rows_of`.
        expressions: expressions over `c0`, `c1`, ..., the table's columns.
    """
    conditions = _conditions(mapping)
    if mapping.where is not None:
        conditions.append(condition_of(mapping.where, mapping.columns))
    query = f"SELECT {', '.join(expressions)} FROM {_source(mapping, rows)}"  # noqa: S608 - made here
    if conditions:
        query += f" WHERE {' AND '.join(conditions)}"
    if mapping.limit is not None:
        query += f" LIMIT {mapping.limit}"
    return query


def _source(mapping: Mapping, rows: str) -> str:
    return f"(SELECT * FROM ({rows}) POSITIONAL JOIN kept)" if mapping.primary_key else f"({rows})"  # noqa: S608 - made here


def _conditions(mapping: Mapping) -> list[str]:
    """Conditions that a row meets if nothing replaces or deletes it."""
    columns = mapping.columns
    deleted = [_not_deleted(number, step, columns) for number, step in enumerate(mapping.steps) if step.delete]
    return (["keep"] if mapping.primary_key else []) + deleted


def _not_deleted(number: int, step: Step, columns: Sequence[str]) -> str:
    if step.delete is None:
        return "true"
    return f"NOT (step < {number} AND {condition_of(step.delete, columns)})"


def condition_of(where: Where, columns: Sequence[str]) -> str:
    """A condition on rows of `c0`, `c1`, ... as SQL: true or false for every row, never NULL."""
    value = f"c{columns.index(where.column)}"
    if where.operator in ORDERED:
        compare = _compare_times if where.type == "timestamp" else _compare_numbers
        return f"coalesce({compare(value, ORDERED[where.operator], where.values[0])}, false)"
    negated = "NOT " if where.operator == "ne" else ""
    return f"coalesce({value}, '') {negated}IN ({', '.join(quoted(item) for item in where.values)})"


def _compare_numbers(value: str, sign: str, operand: str) -> str:
    inexact = (
        f"CASE WHEN regexp_full_match({value}, {quoted(_NUMBER)}) "
        f"THEN TRY_CAST({value} AS DOUBLE) {sign} TRY_CAST({quoted(operand)} AS DOUBLE) END"
    )
    if not re.fullmatch(_INTEGER, operand):
        return inexact
    exact = f"TRY_CAST({value} AS HUGEINT) {sign} CAST({quoted(operand)} AS HUGEINT)"
    return f"CASE WHEN regexp_full_match({value}, {quoted(_INTEGER)}) THEN {exact} ELSE {inexact} END"


def _compare_times(value: str, sign: str, operand: str) -> str:
    return f"epoch_us(TRY_CAST({value} AS TIMESTAMPTZ)) {sign} {microseconds(operand)}"


def microseconds(text: str) -> int:
    """A timestamp as microseconds since 1970; without an offset it is UTC.

    Raises:
        ValueError: the text is not a timestamp.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"`{text}` is not a time; expected one such as `2026-01-31` or `2026-01-31T12:00:00Z`"
        ) from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    elapsed = moment - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def identifier(name: str) -> str:
    """A column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"
