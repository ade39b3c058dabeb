"""Exports events to a Parquet file, one row for each, in order."""

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

__all__ = ["PLACE", "export_events", "row_of", "rows_query"]

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
"""Columns and their DuckDB types; the last two contain JSON."""
PLACE: Final = "place"
"""Additional column with the position of the event in time."""
_GROUP_ROWS: Final = 40_960
_LARGEST_EVENT: Final = 64 * 2**20
_BATCH: Final = 1000


async def export_events(
    store: Store, query: EventQuery, target: Path, *, run: str | None = None, limit: int | None = None
) -> int:
    """Write events to a Parquet file; return their number.

    They are written to a temporary file first, so memory use does not depend on their number.

    Args:
        store: the Storage.
        query: selects the events.
        target: the file; replaced if it exists.
        run: uid of the only run; None: all runs.
        limit: maximum number of events, the last ones; None: all.

    Raises:
        UserError: (DiskFull) there is no space for the file or the temporary one.
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
    """Yield the events, run by run."""
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
            continue  # its events are being swept, so the rest can be skipped


async def _one(run: str) -> AsyncIterator[str]:
    yield run


async def _write(file: IO[bytes], events: AsyncIterator[Placed]) -> None:
    batch: list[bytes] = []
    async for found in events:
        batch.append(row_of(found))
        if len(batch) == _BATCH:
            await asyncio.to_thread(file.writelines, batch)
            batch = []
    file.writelines(batch)


def row_of(found: Placed) -> bytes:
    """An event as a line that `rows_query` reads."""
    event = found.event
    row: dict[str, Any] = {name: getattr(event, name) for name in _COLUMNS if name in type(event).__slots__}
    row |= {name: None if row[name] is None else _json(row[name]) for name in ("params", "results")}
    row |= {"run_name": found.name or None, PLACE: found.time.isoformat()}
    # Half of a surrogate pair is valid JSON as an escape, but not valid text for Parquet.
    return _json(row).encode(errors="replace") + b"\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def rows_query(path: str) -> str:
    """An expression in SQL for the events in a file of `row_of` lines, with their positions in time as `place`."""
    columns = ", ".join(f"{name}: {quoted(kind)}" for name, kind in {**_COLUMNS, PLACE: "TIMESTAMPTZ"}.items())
    return (
        f"read_json({quoted(path)}, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {_LARGEST_EVENT})"
    )


def _statement(rows: Path, target: Path) -> str:
    return (
        f"COPY (FROM {rows_query(str(rows))} SELECT * EXCLUDE ({PLACE}) ORDER BY {PLACE}, run, seq) "
        f"TO {quoted(str(target))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP_ROWS}, USE_TMP_FILE false)"
    )


def _without_room(folder: str, target: Path) -> UserError:
    return UserError(
        f"no space is left in `{Path(folder).parent}`, where the events are collected, or for `{target}`",
        Reason.DISK_FULL,
        advice="Free some space, or set TMPDIR to another folder.",
    )
