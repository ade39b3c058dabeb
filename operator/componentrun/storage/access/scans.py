"""Input tables of a catalog: what the loader says of them becomes the plan of stage-in. Sends nothing itself."""

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
"""Asks the loader for one consistent cut over tables, by their ids; raises what the loader says why it can't."""


@dataclass(frozen=True, slots=True)
class ScanReading:
    """How to read a table of a catalog."""

    columns: tuple[str, ...]
    """That are delivered."""
    files: tuple[ScanFile, ...]
    """In the order of the rows."""
    after: int | None
    """Only rows whose `_timestamp` (microseconds) is greater; None: all."""
    rows: int | None
    """Rows that are delivered; None: not known before."""

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.size for file in self.files)


async def scan_tables(scan: Scan, tables: Sequence[str], title: str) -> dict[str, TableScan]:
    """What the loader says of tables, by their ids.

    Args:
        scan: asks the loader.
        tables: ids; none: nobody is asked.
        title: the Storage, as messages call it.

    Raises:
        UserError: (InputNotFound) there is no such table.
        ComponentRunError: what `scan` raises.
    """
    if not tables:
        return {}
    answer = await scan(tables)
    if answer.missing:
        raise UserError(
            f"there is no table `{answer.missing[0]}` in the catalog of {title}. `componentrun table ls` names those "
            "that there are",
            Reason.INPUT_NOT_FOUND,
        )
    return {found.table: found for found in answer.tables}


def plan_scan(scan: TableScan, wish: Wish) -> ScanReading:
    """Decide how to read a table.

    Raises:
        UserError: (InputInvalid) the wish names a column that the table does not have, or wants values that have no
            form in a CSV file, or only rows that came later of a table that does not know when its rows came.
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
    """The table for the plan of stage-in: every file with a URL that reads it and nothing else.

    Args:
        scan: the table.
        source: what is asked for.
        path: where it goes, relative to the data folder.
        signer: signs for the store.
        request: what the attempt needs.

    Raises:
        UserError: see `plan_scan`.
        PlatformError: (StageInFailed) a file is at a place that can't be signed for.
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
            f"`{scan.table}` has no column `_timestamp`, so nobody knows when its rows came: it was not written by "
            "ComponentRun. Leave out `changedSince`",
            Reason.INPUT_INVALID,
        )
    if wish.seen is not None:
        return timestamp_seen(scan, wish.seen)
    since = wish.changed_since or datetime.fromtimestamp(0, UTC)
    return microseconds(since.isoformat()) - 1


def _first(files: Sequence[ScanFile], rows: int) -> tuple[ScanFile, ...]:
    """No more files than hold the first rows."""
    before = accumulate((file.rows for file in files), initial=0)
    return tuple(file for file, count in zip(files, before, strict=False) if count < rows)
