"""Uploads a local file as a file of Storage, without a pod, with the rules for a component's output.

It is published as the file of a run with a generated uid.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.errors import Reason, UserError
from componentrun.storage.access.upload import new_run_uid, whole
from componentrun.storage.files.publish import check_files, publish_files
from componentrun.storage.store.gather import gather_bounded
from componentrun.wire.agents import FilePart, FileWritten
from componentrun.wire.filenames import name_problem, tags_problem

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store

__all__ = ["upload_file"]

_PART_BYTES: Final = 16 * 1024 * 1024
"""Small enough for a slow connection: see the stall timeout in `connection`."""
_READ_AHEAD: Final = 3
"""Maximum number of parts in memory."""


async def upload_file(
    store: Store,
    path: Path,
    *,
    name: str | None = None,
    tags: tuple[str, ...] = (),
    permanent: bool = False,
) -> FileRecord:
    """Store a file.

    Args:
        store: the Storage.
        path: the file.
        name: its name in Storage; defaults to the local name.
        tags: its tags.
        permanent: whether it never expires.

    Raises:
        UserError: (InputNotFound) it can't be read; (InvalidSpec) its name or a tag is invalid; (OutputInvalid) it
        became shorter in the meantime.
        TransientError: the store is away.
    """
    name = path.name if name is None else name
    problem = name_problem(name) or tags_problem(tags)
    if problem is not None:
        raise UserError(f"the file {name[:200]!r} {problem}", Reason.INVALID_SPEC)
    run = new_run_uid()
    parts = await _store_parts(store, path, f"{store.layout.data(run, 1)}files/")
    entry = FileWritten(name, tags, permanent, parts, sum(part.size for part in parts))
    records = await check_files(store, run, 1, (entry,), datetime.now(UTC))
    await publish_files(store, run, 1, records)
    return records[0]


async def _store_parts(store: Store, path: Path, prefix: str) -> tuple[FilePart, ...]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"can't read `{path}`: {error.strerror}", Reason.INPUT_NOT_FOUND) from error
    gate = asyncio.Semaphore(_READ_AHEAD)

    async def store_part(start: int) -> FilePart:
        async with gate:
            length = min(_PART_BYTES, size - start)
            data = whole(await asyncio.to_thread(os.pread, descriptor, length, start), length, path.name)
            key = f"{prefix}{start // _PART_BYTES:05d}"
            return FilePart(key, len(data), await store.put(key, data))

    try:
        size = os.fstat(descriptor).st_size
        return tuple(await gather_bounded(store_part, range(0, size, _PART_BYTES)))
    finally:
        os.close(descriptor)
