"""SQL over tables of a catalog, by DuckDB in this process, as of one moment for all of them.

No key enters DuckDB: it reads exactly the files of the tables that the query names, by signed URLs, and nothing else,
neither from the network nor from the disk. A query can't write.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import duckdb

from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.loader import properties
from componentrun.loader.listing import no_such_table
from componentrun.loader.referenced import referenced_tables
from componentrun.loader.rows import load_httpfs
from componentrun.loader.scanning import consistent_cut
from componentrun.parquetscan import delete_statements, field_id_statement, refuse_without_ids, scan_of, sql_type
from componentrun.storage.grants import Signer
from componentrun.tablequery import memory_for_queries
from componentrun.tablesql import quoted
from componentrun.wire.parquet import ParquetColumn, ParquetFile, ParquetTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from componentrun.loader.catalog import Catalog
    from componentrun.wire.loader import TableScan

__all__ = ["Answer", "answer_of", "open_query", "parquet_table"]

_URLS_LAST: Final = timedelta(hours=6)
_RESULT: Final = "componentrun_result"
_SIGNATURE: Final = re.compile(r"\?[^\s'\"]*X-Amz-[^\s'\"]*")
_EXACT_AS_TEXT: Final = re.compile(r"U?HUGEINT|DECIMAL.*")
"""Types whose values a number in JSON would round."""
_FORMATS: Final = {
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """A query that was understood and not run yet."""

    columns: tuple[tuple[str, str], ...]
    """Name and DuckDB's type of each. Of several with one name, all but the first one have a number behind it."""
    left_out: tuple[str, ...]
    """What of the tables can't be read, for people."""
    _connection: duckdb.DuckDBPyConnection
    _folder: str

    def rows(self, limit: int | None) -> list[tuple[str | None, ...]]:
        """The first rows (all of them if `limit` is None), as text; None for a missing value.

        Raises:
            ComponentRunError: the query failed.
        """
        query = f"SELECT COLUMNS(*)::VARCHAR FROM {_RESULT}{_limit(limit)}"  # noqa: S608 - made here
        found: list[tuple[str | None, ...]] = _interruptibly(
            self._connection, lambda: self._connection.execute(query).fetchall()
        )
        return found

    def save(self, form: str, limit: int | None) -> tuple[str, int]:
        """Write the rows to a file that lives as long as the answer; its path and the number of rows.

        Args:
            form: `csv`, `json` or `parquet`.
            limit: how many rows at most; None: all.

        Raises:
            ComponentRunError: the query failed.
        """
        path = f"{self._folder}/result"
        chosen = "*"
        if form == "json" and (exact := [name for name, kind in self.columns if _EXACT_AS_TEXT.fullmatch(kind)]):
            texts = ", ".join(f"{_identifier(name)}::VARCHAR AS {_identifier(name)}" for name in exact)
            chosen = f"* REPLACE ({texts})"
        query = f"SELECT {chosen} FROM {_RESULT}{_limit(limit)}"  # noqa: S608 - made here
        copy = f"COPY ({query}) TO {quoted(path)} ({_FORMATS[form]}, USE_TMP_FILE false)"
        written = _interruptibly(self._connection, lambda: self._connection.execute(copy).fetchall())
        return path, int(written[0][0])


@contextmanager
def open_query(catalog: Catalog, query: str) -> Iterator[Answer]:
    """Prepare a query over tables, which it calls by their ids in double quotes.

    Raises:
        UserError: (InvalidSpec) the query is wrong, in DuckDB's words, or does more than read; (InputNotFound) there is
            no such table.
        ComponentRunError: the catalog or the store refused or is away.
    """
    names = referenced_tables(query)
    scans, missing = consistent_cut(catalog, names) if names else ([], [])
    if missing:
        raise no_such_table(catalog, missing[0])
    signer = Signer(catalog.settings)
    asyncio.run(signer.refresh())
    tables = {scan.table: parquet_table(scan, lambda path: signer.sign_location(path, _URLS_LAST)) for scan in scans}
    with tempfile.TemporaryDirectory(prefix="componentrun-") as folder, _connected(folder) as connection:
        left_out = _interruptibly(connection, lambda: _make_views(connection, tables))
        _lock(connection, tables, folder)
        yield answer_of(connection, query, folder, left_out)


