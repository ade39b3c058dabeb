"""Input tables of a catalog: DuckDB converts the Parquet files that the plan names to CSV files.

Small files are downloaded whole, several at a time. Of larger files only the required columns and row groups are
fetched, by range requests to their signed URLs. DuckDB's errors lack the status of a failed request and contain the
URL, so the agent requests the file itself and reports the store's response.
"""

from __future__ import annotations

import dataclasses
import os
import re
import threading
from typing import TYPE_CHECKING, Final, Self

from componentrun.agent.parallel import in_parallel
from componentrun.agent.stagein.download import download
from componentrun.agent.stagein.scratch import scratch_folder
from componentrun.agent.transfer import Request
from componentrun.contract import MANIFEST_SUFFIX
from componentrun.errors import Reason, TransientError
from componentrun.sql.query import connect, explained, is_disk_full, load_httpfs, memory_for_queries, write_rows
from componentrun.sql.scan import check_types, delete_statements, field_id_statement, refuse_without_ids, scan_of
from componentrun.sql.tables import Mapping
from componentrun.wire.agents import FileRead, ObjectRead

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator, Sequence

    from componentrun.agent.folder import Folder
    from componentrun.agent.transfer import Client
    from componentrun.wire.agents import TableRead
    from componentrun.wire.parquet import ParquetFile, ParquetTable

__all__ = ["bring_parquet"]

_WHOLE_BYTES: Final = 2**20
"""Files up to this size are downloaded whole: reading them by ranges takes three requests."""
_BATCH_BYTES: Final = 64 * 2**20
"""Maximum size of the files that are on disk at a time in addition to the CSV files."""
_SMALL_BYTES: Final = 8 * 2**20
"""Tables up to this size are read several at a time, larger ones one after the other."""
_AT_A_TIME: Final = 4
_OWN_BYTES: Final = 256 * 2**20
"""Memory that the process needs in addition to what DuckDB counts: 70 MiB with one thread, 135 to 175 with two."""
_TWO_THREADS_BYTES: Final = 192 * 2**20
"""Memory for DuckDB below which one thread reads."""
_TRIES: Final = 5
"""Number of times that a table is read from its start if connections break, in addition to retries of requests."""
_RETRIES: Final = {"http_retries": 4, "http_retry_wait_ms": 100, "http_retry_backoff": 3}
"""Pauses of 0.1, 0.3, 0.9 and 2.7 seconds."""
_PAUSE: Final = 1.0
_URL: Final = re.compile(r"https?://[^\s'\"]+")


def bring_parquet(client: Client, folder: Folder, data: str, tables: Sequence[TableRead]) -> dict[str, int]:
    """Write all tables to the data folder, and return the number of rows of each, by its path.

    Args:
        client: sends requests to the store.
        folder: the data folder.
        data: path of the data folder.
        tables: the tables of the plan.

    Raises:
        UserError: (InputInvalid) a type can't be written to CSV; (DiskFull) the data folder is full.
        PlatformError: (StageInFailed) memory is short, or a file is damaged; see `Client.send` for other errors.
        TransientError: (StorageUnavailable) the store does not respond, or connections to it keep breaking.
    """
    for table in tables:
        check_types(table.parquet.columns, _wanted(table), table.source)
    with scratch_folder(data) as scratch, _Reader(client, folder, scratch) as reader:
        for number, batch in enumerate(_batches(tables)):
            reader.bring(number, batch)
        return reader.rows


