"""Turns the loader's answer about input tables into the plan of stage-in. Sends no requests itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING

from componentrun.errors import PlatformError, Reason, UserError
from componentrun.sql.scan import check_types
from componentrun.sql.tables import microseconds
from componentrun.storage.access.inputmanifest import scan_manifest
from componentrun.storage.access.reading import checked
from componentrun.storage.state.adaptive import timestamp_seen
from componentrun.wire.agents import TableRead
from componentrun.wire.loader import PlanAnswer
from componentrun.wire.parquet import ParquetColumn, ParquetFile, ParquetTable

if TYPE_CHECKING:
    from componentrun.storage.access.attempt import AttemptRequest, InputSource
    from componentrun.storage.access.grants import Signer
    from componentrun.storage.access.reading import Wish
    from componentrun.wire.loader import ScanFile, TableScan

__all__ = ["Scan", "ScanReading", "plan_scan", "scan_read", "scan_tables"]

Scan = Callable[[Sequence[str]], Awaitable[PlanAnswer]]
"""Requests one consistent snapshot of tables, by their ids, from the loader; raises the loader's errors."""


@dataclass(frozen=True, slots=True)
class ScanReading:
    """How to read a table of a catalog."""

    columns: tuple[str, ...]
    """The delivered columns."""
    files: tuple[ScanFile, ...]
    """Files in the order of the rows."""
    after: int | None
    """Only rows whose `_timestamp` (microseconds) is greater; None: all."""
    rows: int | None
    """Number of delivered rows; None: unknown in advance."""

    @property
    def size(self) -> int:
        """Size of the files in bytes."""
        return sum(file.size for file in self.files)


async def scan_tables(scan: Scan, tables: Sequence[str], title: str) -> dict[str, TableScan]:
    """Return the loader's answer for tables, by their ids.

    Args:
        scan: sends the request to the loader.
        tables: ids; without ids, no request is sent.
        title: name of the Storage in messages.

    Raises:
        UserError: (InputNotFound) there is no such table.
        ComponentRunError: what `scan` raises.
    """
    if not tables:
        return {}
    answer = await scan(tables)
    if answer.missing:
        raise UserError(
            f"there is no table `{answer.missing[0]}` in the catalog of {title}",
            Reason.INPUT_NOT_FOUND,
            advice="List the tables with `componentrun table ls`.",
        )
    return {item.table: item for item in answer.tables}


def plan_scan(scan: TableScan, wish: Wish) -> ScanReading:
    """Decide how to read a table.

    Raises:
        UserError: (InputInvalid) the selection names a column that the table does not have, or a column whose type
        can't be written to CSV, or uses `changedSince` on a table without load times.
    """
    names = tuple(column.name for column in scan.columns)
    wish = checked(wish, scan.table, names)
    columns = wish.columns or names
    check_types(_columns(scan), {*columns, *([wish.where.column] if wish.where is not None else [])}, scan.table)
    after = _after(scan, wish)
    rows = scan.rows if wish.where is None and after is None else None
    files = scan.files
    if rows is not None and wish.limit is not None:
        rows = min(rows, wish.limit)
        if not any(file.deletes for file in files):
            files = _first(files, wish.limit)
    return ScanReading(columns, files, after, rows)


def scan_read(scan: TableScan, source: InputSource, path: str, signer: Signer, request: AttemptRequest) -> TableRead:
    """Return the table for the plan of stage-in: every file with a URL that reads only this file.

    Args:
        scan: the table.
        source: the input.
        path: where it goes, relative to the data folder.
        signer: signs for the store.
        request: what the attempt needs.

    Raises:
        UserError: see `plan_scan`.
        PlatformError: (StageInFailed) a file is at a location that can't be signed.
    """

    def signed(location: str) -> str:
        try:
            return signer.sign_location(location, request.expires_in)
        except PlatformError as error:
            raise PlatformError(f"`{scan.table}`: {error.message}", Reason.STAGE_IN_FAILED) from None

    reading = plan_scan(scan, source.wish)
    parquet = ParquetTable(
        columns=_columns(scan),
        files=tuple(
            ParquetFile(signed(file.path), file.path, file.size, file.rows, file.deletes) for file in reading.files
        ),
        deletes=tuple(ParquetFile(signed(file.path), file.path, file.size) for file in scan.deletes),
        timestamp_id=scan.timestamp_id,
        after=reading.after,
    )
    return TableRead(
        source=source.label,
        path=path,
        columns=reading.columns,
        parquet=parquet,
        manifest=scan_manifest(scan, reading.columns, request.type_support),
        where=source.wish.where,
        limit=source.wish.limit,
        sliced=source.sliced,
    )


def _columns(scan: TableScan) -> tuple[ParquetColumn, ...]:
    return tuple(ParquetColumn(column.name, column.id, column.type) for column in scan.columns)


def _after(scan: TableScan, wish: Wish) -> int | None:
    if wish.seen is None and wish.changed_since is None:
        return None
    if scan.timestamp_id is None:
        raise UserError(
            f"`{scan.table}` has no column `_timestamp` with the time of each row's load, because it was "
            "not written by ComponentRun",
            Reason.INPUT_INVALID,
            advice="Remove `changedSince` from the input mapping.",
        )
    if wish.seen is not None:
        return timestamp_seen(scan, wish.seen)
    time = wish.changed_since or datetime.fromtimestamp(0, UTC)
    return microseconds(time.isoformat()) - 1


def _first(files: Sequence[ScanFile], rows: int) -> tuple[ScanFile, ...]:
    """Return the first files that contain this number of rows."""
    preceding_rows = accumulate((file.rows for file in files), initial=0)
    return tuple(file for file, count in zip(files, preceding_rows, strict=False) if count < rows)
