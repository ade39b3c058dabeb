"""Compacting a table: its first segments become one, while others load it and read it.

    1. look      the pointer says which segments; a run whose journal is not done stays out, with all behind it, because
                 its segment is how a second publish of it would know that it was there.
    2. write     new slices below a data prefix of this compaction alone. Where there are neither keys nor deletions to
                 resolve, small slices are put together and large ones stay as they are; else DuckDB makes a file.
    3. swap      the segments that were written anew are replaced by compare-and-swap, and what was appended meanwhile
                 stays behind. Where they are not there any more (a full load, another compaction), nothing is changed.

Killed between any two writes it leaves slices that nothing names, or a table that is compacted. The old slices stay
until the sweeper has seen them unnamed for its keep time, so who read the old pointer reads to the end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from componentrun.csvtext import encode_header
from componentrun.storage.commit import read_journal
from componentrun.storage.compaction import (
    DEFAULT_SEGMENTS,
    compacted_segment,
    groups,
    is_due,
    rewrite_of,
    spliced,
)
from componentrun.storage.download import bring_steps
from componentrun.storage.history import change_table
from componentrun.storage.pointer import Commit, Slice
from componentrun.storage.slices import recorded, store_slice, stream_slice
from componentrun.storage.tables import gather_bounded, need_table
from componentrun.storage.upload import store_rows
from componentrun.tablequery import deliver_by_origin

if TYPE_CHECKING:
    from componentrun.exchange import Mapping
    from componentrun.storage.compaction import Rewrite
    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId
    from componentrun.storage.pointer import Pointer, Segment

__all__ = ["Compacted", "Outcome", "compact_table"]

Outcome = Literal["compacted", "wouldCompact", "notNeeded", "changedMeanwhile", "noRoom"]

_MOST_TIME: Final = timedelta(hours=12)
"""No swap later than this after the beginning: the sweeper may take slices that nothing named for `MIN_KEEP`."""
_AT_ONCE: Final = 3
"""Slices in memory at once."""
_ROOM: Final = 3
"""Bytes on disk for each byte that DuckDB reads: the slices, the file that is made of them, what it spills."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What compaction did to a table, or would do."""

    table: str
    outcome: Outcome
    segments: int = 0
    """How many became one."""
    slices_before: int = 0
    slices_after: int = 0
    """Not known before it is done."""
    bytes_before: int = 0
    bytes_after: int = 0
    """Likewise."""


async def compact_table(
    store: Store,
    table: TableId,
    *,
    segments: int | None = DEFAULT_SEGMENTS,
    room: int | None = None,
    dry_run: bool = False,
) -> Compacted:
    """Compact a table.

    Args:
        store: the Storage.
        table: which table.
        segments: only where it has more segments (or far more small slices) than this; None: wherever it helps.
        room: bytes that may be used on the local disk; None: what is free there.
        dry_run: only tell what would be done.

    Raises:
        UserError: (InputNotFound) there is no such table; (DiskFull) the disk is full.
        PlatformError: a row is too long for the memory.
        TransientError: the store is away, or others change the table all the time. Nothing was changed.
    """
    commit = Commit(run=f"compact-{uuid.uuid4()}", attempt=1, time=datetime.now(UTC))
    pointer = (await need_table(store, table)).pointer
    rewrite = await _chosen(store, pointer, segments)
    if rewrite is None:
        return Compacted(str(table), "notNeeded")
    told = Compacted(str(table), "compacted", len(rewrite.segments), len(rewrite.slices), bytes_before=rewrite.size)
    with tempfile.TemporaryDirectory(prefix="componentrun-") as scratch:
        free = min(shutil.disk_usage(scratch).free, room) if room is not None else shutil.disk_usage(scratch).free
        if rewrite.mapping is not None and rewrite.size * _ROOM > free:
            return _with(told, "noRoom")
        if dry_run:
            return _with(told, "wouldCompact")
        segment = await _written(store, table, rewrite, commit.run, Path(scratch))
    decide = partial(_replaced, rewrite=rewrite, segment=segment, commit=commit)
    if await change_table(store, table, commit.run, decide) is None:
        return _with(told, "changedMeanwhile")
    slices = segment.slices if segment is not None else ()
    return _with(told, "compacted", slices)


def _with(told: Compacted, outcome: Outcome, slices: tuple[Slice, ...] = ()) -> Compacted:
    size = sum(part.size for part in slices)
    return Compacted(told.table, outcome, told.segments, told.slices_before, len(slices), told.bytes_before, size)


async def _chosen(store: Store, pointer: Pointer, most: int | None) -> Rewrite | None:
    if most is not None and not is_due(pointer, most):
        return None
    rewrite = rewrite_of(pointer)
    if rewrite is None:
        return None

    async def is_under_way(segment: Segment) -> bool:
        journal = None if segment.origins else await read_journal(store, segment.run)
        return journal is not None and journal.state == "publishing"

    waiting = await gather_bounded(is_under_way, rewrite.segments)
    return rewrite_of(pointer, waiting.index(True)) if True in waiting else rewrite


async def _written(store: Store, table: TableId, rewrite: Rewrite, run: str, scratch: Path) -> Segment | None:
    """Write the rows anew; the segment that names them."""
    folder = f"{store.layout.data(run, 1)}{table.bucket_id}/{table.table}/"
    if not rewrite.slices:
        return None
    if rewrite.mapping is None:
        slices = await _put_together(store, rewrite, folder)
        return compacted_segment(rewrite, run, slices, [part.rows for part in rewrite.origins])
    slices, rows = await _resolved(store, rewrite, rewrite.mapping, folder, scratch)
    return compacted_segment(rewrite, run, slices, rows)


async def _put_together(store: Store, rewrite: Rewrite, folder: str) -> list[Slice]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def put(item: tuple[int, list[Slice]]) -> Slice:
        number, parts = item
        if len(parts) == 1:
            return parts[0]
        async with gate:
            data = b"".join([chunk for part in parts async for chunk in stream_slice(store, part)])
            rows = sum(part.rows for part in parts)
            return recorded(await store_slice(store, f"{folder}{number:05d}.csv", data, rows))

    return await gather_bounded(put, enumerate(groups(rewrite.slices)))


async def _resolved(
    store: Store, rewrite: Rewrite, mapping: Mapping, folder: str, scratch: Path
) -> tuple[list[Slice], list[int]]:
    """Keys, deletions and added columns resolved; the new slices, and how many rows are left of each origin."""
    target = scratch / "table.csv"
    files = await bring_steps(store, rewrite.slices, mapping, scratch)
    rows = await asyncio.to_thread(deliver_by_origin, mapping, files, str(target), str(scratch), rewrite.first)
    for name in [name for step in files for name in step]:
        await asyncio.to_thread(Path(name).unlink)
    with target.open("rb") as file:
        start = len(encode_header(rewrite.columns))
        end = target.stat().st_size if sum(rows) else start

        def read(length: int, offset: int) -> bytes:
            return os.pread(file.fileno(), length, offset)

        written = await store_rows(store, read, start, end, folder, name=target.name)
    return [recorded(part) for part in written], rows


def _replaced(pointer: Pointer | None, rewrite: Rewrite, segment: Segment | None, commit: Commit) -> Pointer | None:
    if pointer is None or datetime.now(UTC) - commit.time > _MOST_TIME:
        return None
    return spliced(pointer, rewrite, segment, commit)