class _Reader:
    """Reads tables with one DuckDB database; a context manager."""

    def __init__(self, client: Client, folder: Folder, scratch: str) -> None:
        """Create a reader that is not open."""
        self.rows: dict[str, int] = {}
        self._client = client
        self._folder = folder
        self._scratch = scratch
        self._lock = threading.Lock()
        self._ranges = False

    def __enter__(self) -> Self:
        """Open it."""
        is_single = memory_for_queries(_OWN_BYTES) < _TWO_THREADS_BYTES
        self._connection = connect(self._scratch, 1 if is_single else 2, _OWN_BYTES)
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._connection.close()

    def bring(self, number: int, tables: Sequence[TableRead]) -> None:
        """Write a batch of tables to the data folder."""
        place = f"{self._scratch}/{number}"
        tables = self._with_small_files(place, tables)
        if not self._ranges and any(_URL.match(file.url) for table in tables for file in _files(table.parquet)):
            self._load()
        targets = {table.path: f"{self._scratch}/{number}-{i}.csv" for i, table in enumerate(tables)}
        later = [table for table in tables if table.parquet.size > _SMALL_BYTES]
        small = [table for table in tables if table.parquet.size <= _SMALL_BYTES]

        def bring(table: TableRead) -> None:
            if not self._try(table, targets[table.path]):
                with self._lock:
                    later.append(table)

        in_parallel(iter(small), bring, _AT_A_TIME, self._client.stop)
        for table in later:
            self._alone(table, targets[table.path])
        if os.path.isdir(place):  # noqa: PTH112 - pathlib costs ten milliseconds
            import shutil  # noqa: PLC0415 - likewise

            shutil.rmtree(place)

    def _with_small_files(self, place: str, tables: Sequence[TableRead]) -> list[TableRead]:
        """Download small files; return the tables with paths instead of their URLs."""
        parts: list[FileRead] = []
        local_tables: list[TableRead] = []
        for table in tables:
            source = table.parquet
            local: dict[str, str] = {}
            for file in _files(source) if _whole_bytes(source) <= _BATCH_BYTES else ():
                if 0 < file.size <= _WHOLE_BYTES and _URL.match(file.url):
                    path = f"{place}/{len(parts)}.parquet"
                    part = ObjectRead(file.url, file.size, "")
                    target = f"{os.path.basename(self._scratch)}/{path.removeprefix(f'{self._scratch}/')}"  # noqa: PTH119 - likewise
                    parts.append(FileRead(_what(table, file), target, (part,), None))
                    local[file.url] = path
            local_tables.append(dataclasses.replace(table, parquet=_moved(source, local)))
        download(self._client, self._folder, parts)
        return local_tables

    def _load(self) -> None:
        connection = self._connection
        load_httpfs(connection, self._authorities())
        connection.execute(f"SET GLOBAL http_timeout = {max(int(self._client.patience.stall), 1)}")
        for name, value in _RETRIES.items():
            connection.execute(f"SET GLOBAL {name} = {value}")
        # Files never change, so cached content need not be validated.
        connection.execute("SET GLOBAL enable_http_metadata_cache = true")
        connection.execute("SET GLOBAL validate_external_file_cache = 'NO_VALIDATION'")
        self._ranges = True

    def _authorities(self) -> str:
        """Path of a file with the certificate authorities that the agent trusts, for DuckDB."""
        path = f"{self._scratch}/authorities.pem"
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - likewise
            file.write(self._client.authorities())
        return path

    def _alone(self, table: TableRead, target: str) -> None:
        if self._try(table, target):
            return
        # One thread writes rows in their order, so none have to be buffered.
        ((usual,),) = self._connection.execute("SELECT current_setting('threads')").fetchall()
        self._connection.execute("SET threads = 1")
        try:
            self._try(table, target, last=True)
        finally:
            self._connection.execute(f"SET threads = {usual}")

    def _try(self, table: TableRead, target: str, *, last: bool = False) -> bool:
        """Write a table. Returns False if memory is short; raises that error on the last try."""
        import duckdb  # noqa: PLC0415 - takes longer to load than everything else

        tries = 0
        while True:
            tries += 1
            try:
                rows = self._deliver(table, target)
            except duckdb.OutOfMemoryException as error:
                if last or is_disk_full(error):
                    raise self._explained(error, table) from None
                return False
            except duckdb.IOException as error:
                if is_disk_full(error) or not _URL.search(str(error)):
                    raise self._explained(error, table) from None
                self._probe(table, str(error))
                if tries >= _TRIES:
                    raise self._broken(table, tries) from None
                self._client.stop.wait(_PAUSE)
            except duckdb.Error as error:
                raise self._explained(error, table) from None
            else:
                _take(self._folder, table, target, rows)
                with self._lock:
                    self.rows[table.path] = rows
                return True

    def _deliver(self, table: TableRead, target: str) -> int:
        source = table.parquet
        names = tuple(column.name for column in source.columns)
        mapping = Mapping(names, select=table.columns, where=table.where, limit=table.limit)
        with self._connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            if (check := field_id_statement(source)) is not None:
                refuse_without_ids(source, [url for (url,) in cursor.execute(check).fetchall()], table.source)
            for statement in delete_statements(source, "deleted"):
                cursor.execute(statement)
            rows = scan_of(source, _wanted(table), "deleted", where=table.where)
            return write_rows(cursor, mapping, rows, target, header=not table.sliced)

    def _probe(self, table: TableRead, message: str) -> None:
        """Request the file that DuckDB could not read; returns if the store delivers it.

        Raises:
            ComponentRunError: the request failed, see `Client.send`.
        """
        remote = [file for file in _files(table.parquet) if _URL.match(file.url)]
        file = next((file for file in remote if file.url.partition("?")[0] in message), remote[0])
        request = Request("GET", file.url, _what(table, file), headers=lambda: {"Range": "bytes=0-0"})
        self._client.send(request, _one_byte)
        # A store without support for ranges would send the whole file.
        self._client.forget_connection(file.url)

    def _explained(self, error: Exception, table: TableRead) -> Exception:
        def shown(text: str) -> str:
            for file in _files(table.parquet):
                text = text.replace(file.url, file.path).replace(file.url.partition("?")[0], file.path)
            return _URL.sub("the store", text)

        return explained(error, f"{table.source}: its files can't be read", shown)

    @staticmethod
    def _broken(table: TableRead, tries: int) -> TransientError:
        return TransientError(
            f"{table.source}: connections to the object store broke in each of {tries} tries to read its files, which "
            "are there",
            Reason.STORAGE_UNAVAILABLE,
        )


