"""CSV as bytes: headers, row borders, slices and the full check, at the speed of the memory rather than of a parser.

What comes in is a *reader*, `read(length, offset) -> bytes` (`os.pread` bound to a descriptor, or a slice of bytes in a
test), so nothing here opens a file or holds one in memory. Used by stage-out before it uploads and by the command line
before it loads a file; both must agree about what a well-formed table is, so this is the only place that says it:

- fields are separated by a comma; a field may be quoted, then a quote inside it is doubled; quotes stand nowhere else
- rows end with LF or CRLF, the last one may lack it; a quoted field may hold newlines; a lone CR is refused
- UTF-8, a byte order mark at the very start is dropped; every row has as many fields as the header
- in a table of one column an empty line is a row that holds an empty value

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
"""The longest row (and header) that is accepted; beyond it a quote is missing somewhere, and memory has an end."""

_BOM: Final = b"\xef\xbb\xbf"
# Fits into a core's second-level cache together with what is made of it; measured: half a MiB is fastest.
_CHUNK_BYTES: Final = 512 * 2**10
_FAST_BYTES: Final = 2**20
# Counting quotes alone needs less per call than checking does.
_SCAN_BYTES: Final = 2**20

_NO_SEPARATORS: Final = bytes(sorted(set(range(256)) - set(b",\n")))
# Everything that may not touch a quote from outside becomes one sign. (A lone CR is refused elsewhere.)
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
    """Refuse a list of columns that can't be a header.

    Raises:
        CsvError: there is none, one is empty, or one is there twice.
    """
    if not columns:
        raise CsvError(file, line, "found no column, expected at least one")
    seen: set[str] = set()
    for position, column in enumerate(columns, 1):
        if not column.strip():
            raise CsvError(file, line, f"the name of column {position} is empty; expected a name for every column")
        if column in seen:
            raise CsvError(file, line, f"column `{column}` is there twice; expected every name once")
        seen.add(column)


def encode_header(columns: Sequence[str]) -> bytes:
    """The header line for these columns, quoted only where a reader would misunderstand them."""
    return (",".join(_quoted(column) for column in columns) + "\n").encode()


def _quoted(value: str) -> str:
    # What begins with U+FEFF would be taken for a file with a byte order mark.
    if not value or any(sign in value for sign in ',"\r\n') or value != value.strip() or value.startswith("\ufeff"):
        return '"' + value.replace('"', '""') + '"'
    return value


def start_of_text(read: Read) -> int:
    """Bytes of the byte order mark at the start: 3 or 0."""
    return len(_BOM) if read(len(_BOM), 0) == _BOM else 0


def read_header(read: Read, size: int, file: str, dialect: Dialect = PLAIN) -> Header:
    """Parse the first row of a file of `size` bytes as its header; `read` is its view where it has a dialect.

    Raises:
        CsvError: the file is empty, the row is malformed or no UTF-8, a column is empty or repeated.
    """
    header = read_first_row(read, size, file, dialect)
    if header.columns == ("",) and read(1, start_of_text(read)) in {b"\n", b"\r"}:
        raise CsvError(file, 1, "the line is empty; expected the header line, without empty lines before it")
    check_columns(header.columns, file, 1)
    return header


def read_first_row(read: Read, size: int, file: str, dialect: Dialect = PLAIN) -> Header:
    """Parse the first row of a file, whatever it is. Arguments are those of `read_header`.

    Raises:
        CsvError: the file is empty, the row is malformed or no UTF-8.
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

    for field, after in fields_of_row(text, 0, explain, dialect):
        if after > valid:
            explain(valid, not_text(text[valid]))
        columns.append(dialect.value(_unquoted(field.decode())))
    return Header(tuple(columns), end)


def _unquoted(field: str) -> str:
    return field[1:-1].replace('""', '"') if field.startswith('"') else field


def next_border(read: Read, start: int, position: int, end: int) -> int:
    """Offset just after the first row border at or after `position`; `end` if there is none.

    `start` is a row border (or the start of the data) at or before `position`; the quotes between the two are counted.
    """
    odd = count(read, b'"', start, position) % 2 == 1
    while position < end:
        block = read(min(_SCAN_BYTES, end - position), position)
        if not block:
            break
        border = _first_border(block, odd=odd)
        if border:
            return position + border
        odd ^= block.count(b'"') % 2 == 1
        position += len(block)
    return end


def _first_border(block: bytes, *, odd: bool) -> int:
    """Offset just after the first row border of a block; 0 if it holds none. `odd`: it starts inside quotes."""
    at = 0
    while True:
        if odd:
            # No newline before the closing quote counts.
            at = block.find(b'"', at) + 1
            if not at:
                return 0
        newline = block.find(b"\n", at)
        if newline < 0:
            return 0
        odd = block.count(b'"', at, newline) % 2 == 1
        if not odd:
            return newline + 1
        at = newline


