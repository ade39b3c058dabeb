"""Warnings about a well-formed output file whose first line is probably not what its author intended. Pure.

No file is refused, because each of these may be intended: the file is stored, and a warning shows the line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from componentrun.agent.folder import shown
from componentrun.csv.columnnames import listed
from componentrun.csv.dialect import DELIMITER_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.csv.dialect import Read

__all__ = ["doubtful_content", "header_as_row", "other_names"]

_PAGE: Final = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)\b", re.IGNORECASE)
_PAGE_BYTES: Final = 256
_BOM: Final = "\ufeff"
_DELIMITERS: Final = (";", "\t", "|", ",")
_SHOWN: Final = 80


def doubtful_content(read: Read, columns: Sequence[str], delimiter: str, path: str) -> str | None:
    """Return a warning if a file looks like a web page, or like a table with another delimiter.

    Args:
        read: reads the raw file.
        columns: columns of the table.
        delimiter: field separator.
        path: for messages.
    """
    begins = read(_PAGE_BYTES, 0)
    line = _shown(begins.removeprefix(_BOM.encode()).lstrip().partition(b"\n")[0].decode("utf-8", "replace"))
    if _PAGE.match(begins.removeprefix(_BOM.encode())):
        return (
            f"{shown(path)}, line 1: it begins like a web page or XML: `{line}`. It was stored as a table "
            "anyway. Did the component save the error page of a server?"
        )
    if len(columns) != 1:
        return None
    separator = next((sign for sign in _DELIMITERS if sign != delimiter and sign in columns[0]), None)
    if separator is None:
        return None
    return (
        f"{shown(path)}, line 1: the table has the single column `{_shown(columns[0])}`, which holds "
        f"{DELIMITER_NAMES[separator]}. If that separates the columns, set `delimiter` in the manifest or the output "
        "mapping."
    )


def header_as_row(row: Sequence[str], columns: Sequence[str], path: str) -> str | None:
    """Return a warning if the first row looks like a header line although it is stored as data.

    Args:
        row: values of the first row.
        columns: column names from the manifest or the output mapping.
        path: for messages.
    """
    if len(row) != len(columns) or sorted(map(_plain, row)) != sorted(map(_plain, columns)):
        return None
    if list(row) == list(columns):
        resemblance = "exactly the columns"
    elif sorted(row) == sorted(columns):
        resemblance = "the names of the columns in another order"
    else:
        resemblance = "the names of the columns in a different case or with other blanks"
    return (
        f"{shown(path)}, line 1: {listed(row)} was stored as a row, but it holds {resemblance} that the manifest or "
        f"the output mapping gives ({listed(columns)}). If it is a header line, remove it, or set `has_header` in the "
        "manifest."
    )


def other_names(header: Sequence[str], columns: Sequence[str], path: str) -> str:
    """Return a warning that the names in a header line are not used.

    Args:
        header: names in the header line.
        columns: names that are used instead; as many as in `header`.
        path: for messages.
    """
    return (
        f"{shown(path)}, line 1: the header names {listed(header)}; the table got the names of the manifest or the "
        f"output mapping, {listed(columns)}, because the manifest has `has_header`. Use the same names in both."
    )


def _plain(name: str) -> str:
    return name.strip().casefold()


def _shown(text: str) -> str:
    return shown(text[:_SHOWN])
