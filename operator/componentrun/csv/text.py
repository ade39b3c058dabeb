"""CSV as bytes: headers, row boundaries, slices and the full check, without parsing fields one by one.

Functions take a *reader*, `read(length, offset) -> bytes` (`os.pread` bound to a descriptor, or a slice of bytes in a
test), so nothing here opens a file or holds one in memory. Used by stage-out before it uploads a file and by the
command line before it loads one. This module alone defines a well-formed table:

- fields are separated by commas; a field may be quoted, and a quote inside it is doubled; quotes appear nowhere else
- rows end with LF or CRLF, which the last row may lack; a quoted field may contain newlines; a lone CR is an error
- the text is UTF-8; a byte order mark at the start is ignored; every row has as many fields as the header
- in a table of one column, an empty line is a row with an empty value

A newline is a *row border* when the number of quotes before it is even. For a well-formed file that is exact, and the
check proves that it is well-formed.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from componentrun.csv.dialect import PLAIN, Dialect, Read
from componentrun.csv.parse import CsvError, count, count_in, fail, fields_of_row, not_text, parse_rows, valid_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "MAX_ROW_BYTES",
    "CsvError",
    "Header",
    "Read",
    "Slice",
    "check_columns",
    "check_rows",
    "checked_chunks",
    "count_rows",
    "cut",
    "encode_header",
    "next_border",
    "read_first_row",
    "read_header",
    "start_of_text",
]

MAX_ROW_BYTES: Final = 16 * 2**20
"""Maximum length of a row and of the header: bounds memory, and detects a missing quote."""

_BOM: Final = b"\xef\xbb\xbf"
# Fits into a core's second-level cache together with the results. Half a MiB was the fastest size in measurements.
_CHUNK_BYTES: Final = 512 * 2**10
_FAST_BYTES: Final = 2**20
# Counting quotes needs less memory per call than checking.
_SCAN_BYTES: Final = 2**20

_NO_SEPARATORS: Final = bytes(sorted(set(range(256)) - set(b",\n")))
# All bytes that must not be next to a quote become one byte. (A lone CR is rejected elsewhere.)
_OTHER: Final = b"x"
_TO_CLASSES: Final = bytes(sign if sign in b',"\r\n' else _OTHER[0] for sign in range(256))

_FIRST: Final = operator.itemgetter(slice(0, 1))
_LAST: Final = operator.itemgetter(slice(-1, None))
_AFTER_QUOTE: Final = frozenset({b"", b",", b"\r", b"\n"})
_BEFORE_QUOTE: Final = frozenset({b"", b",", b"\n"})
_PIECE_COST: Final = 20


@dataclass(frozen=True, slots=True)
class Header:
    """The first row of a file."""

    columns: tuple[str, ...]
    data_offset: int
    """Bytes before the first row of data."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Whole rows of a file."""

    offset: int
    """Bytes from the start of the file."""
    size: int
    """Bytes."""


def check_columns(columns: Sequence[str], file: str, line: int | None = None) -> None:
    """Reject an invalid list of columns.

    Raises:
        CsvError: it is empty, or a name is empty or repeated.
    """
    if not columns:
        raise CsvError(file, line, "found no column, expected at least one")
    names: set[str] = set()
    for position, column in enumerate(columns, 1):
        if not column.strip():
            raise CsvError(file, line, f"the name of column {position} is empty; expected a name for every column")
        if column in names:
            raise CsvError(file, line, f"column `{column}` is there twice; expected every name once")
        names.add(column)


def encode_header(columns: Sequence[str]) -> bytes:
    """The header line for these columns; names are quoted only if necessary."""
    return (",".join(_quoted(column) for column in columns) + "\n").encode()


def _quoted(value: str) -> str:
    # A leading U+FEFF would be read as a byte order mark.
    if not value or any(sign in value for sign in ',"\r\n') or value != value.strip() or value.startswith("\ufeff"):
        return '"' + value.replace('"', '""') + '"'
    return value


def start_of_text(read: Read) -> int:
    """Number of bytes of the byte order mark at the start: 3 or 0."""
    return len(_BOM) if read(len(_BOM), 0) == _BOM else 0


def read_header(read: Read, size: int, file: str, dialect: Dialect = PLAIN) -> Header:
    """Parse the first row of a file of `size` bytes as its header; `read` is the view of its dialect.

    Raises:
        CsvError: the file is empty, the row is malformed or not UTF-8, or a column is empty or repeated.
    """
    header = read_first_row(read, size, file, dialect)
    if header.columns == ("",) and read(1, start_of_text(read)) in {b"\n", b"\r"}:
        raise CsvError(file, 1, "the line is empty; expected the header line, without empty lines before it")
    check_columns(header.columns, file, 1)
    return header


