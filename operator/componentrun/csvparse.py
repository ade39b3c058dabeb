"""CSV field by field: slow, and able to say what is wrong and where. `csvtext` asks when something is.

Works in the view of a dialect (`csvdialect`) and speaks of the file as it is.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final, NoReturn

from componentrun.csvdialect import PLAIN, Dialect, Read
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["CsvError", "count", "count_in", "fail", "fields_of_row", "parse_rows"]

_SCAN_BYTES: Final = 2**20
_FIELD: Final = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"|[^",\r\n]*+')
_LINE_END: Final = re.compile(rb"\r?\n|\r?\Z")


class CsvError(UserError):
    """A file is no well-formed table. The message names the file, the line and what was expected.

    Attributes:
        file: the name the caller gave.
        line: physical line, the first one (the header) is 1; None where the file as a whole is meant.
    """

    def __init__(self, file: str, line: int | None, problem: str) -> None:  # noqa: D107 - the class says it
        where = file if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {problem}", Reason.OUTPUT_INVALID)
        self.file = file
        self.line = line


def parse_rows(
    read: Read, offset: int, chunk: bytes, columns: Sequence[str], file: str, dialect: Dialect = PLAIN
) -> int:
    """Parse a chunk field by field: the number of its rows.

    Args:
        read: the file, in the view of its dialect.
        offset: of the chunk in it; a row border.
        chunk: whole rows.
        columns: what every row must have.
        file: how messages call it.
        dialect: what they say of it.

    Raises:
        CsvError: explains the first fault.
    """

    def explain(position: int, problem: str) -> NoReturn:
        fail(read, offset + position, file, problem)

    # A fault of structure that comes before it is named first.
    valid = _valid_text(chunk)
    rows = position = 0
    while position < len(chunk):
        fields = 0
        after = position
        for _, after in fields_of_row(chunk, position, explain, dialect):  # noqa: B007 - the last one counts
            fields += 1
        if after > valid:
            explain(valid, f"byte 0x{chunk[valid]:02x} is not UTF-8; expected UTF-8 text")
        if fields != len(columns):
            found = f"found {fields} field{'' if fields == 1 else 's'}"
            by = "" if dialect.is_plain else f" separated by {dialect.delimiter_name}"
            explain(position, f"{found}{by}, expected {len(columns)} ({_shortened(columns)})")
        rows, position = rows + 1, after
    return rows


def fields_of_row(
    text: bytes, start: int, explain: Callable[[int, str], NoReturn], dialect: Dialect = PLAIN
) -> Iterator[tuple[bytes, int]]:
    """The raw fields of the row at `start`, each with the offset after it and its separator."""
    while match := _FIELD.match(text, start):
        after = match.end()
        if line_end := _LINE_END.match(text, after):
            yield match.group(), line_end.end()
            return
        if text[after : after + 1] != b",":
            explain(after, _misplaced(text, match, dialect))
        start = after + 1
        yield match.group(), start


def fail(read: Read, position: int, file: str, problem: str) -> NoReturn:
    """Raise a `CsvError` for a place in a file. Lines are counted only now: nobody needs them while all is well."""
    raise CsvError(file, count(read, b"\n", 0, position) + 1, problem)


def count(read: Read, sign: bytes, start: int, end: int) -> int:
    """How often a byte stands in `[start, end)`."""
    found = 0
    while start < end:
        block = read(min(_SCAN_BYTES, end - start), start)
        if not block:
            break
        found += count_in(block, sign)
        start += len(block)
    return found


def count_in(block: bytes, sign: bytes) -> int:
    """How often a byte stands in a block."""
    # Looking for the first one is ten times as fast as counting, and most tables have no quotes.
    return block.count(sign) if sign in block else 0


def _valid_text(chunk: bytes) -> int:
    """Bytes before the first one that is not UTF-8. In pieces: as text, 16 MiB could become 64."""
    start = 0
    while start < len(chunk) and not chunk.isascii():
        end = min(start + _SCAN_BYTES, len(chunk))
        try:
            # A character that the piece's end cuts in two is left for the next piece.
            start += codecs.utf_8_decode(chunk[start:end], "strict", end == len(chunk))[1]
        except UnicodeDecodeError as error:
            return start + error.start
    return len(chunk)


def _shortened(columns: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(column[:64] for column in columns[:most])
    return shown if len(columns) <= most else f"{shown}, and {len(columns) - most} more"


def _misplaced(text: bytes, match: re.Match[bytes], dialect: Dialect) -> str:
    """What is wrong with the byte after a field."""
    found = text[match.end() : match.end() + 1]
    quote = dialect.enclosure_name
    if match.group().startswith(b'"'):
        shown = repr(dialect.back(found))[1:]
        return f"found {shown} after a closing {quote}, expected {dialect.delimiter_name} or the end of the line"
    if found == b"\r":
        return "a carriage return without a newline after it; expected LF or CRLF at the end of a row"
    if match.group():
        return f"a {quote} inside a field that is not quoted; expected the field in quotes and the {quote} doubled"
    return f"a quoted field begins here and is never closed; expected a closing {quote}"