def answer_of(connection: duckdb.DuckDBPyConnection, query: str, folder: str, left_out: Sequence[str] = ()) -> Answer:
    """A query on a connection that has the tables.

    Args:
        connection: may write to the folder.
        query: one statement that only reads.
        folder: for the file that the answer may be saved to.
        left_out: see `Answer`.

    Raises:
        UserError: (InvalidSpec) the query is wrong.
    """
    with _explained():
        connection.sql(query).create_view(_RESULT)
        described = connection.execute(f"DESCRIBE {_RESULT}").fetchall()
    return Answer(tuple((str(row[0]), str(row[1])) for row in described), tuple(left_out), connection, folder)


def parquet_table(scan: TableScan, sign: Callable[[str], str]) -> ParquetTable:
    """What is read of a table, `_timestamp` included.

    Args:
        scan: the table.
        sign: makes a URL of a file's path.
    """
    columns = [ParquetColumn(column.name, column.id, column.type) for column in scan.columns]
    if scan.timestamp_id is not None:
        columns.append(ParquetColumn(properties.TIMESTAMP_COLUMN, scan.timestamp_id, "timestamptz"))
    return ParquetTable(
        columns=tuple(columns),
        files=tuple(ParquetFile(sign(file.path), file.path, file.size, file.rows, file.deletes) for file in scan.files),
        deletes=tuple(ParquetFile(sign(file.path), file.path, file.size) for file in scan.deletes),
    )


def _connected(folder: str) -> duckdb.DuckDBPyConnection:
    with _explained():
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
        # Variables of this program are no tables.
        connection.execute("SET python_enable_replacements = false")
        connection.execute(load_httpfs())
    return connection


def _make_views(connection: duckdb.DuckDBPyConnection, tables: dict[str, ParquetTable]) -> list[str]:
    """A view for each table; what of them can't be read."""
    left_out: list[str] = []
    for number, (name, table) in enumerate(tables.items()):
        if (statement := field_id_statement(table)) is not None:
            refuse_without_ids(table, {str(row[0]) for row in connection.execute(statement).fetchall()}, name)
        for made in delete_statements(table, f"componentrun_t{number}"):
            connection.execute(made)
        readable = {place: column for place, column in enumerate(table.columns) if sql_type(column.type) is not None}
        left_out += [
            f"`{name}`: column `{column.name}` of type {column.type}"
            for place, column in enumerate(table.columns)
            if place not in readable
        ]
        wanted = [column.name for column in readable.values()]
        rows = scan_of(table, wanted, f"componentrun_t{number}", as_text=False)
        chosen = ", ".join(f"c{place} AS {_identifier(column.name)}" for place, column in readable.items())
        connection.execute(f"CREATE VIEW {_identifier(name)} AS SELECT {chosen} FROM ({rows})")  # noqa: S608 - made here
    return left_out


def _lock(connection: duckdb.DuckDBPyConnection, tables: dict[str, ParquetTable], folder: str) -> None:
    """Leave the files of the tables and the folder, and nothing else."""
    urls = [file.url for table in tables.values() for file in table.files]
    connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, urls))}]")
    connection.execute(f"SET allowed_directories = [{quoted(f'{folder}/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _interruptibly(connection: duckdb.DuckDBPyConnection, work: Callable[[], Any]) -> Any:
    """What `work` returns. Ctrl-C ends it: DuckDB itself looks for it only between two steps."""
    with _explained(), ThreadPoolExecutor(1) as pool:
        task = pool.submit(work)
        try:
            return task.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise _explain(error) from None


def _explain(error: duckdb.Error) -> UserError | PlatformError:
    told = _SIGNATURE.sub("", str(error).strip())
    if isinstance(error, duckdb.HTTPException | duckdb.IOException):
        if "No space left" in told or "max_temp_directory_size" in told:
            return UserError(f"the disk is full: {told}. Set TMPDIR to a folder with more room", Reason.DISK_FULL)
        return TransientError(
            f"a file of a table can't be read: {told}. Run the query again", Reason.STORAGE_UNAVAILABLE
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return UserError(f"the query needs more memory than there is: {told}", Reason.OUT_OF_MEMORY)
    if isinstance(error, duckdb.InternalException | duckdb.FatalException):
        return PlatformError(f"DuckDB failed: {told}", Reason.INTERNAL)
    return UserError(f"the query can't be run: {told}", Reason.INVALID_SPEC)


def _limit(limit: int | None) -> str:
    return "" if limit is None else f" LIMIT {limit}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