def read_first_row(read: Read, size: int, file: str, dialect: Dialect = PLAIN) -> Header:
    """Parse the first row of a file, which need not be a header. Arguments are those of `read_header`.

    Raises:
        CsvError: the file is empty, or the row is malformed or not UTF-8.
    """
    start = start_of_text(read)
    if size <= start:
        raise CsvError(file, None, "the file is empty; expected a header line (or columns in its manifest)")
    end = next_border(read, start, start, min(size, start + MAX_ROW_BYTES + 1))
    if end - start > MAX_ROW_BYTES:
        raise CsvError(file, 1, f"the header is longer than {MAX_ROW_BYTES} bytes; is a quote not closed?")
    text = read(end - start, start)
    _check_enclosure(read, start, text, file, dialect)
    valid = valid_text(text)
    columns: list[str] = []

    def explain(position: int, problem: str) -> NoReturn:
        fail(read, start + position, file, problem, len(columns) + 1)

    for field, field_end in fields_of_row(text, 0, explain, dialect):
        if field_end > valid:
            explain(valid, not_text(text[valid]))
        columns.append(dialect.value(_unquoted(field.decode())))
    return Header(tuple(columns), end)


def _unquoted(field: str) -> str:
    return field[1:-1].replace('""', '"') if field.startswith('"') else field


def next_border(read: Read, start: int, position: int, end: int) -> int:
    """Offset after the first row boundary at or after `position`; `end` if there is none.

    `start` is a row boundary (or the start of the data) at or before `position`; quotes between the two are counted.
    """
    is_quoted = count(read, b'"', start, position) % 2 == 1
    while position < end:
        block = read(min(_SCAN_BYTES, end - position), position)
        if not block:
            break
        border = _first_border(block, is_quoted=is_quoted)
        if border:
            return position + border
        is_quoted ^= block.count(b'"') % 2 == 1
        position += len(block)
    return end


def _first_border(block: bytes, *, is_quoted: bool) -> int:
    """Offset after the first row boundary of a block, which may start inside quotes; 0 if there is none."""
    position = 0
    while True:
        if is_quoted:
            # Newlines before the closing quote are part of a value.
            position = block.find(b'"', position) + 1
            if not position:
                return 0
        newline = block.find(b"\n", position)
        if newline < 0:
            return 0
        is_quoted = block.count(b'"', position, newline) % 2 == 1
        if not is_quoted:
            return newline + 1
        position = newline


