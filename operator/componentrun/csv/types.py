"""Whether values are of the type that was said of their column. Only where a component's types are to be relied on.

Values stay text and stay as they are; this only looks at them. An empty value is a missing one, which every column may
have unless it is not nullable: a column of texts, too. The rules are those that the words have in databases in general,
so that what passes here can be loaded anywhere:

    STRING     anything (but an empty value is a missing one)
    INTEGER    digits with an optional sign
    NUMERIC    digits with an optional sign and an optional decimal point
    FLOAT      the same, with an optional exponent
    BOOLEAN    true, false, 1 or 0; capital letters are as good
    DATE       2026-01-31
    TIMESTAMP  the same, with an optional time (12:30, 12:30:00.123456), with an optional offset (Z, +01:00)
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
    """The columns whose values have to be looked at."""
    places = {name: place for place, name in enumerate(columns)}
    return tuple(
        (places[item.name], item.type, item.nullable is not False)
        for item in facts
        if item.name in places and (item.type in _FORMS or (item.type == _TEXT and item.nullable is False))
    )


def check_typed_rows(
    read: Read, start: int, end: int, columns: Sequence[str], file: str, typed: Sequence[TypedColumn]
) -> int:
    """Check every row in `[start, end)` as `csvtext.check_rows` does, and the values: the number of rows.

    Raises:
        CsvError: at the first row that is malformed; or naming line, column, value and type.
    """
    rows, position = 0, start
    for chunk, found in checked_chunks(read, start, end, columns, file):
        check_values(chunk, partial(count, read, b"\n", 0, position), columns, file, typed)
        rows, position = rows + found, position + len(chunk)
    return rows


def check_values(
    rows: bytes, lines_before: Callable[[], int], columns: Sequence[str], file: str, typed: Sequence[TypedColumn]
) -> None:
    """Look at the values of well-formed rows.

    Args:
        rows: plain CSV.
        lines_before: tells the physical lines of the file before them.
        columns: their names.
        file: how messages call it.
        typed: which to look at.

    Raises:
        CsvError: names the line on which the first row begins that has a value of another type, column, value and type.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    forms = [(place, kind, nullable, _matcher(kind)) for place, kind, nullable in typed]
    # Lines end with LF, here as in all messages: a lone CR in quotes begins none.
    reader = csv.reader(io.StringIO(rows.decode(), newline="\n"), strict=True)
    begins = 1
    for row in reader:
        # A row of one empty value is an empty line, which the reader takes for none.
        values = row or [""]
        for place, kind, nullable, matches in forms:
            value = values[place]
            if (matches(value) and _is_real(value, kind)) if value else nullable:
                continue
            found = f"found `{value[:_SHOWN]}`" if value else "found an empty value"
            raise CsvError(file, lines_before() + begins, f"{found}, expected {kind}", columns[place])
        begins = reader.line_num + 1


def _matcher(kind: str) -> Callable[[str], object]:
    """Tells of a value that is not empty whether it has the form of a type."""
    return bool if kind == _TEXT else re.compile(_FORMS[kind]).fullmatch


def _is_real(value: str, kind: str) -> bool:
    """Whether a date of the right form is in the calendar, and its time on the clock."""
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
