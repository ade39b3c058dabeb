"""A local CSV file as a table, without a pod: the same rules as for what a component writes.

The load is published as that of a run whose uid is made up here, so that it is as atomic and repeatable as any other.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.csvtext import check_rows, count_rows, cut, read_header
from componentrun.errors import Reason, UserError
from componentrun.exchange import StageOutResult, TableWritten
from componentrun.storage.commit import publish, resume
from componentrun.storage.slices import store_slice
from componentrun.storage.tables import gather_bounded, read_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from componentrun.csvtext import Header, Slice
    from componentrun.exchange import SliceWritten
    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId
    from componentrun.storage.pointer import Pointer

__all__ = ["SLICE_BYTES", "Loaded", "is_by_hand", "new_run_uid", "store_rows", "store_table", "upload_table", "whole"]

SLICE_BYTES: Final = 16 * 1024 * 1024
"""Small enough for a slow line: see the stall timeout in `connection`."""
_BY_HAND: Final = "load-"
_READ_AHEAD: Final = 3
"""Slices in memory at once."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an upload did."""

    run: str
    """The made-up uid."""
    rows: int
    bytes: int
    pointer: Pointer
    """The table afterwards."""


def new_run_uid() -> str:
    """A uid for a load that no run stands behind."""
    return f"{_BY_HAND}{uuid.uuid4()}"


def is_by_hand(run: str) -> bool:
    """Whether no run stands behind a uid, but somebody who loads by hand."""
    return run.startswith(_BY_HAND)


async def upload_table(
    store: Store,
    path: Path,
    table: TableId,
    *,
    primary_key: tuple[str, ...] = (),
    incremental: bool = False,
    run: str | None = None,
) -> Loaded:
    """Load a CSV file (UTF-8, header line, LF or CRLF) into a table.

    Args:
        store: the Storage.
        path: the file.
        table: where to; made if it is not there.
        primary_key: of the table.
        incremental: add the rows instead of replacing the table.
        run: uid to load as; an interrupted upload that is repeated with the same uid is not loaded twice.

    Raises:
        UserError: (OutputInvalid) the file is no well-formed CSV, or does not fit the table; the message names file and
            line. Nothing was changed.
        TransientError: the store is away; repeat with the same `run`.
    """
    uid = run or new_run_uid()
    published = await resume(store, uid)
    # Once it is decided, its objects must not be written again: they are in the table, or will be in a moment.
    if published is None:
        load = await store_table(store, path, table, uid, primary_key=primary_key, incremental=incremental)
        published = await publish(store, uid, 1, StageOutResult(ok=True, tables=(load,)))
    found = await read_table(store, table)
    if found is None:
        raise UserError(f"`{table}` was deleted by somebody else right after it was loaded", Reason.INPUT_NOT_FOUND)
    rows = sum(item.rows for item in published.tables)
    return Loaded(uid, rows, sum(item.bytes for item in published.tables), found.pointer)


async def store_table(
    store: Store, path: Path, table: TableId, run: str, *, primary_key: tuple[str, ...], incremental: bool
) -> TableWritten:
    """Check and store the rows of a CSV file; nothing is published yet.

    Raises:
        UserError: (OutputInvalid) the file is no well-formed CSV; the message names file and line.
        ComponentRunError: the store refused or is away.
    """
    # The name may be no UTF-8, and it is told with the table.
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
    return header, await store_rows(store, read, header.data_offset, size, folder, name=name)


async def store_rows(
    store: Store, read: Callable[[int, int], bytes], start: int, end: int, folder: str, *, name: str
) -> tuple[SliceWritten, ...]:
    """Store the rows between two places of a file as slices below `folder`, which ends with a slash.

    Raises:
        UserError: (OutputInvalid) the file, which messages call `name`, does not reach that far any more.
    """
    parts = max(1, -(-(end - start) // SLICE_BYTES))
    pieces = await asyncio.to_thread(lambda: list(cut(read, start, end, parts)))
    gate = asyncio.Semaphore(_READ_AHEAD)

    async def store_piece(item: tuple[int, Slice]) -> SliceWritten:
        async with gate:
            number, piece = item
            data, rows = await asyncio.to_thread(_load_piece, read, piece, name)
            return await store_slice(store, f"{folder}{number:05d}.csv", data, rows)

    return tuple(await gather_bounded(store_piece, enumerate(pieces)))


def _load_piece(read: Callable[[int, int], bytes], piece: Slice, name: str) -> tuple[bytes, int]:
    data = whole(read(piece.size, piece.offset), piece.size, name)
    if not data.endswith(b"\n"):
        data += b"\n"
    return data, count_rows(read, piece.offset, piece.offset + piece.size)


def whole(data: bytes, size: int, name: str) -> bytes:
    """Bytes that were read from a local file, which somebody else may change.

    Raises:
        UserError: (OutputInvalid) there are fewer than there were.
    """
    if len(data) < size:
        raise UserError(
            f"{name}: it became shorter while it was read (found {len(data)} bytes, expected {size}); nothing was "
            "stored. Try again once nobody writes it",
            Reason.OUTPUT_INVALID,
        )
    return data
