"""Events as a Parquet file: a row each, in their order."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from componentrun.errors import Reason, UserError
from componentrun.sql.query import run_statements
from componentrun.sql.tables import quoted
from componentrun.storage.events.feed import EventFeed
from componentrun.storage.events.query import asked_runs, last_events, last_events_of
from componentrun.storage.store.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.storage.events.events import Placed
    from componentrun.storage.events.query import EventQuery
    from componentrun.storage.store.connection import Store

__all__ = ["export_events"]

_COLUMNS: Final = {
    "id": "VARCHAR",
    "time": "TIMESTAMPTZ",
    "run": "VARCHAR",
    "run_name": "VARCHAR",
    "component": "VARCHAR",
    "configuration": "VARCHAR",
    "attempt": "INTEGER",
    "seq": "BIGINT",
    "type": "VARCHAR",
    "source": "VARCHAR",
    "message": "VARCHAR",
    "params": "VARCHAR",
    "results": "VARCHAR",
}
"""Names and DuckDB's types; the last two hold JSON."""
_PLACE: Final = "place"
"""What to sort by beside them."""
_GROUP_ROWS: Final = 40_960
_LARGEST_EVENT: Final = 64 * 2**20
_BATCH: Final = 1000


async def export_events(
    store: Store, query: EventQuery, target: Path, *, run: str | None = None, limit: int | None = None
) -> int:
    """Write events to a Parquet file, and return their number.

    They go to a temporary file first; the memory that is used does not grow with their number.

    Args:
        store: the Storage.
        query: which.
        target: the file; made anew.
        run: uid; only of this run. None: of all.
        limit: only the last so many; None: all.

    Raises:
        UserError: (DiskFull) there is no room for the file or the temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
        rows = Path(folder) / "events.jsonl"
        try:
            with rows.open("wb") as file:
                await _write(file, _chosen(store, query, run, limit))
        except OSError as error:
            raise _without_room(folder, target) from error
        try:
            answers = await asyncio.to_thread(run_statements, [_statement(rows, target)], folder)
        except UserError as error:
            raise (_without_room(folder, target) if error.reason is Reason.DISK_FULL else error) from None
    return int(answers[0][0][0])


async def _chosen(store: Store, query: EventQuery, run: str | None, limit: int | None) -> AsyncIterator[Placed]:
    """The events, those of one run after the other."""
    if limit is not None:
        last = last_events(store, query, limit) if run is None else last_events_of(store, run, query, limit)
        for found in await last:
            yield found
        return
    async for uid in _one(run) if run is not None else asked_runs(store, query):
        try:
            async for found in EventFeed(store, uid, query).read():
                yield found
        except MissingError:
            continue  # its events are being swept, and nobody misses what is left of them


async def _one(run: str) -> AsyncIterator[str]:
    yield run


async def _write(file: IO[bytes], events: AsyncIterator[Placed]) -> None:
    batch: list[bytes] = []
    async for found in events:
        batch.append(_row(found))
        if len(batch) == _BATCH:
            await asyncio.to_thread(file.writelines, batch)
            batch = []
    file.writelines(batch)


def _row(found: Placed) -> bytes:
    event = found.event
    row: dict[str, Any] = {name: getattr(event, name) for name in _COLUMNS if name in type(event).__slots__}
    row |= {name: None if row[name] is None else _json(row[name]) for name in ("params", "results")}
    row |= {"run_name": found.name or None, _PLACE: found.time.isoformat()}
    # Half a surrogate pair is good JSON as an escape, but no text for Parquet.
    return _json(row).encode(errors="replace") + b"\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _statement(rows: Path, target: Path) -> str:
    columns = ", ".join(f"{name}: {quoted(kind)}" for name, kind in {**_COLUMNS, _PLACE: "TIMESTAMPTZ"}.items())
    read = (
        f"read_json({quoted(str(rows))}, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {_LARGEST_EVENT})"
    )
    return (
        f"COPY (FROM {read} SELECT * EXCLUDE ({_PLACE}) ORDER BY {_PLACE}, run, seq) TO {quoted(str(target))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP_ROWS}, USE_TMP_FILE false)"
    )


def _without_room(folder: str, target: Path) -> UserError:
    return UserError(
        f"no space is left in `{Path(folder).parent}`, where the events go for the time being, or for `{target}`; make "
        "room, or set TMPDIR to another folder",
        Reason.DISK_FULL,
    )
