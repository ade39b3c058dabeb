"""Parses CSV field by field: slow, but able to explain an error and its position. `csv.text` uses it for that.

Works on the view of a dialect (`csv.dialect`); messages describe the file itself.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final, NoReturn

from componentrun.csv.columnnames import listed
from componentrun.csv.dialect import PLAIN, Dialect, Read
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["CsvError", "count", "count_in", "fail", "fields_of_row", "not_text", "parse_rows", "valid_text"]

_SCAN_BYTES: Final = 2**20
_FIELD: Final = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"|[^",\r\n]*+')
_LINE_END: Final = re.compile(rb"\r?\n|\r?\Z")
_OTHER_KINDS: Final = {
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"\x1f\x8b": "a file that gzip has compressed",
    b"\x28\xb5\x2f\xfd": "a file that zstd has compressed",
    b"PK\x03\x04": "a ZIP archive (or a spreadsheet, which is one)",
    b"PAR1": "a Parquet file",
}
"""Common formats of files that are not CSV, by their first bytes."""


class CsvError(UserError):
    """A file is not a well-formed table. The message names the file, the line and what was expected.

    Attributes:
        file: name of the file.
        line: physical line, counted from 1 (the header); None if the error concerns the whole file.
        column: name of the column, or its position from 1; None if the error does not concern one field.
    """

    def __init__(  # noqa: D107 - see the class
        self, file: str, line: int | None, problem: str, column: str | int | None = None
    ) -> None:
        where = file if line is None else f"{file}, line {line}"
        if column is not None:
            where += f", column {column}" if isinstance(column, int) else f", column {listed([column])}"
        super().__init__(f"{where}: {problem}", Reason.OUTPUT_INVALID)
        self.file = file
        self.line = line
        self.column = column


def parse_rows(
    read: Read, offset: int, chunk: bytes, columns: Sequence[str], file: str, dialect: Dialect = PLAIN
) -> int:
    """Parse a chunk field by field, and return the number of its rows.

    Args:
        read: the file, in the view of its dialect.
        offset: offset of the chunk in the file; a row boundary.
        chunk: whole rows.
        columns: columns that every row must have.
        file: the file, as messages call it.
        dialect: the dialect, for messages.

    Raises:
        CsvError: explains the first error.
    """
    # A structural error before invalid UTF-8 is reported first.
    valid = valid_text(chunk)
    rows = position = fields = 0

    def explain(position: int, problem: str) -> NoReturn:
        fail(read, offset + position, file, problem, columns[fields] if fields < len(columns) else fields + 1)

    while position < len(chunk):
        fields = 0
        row_end = position
        for _, row_end in fields_of_row(chunk, position, explain, dialect):
            if row_end > valid:
                explain(valid, not_text(chunk[valid]))
            fields += 1
        if fields != len(columns):
            if not chunk[position:row_end].strip(b"\r\n"):
                expected = f"expected {len(columns)} fields ({listed(columns)})"
                fail(read, offset + position, file, f"the line is empty, {expected}; leave empty lines out")
            actual = f"found {fields} field{'' if fields == 1 else 's'}"
            separation = "" if dialect.is_plain else f" separated by {dialect.delimiter_name}"
            expected = f"expected {len(columns)} ({listed(columns)})"
            fail(read, offset + position, file, f"{actual}{separation}, {expected}")
        rows, position = rows + 1, row_end
    return rows


def fields_of_row(
    text: bytes, start: int, explain: Callable[[int, str], NoReturn], dialect: Dialect = PLAIN
) -> Iterator[tuple[bytes, int]]:
    """The raw fields of the row at `start`, each with the offset after it and its separator."""
    while match := _FIELD.match(text, start):
        field_end = match.end()
        if line_end := _LINE_END.match(text, field_end):
            yield match.group(), line_end.end()
            return
        if text[field_end : field_end + 1] != b",":
            explain(field_end, _misplaced(text, match, dialect))
        start = field_end + 1
        yield match.group(), start


def fail(read: Read, position: int, file: str, problem: str, column: str | int | None = None) -> NoReturn:
    """Raise a `CsvError` for a position in a file. Lines are counted only here, because only errors need them."""
    begins = read(4, 0)
    for mark, kind in _OTHER_KINDS.items():
        if begins.startswith(mark):
            raise CsvError(file, None, f"it begins like {kind}; expected CSV as text in UTF-8")
    raise CsvError(file, count(read, b"\n", 0, position) + 1, problem, column)


def not_text(byte: int) -> str:
    """Describe a byte that is not UTF-8."""
    return f"byte 0x{byte:02x} is not UTF-8; expected UTF-8 text"


def count(read: Read, sign: bytes, start: int, end: int) -> int:
    """Number of occurrences of a byte in `[start, end)`."""
    total = 0
    while start < end:
        block = read(min(_SCAN_BYTES, end - start), start)
        if not block:
            break
        total += count_in(block, sign)
        start += len(block)
    return total


def count_in(block: bytes, sign: bytes) -> int:
    """Number of occurrences of a byte in a block."""
    # Searching for one occurrence is ten times as fast as counting, and most tables have no quotes.
    return block.count(sign) if sign in block else 0


def valid_text(chunk: bytes) -> int:
    """Number of bytes before the first invalid one. Decoded in pieces: 16 MiB could take 64 MiB as text."""
    start = 0
    while start < len(chunk) and not chunk.isascii():
        end = min(start + _SCAN_BYTES, len(chunk))
        try:
            # A character that continues in the next piece is decoded there.
            start += codecs.utf_8_decode(chunk[start:end], "strict", end == len(chunk))[1]
        except UnicodeDecodeError as error:
            return start + error.start
    return len(chunk)


def _misplaced(text: bytes, match: re.Match[bytes], dialect: Dialect) -> str:
    """Describe the unexpected byte after a field."""
    character = text[match.end() : match.end() + 1]
    quote = dialect.enclosure_name
    if match.group().startswith(b'"'):
        representation = repr(dialect.back(character))[1:]
        return (
            f"found {representation} after a closing {quote}, expected {dialect.delimiter_name} or the end of the line"
        )
    if character == b"\r":
        return "a carriage return without a newline after it; expected LF or CRLF at the end of a row"
    if match.group():
        return f"a {quote} inside a field that is not quoted; expected the field in quotes and the {quote} doubled"
    return f"a quoted field begins here and is never closed; expected a closing {quote}"
