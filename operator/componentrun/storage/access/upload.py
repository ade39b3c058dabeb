"""Uploads a local CSV file in slices, as stage-out does, for tables that are loaded without a pod."""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import TYPE_CHECKING, Final

from componentrun.csv.text import check_rows, count_rows, cut, read_header
from componentrun.errors import Reason, UserError
from componentrun.storage.store.gather import gather_bounded
from componentrun.wire.agents import SliceWritten, TableWritten
from componentrun.wire.encoding import NONE, pack, suffix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from componentrun.csv.text import Header, Slice
    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.keys import TableId

__all__ = ["SLICE_BYTES", "new_run_uid", "store_table", "whole"]

SLICE_BYTES: Final = 16 * 1024 * 1024
"""Small enough for a slow connection: see the stall timeout in `connection`."""
_BY_HAND: Final = "load-"
_WORTH_PACKING: Final = 64 * 2**10
"""Smaller slices are not compressed, because a request costs more than their bytes."""
_READ_AHEAD: Final = 3
"""Maximum number of slices in memory."""


def new_run_uid() -> str:
    """Return a uid for a load without a run."""
    return f"{_BY_HAND}{uuid.uuid4()}"


async def store_table(
    store: Store, path: Path, table: TableId, run: str, *, primary_key: tuple[str, ...], incremental: bool
) -> TableWritten:
    """Check and store the rows of a CSV file without publishing them.

    Raises:
        UserError: (OutputInvalid) the file is not well-formed CSV; the message names file and line.
        ComponentRunError: the store refused or is away.
    """
    # The name may not be UTF-8, and it is part of the table's metadata.
    name = os.fsencode(path.name).decode("utf-8", "backslashreplace")
    descriptor = _open(path)
    try:
        header, slices = await _store_file(store, descriptor, name, table, run)
    finally:
        os.close(descriptor)
    return TableWritten(
        source=name,
        destination=str(table),
        columns=header.columns,
        primary_key=primary_key,
        incremental=incremental,
        write_always=False,
        slices=slices,
        rows=sum(part.rows for part in slices),
        size=sum(part.size for part in slices),
    )


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"can't read `{path}`: {error.strerror}", Reason.INPUT_NOT_FOUND) from error


async def _store_file(
    store: Store, descriptor: int, name: str, table: TableId, run: str
) -> tuple[Header, tuple[SliceWritten, ...]]:
    """Check the whole file, then store its rows in slices."""

    def read(length: int, offset: int) -> bytes:
        return os.pread(descriptor, length, offset)

    size = os.fstat(descriptor).st_size
    header = read_header(read, size, name)
    await asyncio.to_thread(check_rows, read, header.data_offset, size, header.columns, name)
    folder = f"{store.layout.data(run, 1)}{table.bucket_id}/{table.table}/"
    return header, await _store_rows(store, read, header.data_offset, size, folder, name=name)


async def _store_rows(
    store: Store, read: Callable[[int, int], bytes], start: int, end: int, folder: str, *, name: str
) -> tuple[SliceWritten, ...]:
    """Store the rows between two offsets of a file as slices below `folder`, which ends with a slash.

    Raises:
        UserError: (OutputInvalid) the file, called `name` in messages, has become shorter.
    """
    parts = max(1, -(-(end - start) // SLICE_BYTES))
    pieces = await asyncio.to_thread(lambda: list(cut(read, start, end, parts)))
    gate = asyncio.Semaphore(_READ_AHEAD)

    async def store_piece(item: tuple[int, Slice]) -> SliceWritten:
        async with gate:
            number, piece = item
            data, rows = await asyncio.to_thread(_load_piece, read, piece, name)
            return await _store_slice(store, f"{folder}{number:05d}.csv", data, rows)

    return tuple(await gather_bounded(store_piece, enumerate(pieces)))


async def _store_slice(store: Store, key: str, data: bytes, rows: int) -> SliceWritten:
    """Store rows with the Storage's compression."""
    compression = store.settings.compression
    if compression == NONE or len(data) < _WORTH_PACKING:
        return SliceWritten(key, len(data), rows, await store.put(key, data))
    content = await asyncio.to_thread(pack, data, compression)
    key += suffix(compression)
    return SliceWritten(key, len(data), rows, await store.put(key, content), compression, len(content))


def _load_piece(read: Callable[[int, int], bytes], piece: Slice, name: str) -> tuple[bytes, int]:
    data = whole(read(piece.size, piece.offset), piece.size, name)
    if not data.endswith(b"\n"):
        data += b"\n"
    return data, count_rows(read, piece.offset, piece.offset + piece.size)


def whole(data: bytes, size: int, name: str) -> bytes:
    """Read bytes of a local file, which others may change.

    Raises:
        UserError: (OutputInvalid) the file has become shorter.
    """
    if len(data) < size:
        raise UserError(
            f"{name}: it became shorter while it was read (found {len(data)} bytes, expected {size}); "
            "nothing was stored",
            Reason.OUTPUT_INVALID,
            advice="Try again when nothing writes to it.",
        )
    return data
