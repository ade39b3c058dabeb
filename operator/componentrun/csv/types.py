"""Checks that values have the declared type of their column. Used for components whose types are enforced.

Values remain text and are not changed. An empty value is a missing value, which is allowed unless the column is not
nullable; that holds for text columns, too. The rules are common to most databases, so that values that pass can be
loaded anywhere:

    STRING     any text (an empty value is a missing value)
    INTEGER    digits with an optional sign
    NUMERIC    digits with an optional sign and an optional decimal point
    FLOAT      as NUMERIC, with an optional exponent
    BOOLEAN    true, false, 1 or 0; case is ignored
    DATE       2026-01-31
    TIMESTAMP  as DATE, with an optional time (12:30, 12:30:00.123456) and an optional offset (Z, +01:00)
"""

from __future__ import annotations

import csv
import io
import re
from datetime import date, time
from functools import partial
from typing import TYPE_CHECKING, Final

from componentrun.csv.parse import CsvError, count
from componentrun.csv.text import MAX_ROW_BYTES, checked_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from componentrun.csv.columnfacts import ColumnFacts
    from componentrun.csv.dialect import Read

__all__ = ["TypedColumn", "check_typed_rows", "check_values", "typed_columns"]

_NUMBER: Final = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)"
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_FORMS: Final = {
    "INTEGER": r"[-+]?[0-9]+",
    "NUMERIC": _NUMBER,
    "FLOAT": rf"{_NUMBER}([eE][-+]?[0-9]+)?",
    "BOOLEAN": r"1|0|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]",
    "DATE": _DATE,
    "TIMESTAMP": rf"{_DATE}([T ]{_TIME} ?(Z|[-+][0-9]{{2}}:?[0-9]{{2}}|[-+][0-9]{{2}})?)?",
}
_TEXT: Final = "STRING"
_SHOWN: Final = 80

TypedColumn = tuple[int, str, bool]
"""Position in a row, base type, whether a value may be missing."""


def typed_columns(columns: Sequence[str], facts: Iterable[ColumnFacts]) -> tuple[TypedColumn, ...]:
    """The columns whose values have to be checked."""
    places = {name: place for place, name in enumerate(columns)}
    return tuple(
        (places[item.name], item.type, item.nullable is not False)
        for item in facts
        if item.name in places and (item.type in _FORMS or (item.type == _TEXT and item.nullable is False))
    )


def check_typed_rows(
    read: Read, start: int, end: int, columns: Sequence[str], file: str, typed: Sequence[TypedColumn]
) -> int:
    """Check every row in `[start, end)` like `csv.text.check_rows`, and its values; return the number of rows.

    Raises:
        CsvError: the first malformed row, or the first wrong value with its line, column, value and type.
    """
    rows, position = 0, start
    for chunk, chunk_rows in checked_chunks(read, start, end, columns, file):
        check_values(chunk, partial(count, read, b"\n", 0, position), columns, file, typed)
        rows, position = rows + chunk_rows, position + len(chunk)
    return rows


def check_values(
    rows: bytes, lines_before: Callable[[], int], columns: Sequence[str], file: str, typed: Sequence[TypedColumn]
) -> None:
    """Check the values of well-formed rows.

    Args:
        rows: plain CSV.
        lines_before: returns the number of physical lines in the file before the rows.
        columns: names of the columns.
        file: the file, as messages call it.
        typed: columns to check.

    Raises:
        CsvError: a value has another type; names the line on which its row begins, the column, the value and the type.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    forms = [(place, kind, nullable, _matcher(kind)) for place, kind, nullable in typed]
    # Lines end with LF, as in all messages: a lone CR in quotes does not end a line.
    reader = csv.reader(io.StringIO(rows.decode(), newline="\n"), strict=True)
    begins = 1
    for row in reader:
        # A row with a single empty value is an empty line, for which the reader returns an empty list.
        values = row or [""]
        for place, kind, nullable, matches in forms:
            value = values[place]
            if (matches(value) and _is_real(value, kind)) if value else nullable:
                continue
            actual = f"found `{value[:_SHOWN]}`" if value else "found an empty value"
            raise CsvError(file, lines_before() + begins, f"{actual}, expected {kind}", columns[place])
        begins = reader.line_num + 1


def _matcher(kind: str) -> Callable[[str], object]:
    """A function that returns whether a value that is not empty has the form of a type."""
    return bool if kind == _TEXT else re.compile(_FORMS[kind]).fullmatch


def _is_real(value: str, kind: str) -> bool:
    """Whether a date of the right form exists in the calendar, and its time is valid."""
    if kind not in {"DATE", "TIMESTAMP"}:
        return True
    try:
        date.fromisoformat(value[:10])
        if len(value) > 10:  # noqa: PLR2004 - 2026-01-31
            time.fromisoformat(value[11:16])
            return value[16:17] != ":" or int(value[17:19]) < 60  # noqa: PLR2004 - seconds
    except ValueError:
        return False
    return True
