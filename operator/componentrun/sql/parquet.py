"""A table as Parquet, as SQL for DuckDB. Pure text: DuckDB is not imported here.

A column is text unless the table says what it is. Then every value must be of that type: what would be rounded, cut or
guessed is refused and named, never changed and never left out (only a FLOAT is the nearest one that there is). An empty
value is the empty text in a column of text, and no value (NULL) in the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.sql.tables import MISFIT, quoted, select_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.sql.tables import Mapping

__all__ = ["parquet_statement", "row_group", "same_names"]

_GROUP_BYTES: Final = 32 * 2**20
"""Rows are written in groups of about so many bytes, which the memory holds several times."""
_GROUP_ROWS: Final = (2048, 122_880)
"""Fewest and most rows in a group; DuckDB handles 2,048 at a time."""
_VALUE_BYTES: Final = 32
"""What DuckDB needs for a value beside its text."""
_SHOWN_CHARACTERS: Final = 60
_DEFAULT_DIGITS: Final = (38, 9)
"""All digits, and those behind the point, of a NUMERIC of which no length is known."""
_MOST_DIGITS: Final = 38
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"
_OFFSET: Final = "(Z|[-+][0-9]{2}(:?[0-9]{2})?)"


@dataclass(frozen=True, slots=True)
class _Type:
    """How values of a type are read."""

    shape: str
    """What they look like."""
    words: str
    """What they are called."""
    read: str
    """SQL, with `{}` for the text; NULL where it is none in spite of its looks."""


_TYPES: Final = {
    "INTEGER": _Type("[-+]?[0-9]+", "whole number of 64 bits", "TRY_CAST({} AS BIGINT)"),
    "FLOAT": _Type(
        "[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?",
        "number of 64 bits",
        # What is too large is no infinity.
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
    """Writes what is delivered to a Parquet file, compressed by zstd.

    Args:
        mapping: what is applied; all columns are delivered.
        rows: see `sql.tables.rows_of`.
        target: the file; overwritten where it is.
        types: base type (None: text) and length of each column.
        row_bytes: in a row, about.
    """
    names = mapping.columns
    chosen = [f"{_value(f'c{i}', name, *types[i])} AS {_identifier(name)}" for i, name in enumerate(names)]
    group = row_group(row_bytes, len(names))
    return (
        f"COPY ({select_of(mapping, rows, chosen)}) TO {quoted(target)} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {group}, USE_TMP_FILE false)"
    )


def row_group(row_bytes: int, columns: int) -> int:
    """Rows of a row group: readers hold the values of a column of a group at once.

    Args:
        row_bytes: of a row as CSV, about.
        columns: in a row.
    """
    fewest, most = _GROUP_ROWS
    return max(fewest, min(most, _GROUP_BYTES // (row_bytes + _VALUE_BYTES * columns)))


def same_names(names: Sequence[str]) -> tuple[str, str] | None:
    """Two columns that DuckDB, as most readers of Parquet, takes for one; None: there are none."""
    seen: dict[str, str] = {}
    for name in names:
        lower = re.sub("[A-Z]", lambda letter: letter[0].lower(), name)
        if lower in seen:
            return seen[lower], name
        seen[lower] = name
    return None


def _value(value: str, name: str, base: str | None, length: str | None) -> str:
    known = _numeric(length) if base == "NUMERIC" else _TYPES.get(base or "")
    if known is None:
        return f"coalesce({value}, '')"
    told = quoted(f"{MISFIT}the column `{' '.join(name.split())}` is {base}, and a row has `")
    shown = f"left(regexp_replace({value}, '\\s', ' ', 'g'), {_SHOWN_CHARACTERS})"
    refusal = f"error({told} || {shown} || {quoted(f'` there, which is no {known.words}')})"
    read = f"CASE WHEN regexp_full_match({value}, {quoted(known.shape)}) THEN {known.read.format(value)} END"
    return f"CASE WHEN coalesce({value}, '') <> '' THEN coalesce({read}, {refusal}) END"


def _numeric(length: str | None) -> _Type:
    digits, scale = _digits(length)
    whole = f"0*[0-9]{{0,{digits - scale}}}"
    return _Type(
        f"[-+]?{whole}([.][0-9]{{0,{scale}}}0*)?",
        f"number of {digits} digits, {scale} of them behind the point",
        f"TRY_CAST({{}} AS DECIMAL({digits}, {scale}))",
    )


def _digits(length: str | None) -> tuple[int, int]:
    """All digits, and those behind the point: `10,2`; `10` has none behind it."""
    match = re.fullmatch(r"\s*([0-9]{1,2})\s*(?:,\s*([0-9]{1,2})\s*)?", length or "")
    if match is None:
        return _DEFAULT_DIGITS
    digits, scale = int(match[1]), int(match[2] or 0)
    return (digits, scale) if 0 < digits <= _MOST_DIGITS and scale <= digits else _DEFAULT_DIGITS


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
