"""Prepares CSV files for DuckDB: no header line, rows that end with LF, values unchanged.

Files are changed in place, because the disk may have no room for a copy.
"""

from __future__ import annotations

import os
from typing import Final

from componentrun.csv.text import check_rows, read_header

__all__ = ["make_ready", "with_header_columns"]

_MARK: Final = "\ufeff".encode()
"""A byte order mark at the start of a file. Slices have none: in a slice these bytes are part of a value."""
_CHUNK_BYTES: Final = 2**20
_LOOK_BYTES: Final = 2**18
"""Few enough to stay in the processor's cache."""


def with_header_columns(path: str, name: str) -> tuple[str, ...]:
    """Check a CSV file, remove its header line and return the columns in it.

    Args:
        path: the file.
        name: the file, as messages call it.

    Raises:
        UserError: (OutputInvalid) the file is not well-formed CSV.
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
    """Replace CRLF at the ends of rows by LF, in place (quoted values are unchanged), and protect a leading U+FEFF."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if _has_carriage_returns(descriptor):
            _rewrite(descriptor, 0)
        _keep_mark(descriptor)
    finally:
        os.close(descriptor)


def _end_last_row(descriptor: int) -> None:
    """Remove a carriage return at the end of the file: in a checked file it ends the last row, without a newline."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) == b"\r":
        os.ftruncate(descriptor, size - 1)


def _keep_mark(descriptor: int) -> None:
    """Double a U+FEFF at the start of the file: DuckDB drops the first one as a byte order mark."""
    if os.pread(descriptor, len(_MARK), 0) != _MARK:
        return
    pending, position = _MARK, 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, position):
        data = pending + chunk
        position += os.pwrite(descriptor, data[: len(chunk)], position)
        pending = data[len(chunk) :]
    os.pwrite(descriptor, pending, position)


def _has_carriage_returns(descriptor: int) -> bool:
    buffer = bytearray(_LOOK_BYTES)
    position = 0
    while count := os.preadv(descriptor, [buffer], position):
        if buffer.find(b"\r", 0, count) >= 0:
            return True
        position += count
    return False


def _rewrite(descriptor: int, start: int) -> None:
    """Remove the bytes before `start`, and the carriage returns at the ends of rows."""
    source, target, is_quoted = start, 0, False
    pending = b""  # a carriage return at the end of a chunk: a newline may follow
    while chunk := os.pread(descriptor, _CHUNK_BYTES, source):
        source += len(chunk)
        chunk = pending + chunk
        pending = b"\r" if chunk.endswith(b"\r") else b""
        chunk = chunk[: len(chunk) - len(pending)]
        if b"\r\n" in chunk:
            parts = chunk.split(b'"')
            for i, part in enumerate(parts):
                is_quoted ^= i > 0
                if not is_quoted:
                    parts[i] = part.replace(b"\r\n", b"\n")
            chunk = b'"'.join(parts)
        else:
            is_quoted ^= chunk.count(b'"') % 2 == 1
        if target + len(chunk) + len(pending) == source and not start:
            target += len(chunk)  # nothing has been removed so far
        else:
            target += os.pwrite(descriptor, chunk, target)
    target += os.pwrite(descriptor, pending, target) if pending else 0
    os.ftruncate(descriptor, target)