def cut(read: Read, start: int, end: int, parts: int) -> Iterator[Slice]:
    """Cut the rows in `[start, end)` into at most `parts` slices of about equal size, lazily, in order.

    Together the slices are the range, byte for byte. A slice is never empty; a long row makes its slice longer. Where a
    row is longer than any may be, the rest is one slice: nothing of it will be stored, so no border is looked for.
    """
    while start < end:
        goal = start + -(-(end - start) // max(parts, 1))
        too_far = goal + MAX_ROW_BYTES + 1
        border = end if goal >= end else next_border(read, start, goal, min(end, too_far))
        border = border if border < too_far else end
        yield Slice(start, border - start)
        start, parts = border, parts - 1


def count_rows(read: Read, start: int, end: int) -> int:
    """Rows in `[start, end)`, which starts at a row border, without parsing them. Nothing is checked."""
    rows, last = 0, b"\n"
    for _, chunk in _chunks(read, start, end, "the file"):
        outside = chunk if b'"' not in chunk else b"".join(chunk.split(b'"')[::2])
        rows += outside.count(b"\n")
        last = chunk[-1:]
    return rows + (last != b"\n")


def check_rows(read: Read, start: int, end: int, columns: Sequence[str], file: str) -> int:
    """Check every row in `[start, end)`, which starts at a row border, and return their number.

    Args:
        read: the file.
        start: bytes before the first row.
        end: bytes before the end of the last row.
        columns: what every row must have.
        file: how messages call it.

    Raises:
        CsvError: at the first row that is malformed, too short, too long or no UTF-8.
    """
    return sum(rows for _, rows in checked_chunks(read, start, end, columns, file))


def checked_chunks(
    read: Read, start: int, end: int, columns: Sequence[str], file: str, dialect: Dialect = PLAIN
) -> Iterator[tuple[bytes, int]]:
    """Whole rows with their number, about half a MiB at a time. Arguments and errors are those of `check_rows`.

    Where the file has a dialect, `read` and the rows are in its view.
    """
    width = len(columns)
    if dialect.enclosure:
        for chunk, rows in _guessed_chunks(read, start, end, width):
            yield chunk, rows
            start += len(chunk)
    for offset, chunk in _chunks(read, start, end, file):
        _check_enclosure(read, offset, chunk, file, dialect)
        found = None
        if len(chunk) <= _FAST_BYTES:
            found = _well_formed_rows(chunk if chunk.endswith(b"\n") else chunk + b"\n", width)
        if found is None:
            # Something is wrong, or one row is so long that splitting it at its quotes could take hundreds of MiB.
            found = parse_rows(read, offset, chunk, columns, file, dialect)
        yield chunk, found


def _guessed_chunks(read: Read, start: int, end: int, width: int) -> Iterator[tuple[bytes, int]]:
    """The same, as long as nothing is wrong and the last newline of each piece is a row border.

    That need not be found out beforehand, by counting quotes: only what ends at a row border is well-formed.
    """
    while start < end:
        wanted = min(_CHUNK_BYTES, end - start)
        block = read(wanted, start)
        border = len(block) if start + len(block) >= end else block.rfind(b"\n") + 1
        rows = None
        if border and len(block) == wanted:
            chunk = block[:border] if border < len(block) else block
            rows = _well_formed_rows(chunk if chunk.endswith(b"\n") else chunk + b"\n", width)
        if rows is None:
            return
        yield chunk, rows
        start += border


def _check_enclosure(read: Read, offset: int, text: bytes, file: str, dialect: Dialect) -> None:
    if not dialect.enclosure and (at := text.find(b'"')) >= 0:
        fail(read, offset + at, file, "a NUL byte; expected text, where nothing encloses the fields")


def _chunks(read: Read, start: int, end: int, file: str) -> Iterator[tuple[int, bytes]]:
    """Pieces of about half a MiB with their offsets; each ends at a row border or at `end`."""
    length = _CHUNK_BYTES
    while start < end:
        wanted = min(length, end - start)
        block = read(wanted, start)
        if len(block) < wanted:
            found = f"the file ends after {start + len(block)} bytes, expected {end}"
            raise CsvError(file, None, f"{found}; it changed while it was read")
        border = len(block) if start + len(block) >= end else _last_border(block)
        if border:
            yield start, block[:border] if border < len(block) else block
            start, length = start + border, _CHUNK_BYTES
        elif len(block) >= MAX_ROW_BYTES:
            fail(read, start, file, f"the row is longer than {MAX_ROW_BYTES} bytes; is a quote not closed?")
        else:
            length = min(4 * length, MAX_ROW_BYTES)


def _last_border(block: bytes) -> int:
    """Offset just after the last row border of a block that starts at one; 0 if it holds none."""
    quotes = count_in(block, b'"')
    end = len(block)
    while (newline := block.rfind(b"\n", 0, end)) >= 0:
        quotes -= block.count(b'"', newline, end)
        if quotes % 2 == 0:
            return newline + 1
        # Inside a quoted field: nothing before its opening quote can be outside.
        end = block.rfind(b'"', 0, newline)
        quotes -= 1
    return 0


def _well_formed_rows(chunk: bytes, width: int) -> int | None:
    """The number of rows of a chunk that ends with a newline, or None if anything about it is wrong.

    All work is done by a handful of calls that run over the whole chunk in C.
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
        # One quote stands for each quoted stretch from here on.
        outside = b'"'.join(parts[::2])
        if not _quotes_at_borders(parts[::2], outside):
            return None
    if b"\r" in outside and outside.count(b"\r") != outside.count(b"\r\n"):
        return None
    separators = outside.translate(None, _NO_SEPARATORS)
    rows = len(separators) // width
    return rows if separators == (b"," * (width - 1) + b"\n") * rows else None


def _quotes_at_borders(pieces: list[bytes], text: bytes) -> bool:
    """Whether fields are opened only after a separator and closed only before one; a lone CR is refused elsewhere.

    `pieces` are what is outside quotes, an empty one between two quotes is a doubled quote; `text` is them, joined by
    quotes. Where quotes are rare the pieces' ends are looked at, else the text as a whole: measured, 80 ns a piece
    against 4 ns a byte.
    """
    if len(pieces) * _PIECE_COST < len(text):
        return set(map(_FIRST, pieces[1:])) <= _AFTER_QUOTE and set(map(_LAST, pieces[:-1])) <= _BEFORE_QUOTE
    classes = text.translate(_TO_CLASSES)
    return _OTHER + b'"' not in classes and b'"' + _OTHER not in classes