def _one_byte(response: http.client.HTTPResponse) -> None:
    response.read(1)


def _take(folder: Folder, table: TableRead, file: str, rows: int) -> None:
    """Move a table to its path: a file, or a folder of slices, which is empty if there are no rows."""
    if table.sliced:
        folder.make(table.path)
    if rows or not table.sliced:
        folder.take(file, f"{table.path}/00000.csv" if table.sliced else table.path)
    folder.write_json(table.path + MANIFEST_SUFFIX, table.manifest)


def _wanted(table: TableRead) -> frozenset[str]:
    return frozenset(table.columns if table.where is None else (*table.columns, table.where.column))


def _files(source: ParquetTable) -> tuple[ParquetFile, ...]:
    return (*source.files, *source.deletes)


def _what(table: TableRead, file: ParquetFile) -> str:
    """A file, as messages call it."""
    return f"{table.source}, its file `{file.path}`"


def _moved(source: ParquetTable, local: dict[str, str]) -> ParquetTable:
    def moved(files: Sequence[ParquetFile]) -> tuple[ParquetFile, ...]:
        return tuple(dataclasses.replace(file, url=local.get(file.url, file.url)) for file in files)

    return dataclasses.replace(source, files=moved(source.files), deletes=moved(source.deletes))


def _whole_bytes(source: ParquetTable) -> int:
    """Total size of the files that are downloaded whole."""
    return sum(file.size for file in _files(source) if file.size <= _WHOLE_BYTES)


def _batches(tables: Sequence[TableRead]) -> Iterator[list[TableRead]]:
    batch: list[TableRead] = []
    size = 0
    for table in tables:
        table_size = _whole_bytes(table.parquet)
        table_size = table_size if table_size <= _BATCH_BYTES else 0
        if batch and size + table_size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(table)
        size += table_size
    if batch:
        yield batch
