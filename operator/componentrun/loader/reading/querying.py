"""SQL queries over tables of a catalog, by DuckDB in this process, on a consistent snapshot of all tables.

DuckDB gets no keys. With signed URLs, it can read only the files of the tables that the query names, and nothing else
on the network or the disk. A query can't write.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.loader.reading.duck import connected, explained, interruptibly, prepare, signed_tables
from componentrun.loader.reading.listing import no_such_table
from componentrun.loader.reading.referenced import referenced_tables
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.sql.scan import EMPTY_FILE, scan_of, sql_type
from componentrun.sql.tables import identifier, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.wire.parquet import ParquetTable

__all__ = ["Answer", "answer_of", "lock", "open_query"]

_RESULT: Final = "componentrun_result"
_EXACT_AS_TEXT: Final = re.compile(r"U?HUGEINT|DECIMAL.*")
"""Types whose values would be rounded as JSON numbers."""
_FORMATS: Final = {
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A query that was parsed and bound, but not executed yet."""

    columns: tuple[tuple[str, str], ...]
    """Name and DuckDB type of each column. If several have the same name, a number is appended to all but the first."""
    left_out: tuple[str, ...]
    """Descriptions of columns that can't be read."""
    _connection: duckdb.DuckDBPyConnection
    _folder: str

    def rows(self, limit: int | None) -> list[tuple[str | None, ...]]:
        """The first rows, or all rows if `limit` is None, as text. A missing value is None.

        Raises:
            ComponentRunError: the query failed.
        """
        query = f"SELECT COLUMNS(*)::VARCHAR FROM {_RESULT}{_limit(limit)}"  # noqa: S608 - made here
        return interruptibly(self._connection, lambda: self._connection.execute(query).fetchall())

    def save(self, form: str, limit: int | None) -> tuple[str, int]:
        """Write the rows to a temporary file; return its path and the number of rows.

        The file is deleted when the context of `open_query` ends.

        Args:
            form: `csv`, `json` or `parquet`.
            limit: maximum number of rows; None: all.

        Raises:
            ComponentRunError: the query failed.
        """
        path = f"{self._folder}/result"
        columns = "*"
        if form == "json" and (exact := [name for name, kind in self.columns if _EXACT_AS_TEXT.fullmatch(kind)]):
            texts = ", ".join(f"{identifier(name)}::VARCHAR AS {identifier(name)}" for name in exact)
            columns = f"* REPLACE ({texts})"
        query = f"SELECT {columns} FROM {_RESULT}{_limit(limit)}"  # noqa: S608 - made here
        copy = f"COPY ({query}) TO {quoted(path)} ({_FORMATS[form]}, USE_TMP_FILE false)"
        counts = interruptibly(self._connection, lambda: self._connection.execute(copy).fetchall())
        return path, int(counts[0][0])


@contextmanager
def open_query(catalog: Catalog, query: str) -> Iterator[Answer]:
    """Prepare a query over tables. The query names tables by their ids in double quotes.

    Raises:
        UserError: (InvalidSpec) the query is invalid (the message is DuckDB's) or does more than read; (InputNotFound)
            a table does not exist.
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    names = referenced_tables(query)
    scans, missing = consistent_cut(catalog, names) if names else ([], [])
    if missing:
        raise no_such_table(catalog, missing[0])
    tables = signed_tables(catalog.settings, scans)
    with (
        tempfile.TemporaryDirectory(prefix="componentrun-") as folder,
        connected(folder, catalog.settings) as connection,
    ):
        left_out = interruptibly(connection, lambda: _make_views(connection, tables))
        lock(connection, tables, folder)
        yield answer_of(connection, query, folder, left_out)


def answer_of(connection: duckdb.DuckDBPyConnection, query: str, folder: str, left_out: Sequence[str] = ()) -> Answer:
    """Prepare a query on a connection that has views of the tables.

    Args:
        connection: a connection that may write to the folder.
        query: one statement that only reads.
        folder: folder of the file to which the answer may be saved.
        left_out: see `Answer`.

    Raises:
        UserError: (InvalidSpec) the query is invalid.
    """
    with explained():
        connection.sql(query).create_view(_RESULT)
        description = connection.execute(f"DESCRIBE {_RESULT}").fetchall()
    return Answer(tuple((str(row[0]), str(row[1])) for row in description), tuple(left_out), connection, folder)


def _make_views(connection: duckdb.DuckDBPyConnection, tables: dict[str, ParquetTable]) -> list[str]:
    """Create a view for each table; return descriptions of columns that can't be read."""
    left_out: list[str] = []
    for number, (name, table) in enumerate(tables.items()):
        prepare(connection, name, table, f"componentrun_t{number}")
        readable = {place: column for place, column in enumerate(table.columns) if sql_type(column.type) is not None}
        left_out += [
            f"`{name}`: column `{column.name}` of type {column.type}"
            for place, column in enumerate(table.columns)
            if place not in readable
        ]
        names = [column.name for column in readable.values()]
        rows = scan_of(table, names, f"componentrun_t{number}", as_text=False)
        expressions = ", ".join(f"c{place} AS {identifier(column.name)}" for place, column in readable.items())
        connection.execute(f"CREATE VIEW {identifier(name)} AS SELECT {expressions} FROM ({rows})")  # noqa: S608 - made here
    return left_out


def lock(connection: duckdb.DuckDBPyConnection, tables: dict[str, ParquetTable], folder: str) -> None:
    """Restrict the connection to the files of the tables and to the folder."""
    urls = [file.url for table in tables.values() for file in table.files]
    urls.append(EMPTY_FILE)
    connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, urls))}]")
    connection.execute(f"SET allowed_directories = [{quoted(f'{folder}/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _limit(limit: int | None) -> str:
    return "" if limit is None else f" LIMIT {limit}"
