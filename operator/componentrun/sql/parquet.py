"""SQL for DuckDB that writes a table as Parquet. Does not import DuckDB.

A column is text unless the table declares its type. Then every value must have that type: a value that would have to be
rounded, truncated or guessed is an error that names it. (A FLOAT becomes the nearest number that can be represented.)
An empty value is the empty text in a text column, and NULL in other columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.sql.tables import MISFIT, quoted, select_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.sql.tables import Mapping

__all__ = ["MOST_GROUP_ROWS", "parquet_options", "parquet_statement", "row_group", "same_names"]

_GROUP_BYTES: Final = 32 * 2**20
"""Approximate size of a row group. Several of them are in memory at a time."""
MOST_GROUP_ROWS: Final = 122_880
"""Maximum rows of a row group."""
_LEAST_GROUP_ROWS: Final = 2048
"""Minimum rows of a row group; DuckDB processes this many at a time."""
_ROWS_PER_VALUE: Final = 50
"""Minimum average number of occurrences of a value in a row group that makes a dictionary worth its cost."""
_MOST_LIMITED_COLUMNS: Final = 200
"""Dictionaries of wider tables are of any size: with 2,000 columns and the limit, a load ran out of memory."""
_VALUE_BYTES: Final = 32
"""Memory that DuckDB needs for a value in addition to its text."""
_SHOWN_CHARACTERS: Final = 60
_DEFAULT_DIGITS: Final = (38, 9)
"""Precision and scale of a NUMERIC without a declared length."""
_MOST_DIGITS: Final = 38
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"
_OFFSET: Final = "(Z|[-+][0-9]{2}(:?[0-9]{2})?)"


@dataclass(frozen=True, slots=True)
class _Type:
    """How the values of a type are parsed."""

    shape: str
    """Regular expression that valid texts match."""
    words: str
    """The type, as messages call it."""
    read: str
    """SQL that parses a text, for which `{}` stands; NULL if the text matches `shape` and is still invalid."""


_TYPES: Final = {
    "INTEGER": _Type("[-+]?[0-9]+", "whole number of 64 bits", "TRY_CAST({} AS BIGINT)"),
    "FLOAT": _Type(
        "[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?",
        "number of 64 bits",
        # A number that is too large is invalid, not infinite.
        "CASE WHEN isfinite(TRY_CAST({0} AS DOUBLE)) THEN TRY_CAST({0} AS DOUBLE) END",
    ),
    "BOOLEAN": _Type("(?i)true|false|1|0", "truth value (`true`, `false`, `1`, `0`)", "lower({}) IN ('true', '1')"),
    "DATE": _Type(_DATE, "date such as `2026-01-31`", "TRY_CAST({} AS DATE)"),
    "TIMESTAMP": _Type(
        f"{_DATE}([ T]{_CLOCK}{_OFFSET}?)?", "time such as `2026-01-31T12:00:00Z`", "TRY_CAST({} AS TIMESTAMPTZ)"
    ),
}


def parquet_statement(
    mapping: Mapping, rows: str, target: str, types: Sequence[tuple[str | None, str | None]], row_bytes: int
) -> str:
    """A statement that writes the delivered rows to a Parquet file, compressed with zstd.

    Args:
        mapping: the mapping to apply; all columns are delivered.
        rows: see `sql.tables.rows_of`.
        target: path of the file; an existing file is overwritten.
        types: base type (None: text) and length of each column.
        row_bytes: approximate size of a row.
    """
    names = mapping.columns
    expressions = [f"{_value(f'c{i}', name, *types[i])} AS {_identifier(name)}" for i, name in enumerate(names)]
    group = row_group(row_bytes, len(names))
    return (
        f"COPY ({select_of(mapping, rows, expressions)}) TO {quoted(target)} ({parquet_options(group, len(names))},"
        " USE_TMP_FILE false)"
    )


def row_group(row_bytes: int, columns: int) -> int:
    """Number of rows in a row group. Readers hold all values of a column of a row group in memory.

    Args:
        row_bytes: approximate size of a row as CSV.
        columns: number of columns.
    """
    rows = _GROUP_BYTES // (row_bytes + _VALUE_BYTES * columns)
    return max(_LEAST_GROUP_ROWS, min(MOST_GROUP_ROWS, rows))


def parquet_options(group: int, columns: int) -> str:
    """Options of a COPY that writes Parquet: compression, rows of a row group, limit of dictionaries.

    By default, DuckDB builds a dictionary even if nearly all values of a row group differ, which takes a fifth of the
    time of writing and makes reading slower. A column without a dictionary needs a larger buffer, so tables with very
    many columns keep the default.

    Args:
        group: rows of a row group.
        columns: number of columns.
    """
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {group}"
    if columns > _MOST_LIMITED_COLUMNS:
        return options
    return f"{options}, DICTIONARY_SIZE_LIMIT {max(1, group // _ROWS_PER_VALUE)}"


def same_names(names: Sequence[str]) -> tuple[str, str] | None:
    """The first two names that differ only in case and that DuckDB and most readers confuse; None if there is none."""
    spellings: dict[str, str] = {}
    for name in names:
        lower = re.sub("[A-Z]", lambda letter: letter[0].lower(), name)
        if lower in spellings:
            return spellings[lower], name
        spellings[lower] = name
    return None


def _value(value: str, name: str, base: str | None, length: str | None) -> str:
    column_type = _numeric(length) if base == "NUMERIC" else _TYPES.get(base or "")
    if column_type is None:
        return f"coalesce({value}, '')"
    prefix = quoted(f"{MISFIT}the column `{' '.join(name.split())}` is {base}, and a row has `")
    excerpt = f"left(regexp_replace({value}, '\\s', ' ', 'g'), {_SHOWN_CHARACTERS})"
    refusal = f"error({prefix} || {excerpt} || {quoted(f'` there, which is no {column_type.words}')})"
    read = (
        f"CASE WHEN regexp_full_match({value}, {quoted(column_type.shape)}) THEN {column_type.read.format(value)} END"
    )
    return f"CASE WHEN coalesce({value}, '') <> '' THEN coalesce({read}, {refusal}) END"


def _numeric(length: str | None) -> _Type:
    digits, scale = _digits(length)
    integer_digits = f"0*[0-9]{{0,{digits - scale}}}"
    return _Type(
        f"[-+]?{integer_digits}([.][0-9]{{0,{scale}}}0*)?",
        f"number of {digits} digits, {scale} of them behind the point",
        f"TRY_CAST({{}} AS DECIMAL({digits}, {scale}))",
    )


def _digits(length: str | None) -> tuple[int, int]:
    """Precision and scale of a length: `10,2` is (10, 2), `10` is (10, 0)."""
    match = re.fullmatch(r"\s*([0-9]{1,2})\s*(?:,\s*([0-9]{1,2})\s*)?", length or "")
    if match is None:
        return _DEFAULT_DIGITS
    digits, scale = int(match[1]), int(match[2] or 0)
    return (digits, scale) if 0 < digits <= _MOST_DIGITS and scale <= digits else _DEFAULT_DIGITS


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
