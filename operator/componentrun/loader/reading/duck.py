"""DuckDB in this process, to read tables with signed URLs. Its errors become those of `componentrun.errors`."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import duckdb

from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.loader.catalog import properties
from componentrun.sql.query import load_httpfs, memory_for_queries
from componentrun.sql.scan import delete_statements, field_id_statement, refuse_without_ids
from componentrun.sql.tables import MISFIT
from componentrun.storage.access.grants import Signer
from componentrun.wire.parquet import ParquetColumn, ParquetFile, ParquetTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.loader import TableScan

__all__ = [
    "all_authorities",
    "connected",
    "explained",
    "interruptibly",
    "prepare",
    "signed_tables",
    "without_signatures",
]

_URLS_LAST: Final = timedelta(hours=6)
_SIGNATURE: Final = re.compile(r"\?[^\s'\"]*X-Amz-[^\s'\"]*")
_THREADS: Final = 4
_INTERRUPT_SECONDS: Final = 0.1
"""Interval between two interrupts of a query that does not stop."""
Result = TypeVar("Result")


def signed_tables(settings: StoreSettings, scans: Iterable[TableScan]) -> dict[str, ParquetTable]:
    """Tables by their ids, with signed URLs of their files that are valid for six hours.

    Raises:
        PlatformError: (StorageAccessDenied) the Storage has no keys, and the process has no cloud identity.
    """
    signer = Signer(settings)
    asyncio.run(signer.refresh())
    return {scan.table: _parquet_table(scan, lambda path: signer.sign_location(path, _URLS_LAST)) for scan in scans}


def prepare(connection: duckdb.DuckDBPyConnection, name: str, table: ParquetTable, deleted: str) -> None:
    """Create the list of a table's deleted rows on a connection, for `sql.scan.scan_of`.

    Args:
        connection: an open connection.
        name: id of the table, for messages.
        table: files of the table.
        deleted: identifier of the list, unique for each table of a connection.

    Raises:
        PlatformError: (StageInFailed) a file has no field ids.
    """
    if (statement := field_id_statement(table)) is not None:
        refuse_without_ids(table, {str(row[0]) for row in connection.execute(statement).fetchall()}, name)
    for sql in delete_statements(table, deleted):
        connection.execute(sql)


def _parquet_table(scan: TableScan, sign: Callable[[str], str]) -> ParquetTable:
    """Columns and files of a table, including the column `_timestamp`.

    Args:
        scan: scan of the table.
        sign: returns a signed URL for a file's path.
    """
    columns = [ParquetColumn(column.name, column.id, column.type) for column in scan.columns]
    if scan.timestamp_id is not None:
        columns.append(ParquetColumn(properties.TIMESTAMP_COLUMN, scan.timestamp_id, "timestamptz"))
    return ParquetTable(
        columns=tuple(columns),
        files=tuple(ParquetFile(sign(file.path), file.path, file.size, file.rows, file.deletes) for file in scan.files),
        deletes=tuple(ParquetFile(sign(file.path), file.path, file.size) for file in scan.deletes),
    )


def connected(folder: str, settings: StoreSettings) -> duckdb.DuckDBPyConnection:
    """Open an empty database, without keys, that can read URLs of a Storage and may spill to the folder."""
    with explained():
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": _THREADS,
                "memory_limit": f"{memory_for_queries() // 2**20}MiB",
                "temp_directory": f"{folder}/spilled",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_persistent_secrets": False,
            },
        )
        connection.execute("SET TimeZone = 'UTC'")
        # A query must not read Python variables of this program as tables.
        connection.execute("SET python_enable_replacements = false")
        authorities = None
        if settings.ca_bundle is not None:
            authorities = f"{folder}/authorities.pem"
            Path(authorities).write_text(all_authorities(settings.ca_bundle), encoding="ascii")
        load_httpfs(connection, authorities)
    return connection


def all_authorities(bundle: str) -> str:
    """The system's certificate authorities and those of the Storage, in PEM format."""
    usual = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join([*map(ssl.DER_cert_to_PEM_cert, usual), bundle])


def interruptibly(connection: duckdb.DuckDBPyConnection, work: Callable[[], Result]) -> Result:
    """Run `work` so that Ctrl-C interrupts it, and return its result. DuckDB checks for Ctrl-C only between steps."""
    task: Future[Result] = Future()

    def run() -> None:
        try:
            task.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it again
            task.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    with explained():
        try:
            thread.start()
            return task.result()
        except KeyboardInterrupt:
            # Ctrl-C may arrive before the query has started, and DuckDB ignores an interrupt without a running query.
            while thread.is_alive():
                connection.interrupt()
                thread.join(_INTERRUPT_SECONDS)
            raise


@contextmanager
def explained() -> Iterator[None]:
    """Convert DuckDB's errors to those of `componentrun.errors`, without the signatures of URLs."""
    try:
        yield
    except duckdb.Error as error:
        raise _explain(error) from None


def without_signatures(text: str) -> str:
    """A text without the query strings of signed URLs, which would grant access to the files."""
    return _SIGNATURE.sub("", text)


def _explain(error: duckdb.Error) -> UserError | PlatformError:
    message = without_signatures(str(error).strip())
    if problem := message.partition(MISFIT)[2]:
        return UserError(problem, Reason.INPUT_INVALID)
    if isinstance(error, duckdb.HTTPException | duckdb.IOException):
        if "No space left" in message or "max_temp_directory_size" in message:
            advice = "Set TMPDIR to a folder with more room"
            return UserError(f"the disk is full: {message}", Reason.DISK_FULL, advice=advice)
        return TransientError(
            f"a file of a table can't be read: {message}", Reason.STORAGE_UNAVAILABLE, advice="Try again."
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return UserError(f"the query needs more memory than there is: {message}", Reason.OUT_OF_MEMORY)
    if isinstance(error, duckdb.InternalException | duckdb.FatalException):
        return PlatformError(f"DuckDB failed: {message}", Reason.INTERNAL)
    return UserError(f"the query can't be run: {message}", Reason.INVALID_SPEC)
