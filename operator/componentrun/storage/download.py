"""A table's content as a stream of CSV, without a pod."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from componentrun.csvtext import encode_header, next_border
from componentrun.storage.reading import EVERYTHING, Wish, plan_read
from componentrun.storage.slices import stream_slice
from componentrun.storage.tables import need_table
from componentrun.tablefiles import make_ready
from componentrun.tablequery import deliver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from componentrun.exchange import Mapping
    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId
    from componentrun.storage.pointer import Pointer, Slice

__all__ = ["bring_steps", "head_rows", "read_csv", "read_pointer_csv"]

_CHUNK_BYTES: Final = 2**20
_FILE_BYTES: Final = 16 * 2**20
"""Small slices go into one file up to here."""


async def read_csv(store: Store, table: TableId, wish: Wish = EVERYTHING) -> AsyncIterator[bytes]:
    """A table as CSV: its header line, then its rows.

    Raises:
        UserError: (InputNotFound) there is no such table.
        StaleError: a slice is not the one that the pointer names.
    """
    found = await need_table(store, table)
    async for chunk in read_pointer_csv(store, found.pointer, wish):
        yield chunk


async def read_pointer_csv(
    store: Store, pointer: Pointer, wish: Wish = EVERYTHING, counted: Callable[[int], object] | None = None
) -> AsyncIterator[bytes]:
    """The table that a pointer describes, as CSV. Rows from before a column was added get empty values there.

    Args:
        store: the Storage.
        pointer: of the table.
        wish: which columns and rows.
        counted: told the number of rows where the pointer does not tell it.
    """
    reading = plan_read(pointer, wish)
    if reading.mapping is None:
        yield encode_header(reading.columns)
        for part in reading.slices:
            async for chunk in stream_slice(store, part):
                yield chunk
        return
    with tempfile.TemporaryDirectory(prefix="componentrun-") as name:
        folder = Path(name)
        files = await bring_steps(store, reading.slices, reading.mapping, folder)
        rows = await asyncio.to_thread(deliver, reading.mapping, files, str(folder / "table.csv"), name)
        if counted is not None:
            counted(rows)
        with (folder / "table.csv").open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                yield chunk


async def bring_steps(store: Store, slices: Sequence[Slice], mapping: Mapping, folder: Path) -> list[list[str]]:
    """Bring slices into a folder, as files that `deliver` takes: a list for each step of the mapping."""
    left = list(slices)
    files: list[list[str]] = []
    for number, step in enumerate(mapping.steps):
        own, left = left[: step.slices], left[step.slices :]
        files.append(await _bring(store, own, folder, number))
    return files


async def _bring(store: Store, slices: list[Slice], folder: Path, step: int) -> list[str]:
    files: list[str] = []
    size = _FILE_BYTES
    for part in slices:
        if size + part.size > _FILE_BYTES:
            files.append(str(folder / f"{step}-{len(files)}.part"))
            size = 0
        size += part.size
        with open(files[-1], "ab") as file:  # noqa: ASYNC230, PTH123 - one reader, one file at a time
            async for chunk in stream_slice(store, part):
                file.write(chunk)
    for name in files:
        await asyncio.to_thread(make_ready, name)
    return files


async def head_rows(store: Store, table: TableId, rows: int) -> bytes:
    """The header line and the first `rows` rows of a table, as CSV."""
    pointer = (await need_table(store, table)).pointer
    if plan_read(pointer, EVERYTHING).mapping is not None:
        return b"".join([chunk async for chunk in read_pointer_csv(store, pointer, Wish(limit=rows))])
    taken = bytearray()
    borders = 0
    start = 0
    async for chunk in read_pointer_csv(store, pointer):
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