def cut(read: Read, start: int, end: int, parts: int) -> Iterator[Slice]:
    """Cut the rows in `[start, end)` into at most `parts` slices of about equal size, lazily, in order.

    The slices cover the range exactly. A slice is never empty; a long row makes its slice longer. If a row exceeds the
    maximum length, the rest is one slice: its check fails, so no more boundaries are needed.
    """
    while start < end:
        goal = start + -(-(end - start) // max(parts, 1))
        too_far = goal + MAX_ROW_BYTES + 1
        border = end if goal >= end else next_border(read, start, goal, min(end, too_far))
        border = border if border < too_far else end
        yield Slice(start, border - start)
        start, parts = border, parts - 1


def count_rows(read: Read, start: int, end: int) -> int:
    """Number of rows in `[start, end)`, which starts at a row boundary, without checking them."""
    rows, last = 0, b"\n"
    for _, chunk in _chunks(read, start, end, "the file"):
        outside = chunk if b'"' not in chunk else b"".join(chunk.split(b'"')[::2])
        rows += outside.count(b"\n")
        last = chunk[-1:]
    return rows + (last != b"\n")


def check_rows(read: Read, start: int, end: int, columns: Sequence[str], file: str) -> int:
    """Check every row in `[start, end)`, which starts at a row boundary, and return their number.

    Args:
        read: the file.
        start: offset of the first row.
        end: offset of the end of the last row.
        columns: columns that every row must have.
        file: the file, as messages call it.

    Raises:
        CsvError: the first row that is malformed, too short, too long or not UTF-8.
    """
    return sum(rows for _, rows in checked_chunks(read, start, end, columns, file))


def checked_chunks(
    read: Read, start: int, end: int, columns: Sequence[str], file: str, dialect: Dialect = PLAIN
) -> Iterator[tuple[bytes, int]]:
    """Yield whole rows with their number, about half a MiB at a time. Arguments and errors are those of `check_rows`.

    If the file has a dialect, `read` and the rows are in its view.
    """
    width = len(columns)
    if dialect.enclosure:
        for chunk, rows in _guessed_chunks(read, start, end, width):
            yield chunk, rows
            start += len(chunk)
    for offset, chunk in _chunks(read, start, end, file):
        _check_enclosure(read, offset, chunk, file, dialect)
        row_count = None
        if len(chunk) <= _FAST_BYTES:
            row_count = _well_formed_rows(chunk if chunk.endswith(b"\n") else chunk + b"\n", width)
        if row_count is None:
            # There is an error, or a row so long that splitting it at its quotes could take hundreds of MiB.
            row_count = parse_rows(read, offset, chunk, columns, file, dialect)
        yield chunk, row_count


def _guessed_chunks(read: Read, start: int, end: int, width: int) -> Iterator[tuple[bytes, int]]:
    """Yield the same as long as there are no errors and the last newline of each piece is a row boundary.

    Quotes need not be counted to verify that: a piece that does not end at a row boundary is not well-formed.
    """
    while start < end:
        size = min(_CHUNK_BYTES, end - start)
        block = read(size, start)
        border = len(block) if start + len(block) >= end else block.rfind(b"\n") + 1
        rows = None
        if border and len(block) == size:
            chunk = block[:border] if border < len(block) else block
            rows = _well_formed_rows(chunk if chunk.endswith(b"\n") else chunk + b"\n", width)
        if rows is None:
            return
        yield chunk, rows
        start += border


def _check_enclosure(read: Read, offset: int, text: bytes, file: str, dialect: Dialect) -> None:
    if not dialect.enclosure and (index := text.find(b'"')) >= 0:
        fail(read, offset + index, file, "a NUL byte; expected text, where nothing encloses the fields")


def _chunks(read: Read, start: int, end: int, file: str) -> Iterator[tuple[int, bytes]]:
    """Yield pieces of about half a MiB with their offsets; each ends at a row boundary or at `end`."""
    length = _CHUNK_BYTES
    while start < end:
        size = min(length, end - start)
        block = read(size, start)
        if len(block) < size:
            problem = f"the file ends after {start + len(block)} bytes, expected {end}"
            raise CsvError(file, None, f"{problem}; it changed while it was read")
        border = len(block) if start + len(block) >= end else _last_border(block)
        if border:
            yield start, block[:border] if border < len(block) else block
            start, length = start + border, _CHUNK_BYTES
        elif len(block) >= MAX_ROW_BYTES:
            fail(read, start, file, f"the row is longer than {MAX_ROW_BYTES} bytes; is a quote not closed?")
        else:
            length = min(4 * length, MAX_ROW_BYTES)


def _last_border(block: bytes) -> int:
    """Offset after the last row boundary of a block that starts at one; 0 if there is none."""
    quotes = count_in(block, b'"')
    end = len(block)
    while (newline := block.rfind(b"\n", 0, end)) >= 0:
        quotes -= block.count(b'"', newline, end)
        if quotes % 2 == 0:
            return newline + 1
        # Inside a quoted field: continue before its opening quote.
        end = block.rfind(b'"', 0, newline)
        quotes -= 1
    return 0


def _well_formed_rows(chunk: bytes, width: int) -> int | None:
    """The number of rows of a chunk that ends with a newline, or None if it has any error.

    All work is done by a few calls that process the whole chunk in C.
    """
    if not chunk.isascii():
        try:
            chunk.decode()
        except UnicodeDecodeError:
            return None
    outside = chunk
    if b'"' in chunk:
        parts = chunk.split(b'"')
        if len(parts) % 2 == 0:
            return None
        # From here on, one quote stands for each quoted part.
        outside = b'"'.join(parts[::2])
        if not _quotes_at_borders(parts[::2], outside):
            return None
    if b"\r" in outside and outside.count(b"\r") != outside.count(b"\r\n"):
        return None
    separators = outside.translate(None, _NO_SEPARATORS)
    rows = len(separators) // width
    return rows if separators == (b"," * (width - 1) + b"\n") * rows else None


def _quotes_at_borders(pieces: list[bytes], text: bytes) -> bool:
    """Whether quotes open only after a separator and close only before one; a lone CR is rejected elsewhere.

    `pieces` are the parts outside quotes (an empty one is a doubled quote); `text` is the pieces joined by quotes. If
    quotes are rare, only the ends of pieces are checked, otherwise the whole text: 80 ns a piece, 4 ns a byte.
    """
    if len(pieces) * _PIECE_COST < len(text):
        return set(map(_FIRST, pieces[1:])) <= _AFTER_QUOTE and set(map(_LAST, pieces[:-1])) <= _BEFORE_QUOTE
    classes = text.translate(_TO_CLASSES)
    return _OTHER + b'"' not in classes and b'"' + _OTHER not in classes
