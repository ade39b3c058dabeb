"""A table's content as a stream of CSV, without a pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.csvtext import encode_header, next_border
from componentrun.storage.tables import need_table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId
    from componentrun.storage.pointer import Pointer

__all__ = ["head_rows", "read_csv", "read_pointer_csv"]


async def read_csv(store: Store, table: TableId) -> AsyncIterator[bytes]:
    """A table as CSV: its header line, then its rows as they were loaded (a primary key is not resolved).

    Raises:
        UserError: (InputNotFound) there is no such table.
        StaleError: a slice is not the one that the pointer names.
    """
    found = await need_table(store, table)
    async for chunk in read_pointer_csv(store, found.pointer):
        yield chunk


async def read_pointer_csv(store: Store, pointer: Pointer) -> AsyncIterator[bytes]:
    """The table that a pointer describes, as CSV. Rows from before a column was added get empty values there."""
    yield encode_header(pointer.column_names)
    for segment in pointer.segments:
        added = len(pointer.columns) - len(segment.columns)
        for part in segment.slices:
            stream = store.stream(part.key, etag=part.etag)
            async for chunk in _filled(stream, added) if added else stream:
                yield chunk


async def head_rows(store: Store, table: TableId, rows: int) -> bytes:
    """The header line and the first `rows` rows of a table, as CSV."""
    taken = bytearray()
    borders = 0
    start = 0
    async for chunk in read_csv(store, table):
        taken += chunk
        while borders <= rows and (end := _border(taken, start)) is not None:
            start = end
            borders += 1
        if borders > rows:
            break
    return bytes(taken[:start])


def _border(data: bytearray, start: int) -> int | None:
    """Where the row that begins at `start` ends; None where its end is not there yet."""
    end = next_border(lambda length, offset: bytes(data[offset : offset + length]), start, start, len(data))
    return end if end > start and _is_whole(data, start, end) else None


def _is_whole(data: bytearray, start: int, end: int) -> bool:
    return data[end - 1] == ord("\n") and data.count(b'"', start, end) % 2 == 0


async def _filled(stream: AsyncIterator[bytes], added: int) -> AsyncIterator[bytes]:
    """Rows with `added` empty values at the end of each. Chunks may begin and end anywhere."""
    inside = False
    filling = b"," * added
    held = b""  # a carriage return at a chunk's end, which belongs to the row's end if a newline follows
    async for piece in stream:
        chunk = held + piece
        held = chunk[-1:] if chunk.endswith(b"\r") else b""
        parts = chunk[: len(chunk) - len(held)].split(b'"')
        for i, part in enumerate(parts):
            inside ^= i > 0
            if not inside:
                parts[i] = _fill_ends(part, filling)
        yield b'"'.join(parts)
    if held:
        yield held


def _fill_ends(text: bytes, filling: bytes) -> bytes:
    """The filling before every end of a row in text outside quotes."""
    return (
        b"\n".join(
            line[:-1] + filling + b"\r" if line.endswith(b"\r") else line + filling for line in text.split(b"\n")[:-1]
        )
        + (b"\n" if b"\n" in text else b"")
        + text.rpartition(b"\n")[2]
    )
