"""CSV field by field: slow, and able to say what is wrong and where. `csvtext` asks when something is.

Works in the view of a dialect (`csv.dialect`) and speaks of the file as it is.
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
"""What malformed files often are, by their first bytes."""


class CsvError(UserError):
    """A file is no well-formed table. The message names the file, the line and what was expected.

    Attributes:
        file: the name the caller gave.
        line: physical line, the first one (the header) is 1; None where the file as a whole is meant.
        column: its name, or its place, the first one is 1; None where the fault is not that of one field.
    """

    def __init__(  # noqa: D107 - the class says it
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
    # A fault of structure that comes before it is named first.
    valid = valid_text(chunk)
    rows = position = fields = 0

    def explain(position: int, problem: str) -> NoReturn:
        fail(read, offset + position, file, problem, columns[fields] if fields < len(columns) else fields + 1)

    while position < len(chunk):
        fields = 0
        after = position
        for _, after in fields_of_row(chunk, position, explain, dialect):
            if after > valid:
                explain(valid, not_text(chunk[valid]))
            fields += 1
        if fields != len(columns):
            if not chunk[position:after].strip(b"\r\n"):
                expected = f"expected {len(columns)} fields ({listed(columns)})"
                fail(read, offset + position, file, f"the line is empty, {expected}; leave empty lines out")
            found = f"found {fields} field{'' if fields == 1 else 's'}"
            by = "" if dialect.is_plain else f" separated by {dialect.delimiter_name}"
            expected = f"expected {len(columns)} ({listed(columns)})"
            fail(read, offset + position, file, f"{found}{by}, {expected}")
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


def fail(read: Read, position: int, file: str, problem: str, column: str | int | None = None) -> NoReturn:
    """Raise a `CsvError` for a place in a file. Lines are counted only now: nobody needs them while all is well."""
    begins = read(4, 0)
    for mark, kind in _OTHER_KINDS.items():
        if begins.startswith(mark):
            raise CsvError(file, None, f"it begins like {kind}; expected CSV as text in UTF-8")
    raise CsvError(file, count(read, b"\n", 0, position) + 1, problem, column)


def not_text(byte: int) -> str:
    """What is wrong with a byte that can't be UTF-8."""
    return f"byte 0x{byte:02x} is not UTF-8; expected UTF-8 text"


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


def valid_text(chunk: bytes) -> int:
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
