"""Files of rows as DuckDB is to find them: headerless, rows that end with LF, and every value as it is.

Changed in place, because beside them there may be no room.
"""

from __future__ import annotations

import os
from typing import Final

from componentrun.csv.text import check_rows, read_header

__all__ = ["make_ready", "with_header_columns"]

_MARK: Final = "\ufeff".encode()
"""A byte order mark, at the start of a file. Slices have none: there it is part of a value."""
_CHUNK_BYTES: Final = 2**20
_LOOK_BYTES: Final = 2**18
"""Few enough to stay in the processor's cache."""


def with_header_columns(path: str, name: str) -> tuple[str, ...]:
    """The columns in the header line of a CSV file. The file is checked, and the line is taken away.

    Args:
        path: the file.
        name: how messages call it.

    Raises:
        UserError: (OutputInvalid) the file is no well-formed CSV.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size

        def read(length: int, offset: int) -> bytes:
            return os.pread(descriptor, length, offset)

        header = read_header(read, size, name)
        check_rows(read, header.data_offset, size, header.columns, name)
        _rewrite(descriptor, header.data_offset)
        _end_last_row(descriptor)
        _keep_mark(descriptor)
    finally:
        os.close(descriptor)
    return header.columns


def make_ready(path: str) -> None:
    """Have rows end with LF instead of CRLF (what is in quotes stays), and begin as DuckDB reads them, in place."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if _has_carriage_returns(descriptor):
            _rewrite(descriptor, 0)
        _keep_mark(descriptor)
    finally:
        os.close(descriptor)


def _end_last_row(descriptor: int) -> None:
    """Take away a carriage return at the very end: in what was checked it ends the last row, without a newline."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) == b"\r":
        os.ftruncate(descriptor, size - 1)


def _keep_mark(descriptor: int) -> None:
    """Where the first value begins with U+FEFF, put another before it: DuckDB takes the first one for no text."""
    if os.pread(descriptor, len(_MARK), 0) != _MARK:
        return
    left, at = _MARK, 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, at):
        moved = left + chunk
        at += os.pwrite(descriptor, moved[: len(chunk)], at)
        left = moved[len(chunk) :]
    os.pwrite(descriptor, left, at)


def _has_carriage_returns(descriptor: int) -> bool:
    buffer = bytearray(_LOOK_BYTES)
    at = 0
    while count := os.preadv(descriptor, [buffer], at):
        if buffer.find(b"\r", 0, count) >= 0:
            return True
        at += count
    return False


def _rewrite(descriptor: int, start: int) -> None:
    """Take away the bytes before `start`, and the carriage returns at the ends of rows."""
    source, target, inside = start, 0, False
    held = b""  # a carriage return at the end of a chunk: a newline may follow
    while chunk := os.pread(descriptor, _CHUNK_BYTES, source):
        source += len(chunk)
        chunk = held + chunk
        held = b"\r" if chunk.endswith(b"\r") else b""
        chunk = chunk[: len(chunk) - len(held)]
        if b"\r\n" in chunk:
            parts = chunk.split(b'"')
            for i, part in enumerate(parts):
                inside ^= i > 0
                if not inside:
                    parts[i] = part.replace(b"\r\n", b"\n")
            chunk = b'"'.join(parts)
        else:
            inside ^= chunk.count(b'"') % 2 == 1
        if target + len(chunk) + len(held) == source and not start:
            target += len(chunk)  # nothing was taken away so far
        else:
            target += os.pwrite(descriptor, chunk, target)
    target += os.pwrite(descriptor, held, target) if held else 0
    os.ftruncate(descriptor, target)
