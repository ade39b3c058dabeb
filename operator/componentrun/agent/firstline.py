"""What the first line of a well-formed file says about it that its writer probably did not mean. Pure.

Nothing is refused here: each of these may be right. It is stored, and a warning shows the line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from componentrun.agent.folder import shown
from componentrun.columnnames import listed
from componentrun.csvdialect import DELIMITER_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.csvdialect import Read

__all__ = ["doubtful_content", "header_as_row", "other_names"]

_PAGE: Final = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)\b", re.IGNORECASE)
_PAGE_BYTES: Final = 256
_BOM: Final = "\ufeff"
_DELIMITERS: Final = (";", "\t", "|", ",")
_SHOWN: Final = 80


def doubtful_content(read: Read, columns: Sequence[str], delimiter: str, path: str) -> str | None:
    """A warning where a file looks like a web page, or like a table with another delimiter.

    Args:
        read: the file, as it is.
        columns: of the table.
        delimiter: by which fields are separated.
        path: for messages.
    """
    begins = read(_PAGE_BYTES, 0)
    line = _shown(begins.removeprefix(_BOM.encode()).lstrip().partition(b"\n")[0].decode("utf-8", "replace"))
    if _PAGE.match(begins.removeprefix(_BOM.encode())):
        return (
            f"{shown(path)}, line 1: it begins like a web page or XML: `{line}`. It was stored as a table all the "
            "same. Did the component save the error page of a server?"
        )
    if len(columns) != 1:
        return None
    other = next((sign for sign in _DELIMITERS if sign != delimiter and sign in columns[0]), None)
    if other is None:
        return None
    return (
        f"{shown(path)}, line 1: the table has the single column `{_shown(columns[0])}`, which holds "
        f"{DELIMITER_NAMES[other]}. If that separates the columns, say `delimiter` in the manifest or the output "
        "mapping."
    )


def header_as_row(row: Sequence[str], columns: Sequence[str], path: str) -> str | None:
    """A warning where the first row is kept as data and reads like a header line.

    Args:
        row: values of the first row.
        columns: names that the manifest or the output mapping gives.
        path: for messages.
    """
    if len(row) != len(columns) or sorted(map(_plain, row)) != sorted(map(_plain, columns)):
        return None
    if list(row) == list(columns):
        how = "is exactly the columns"
    elif sorted(row) == sorted(columns):
        how = "holds the names of the columns in another order"
    else:
        how = "holds the names of the columns in other letters"
    return (
        f"{shown(path)}, line 1: {listed(row)} {how} that its manifest or the output mapping gives "
        f"({listed(columns)}), and was stored as a row. If it is a header line, leave it out, or say `has_header` in "
        "the manifest."
    )


def other_names(header: Sequence[str], columns: Sequence[str], path: str) -> str:
    """A warning that a header's names were not taken.

    Args:
        header: names in the header line.
        columns: names that were taken, as many.
        path: for messages.
    """
    return (
        f"{shown(path)}, line 1: its header says {listed(header)}; the names of its manifest or the output mapping "
        f"were taken, {listed(columns)}, because the manifest says `has_header`. Write the same names in both."
    )


def _plain(name: str) -> str:
    return name.strip().casefold()


def _shown(text: str) -> str:
    return shown(text[:_SHOWN])
