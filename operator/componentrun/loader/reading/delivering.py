"""Write whole tables of a catalog to local files, in the order of their loads and without `_timestamp`.

Not done here: queries (`querying`), and the input tables of runs (`componentrun.agent`).
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from componentrun.csv.text import encode_header
from componentrun.errors import Reason, UserError
from componentrun.loader.catalog import properties
from componentrun.loader.loading.rows import Written
from componentrun.loader.reading.duck import connected, interruptibly, prepare, signed_tables
from componentrun.loader.reading.listing import no_such_table
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.sql.parquet import MOST_GROUP_ROWS, parquet_options, parquet_statement, same_names
from componentrun.sql.scan import check_types, scan_of
from componentrun.sql.tables import Mapping, Step, copy_statement, identifier, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.storage.store.keys import TableId
    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.loader import TableScan
    from componentrun.wire.parquet import ParquetTable

__all__ = ["first_rows", "write_csv", "write_parquet", "write_rows"]

_DELETED: Final = "componentrun_deleted"
_BASE_TYPES: Final = {
    "int": "INTEGER",
    "long": "INTEGER",
    "float": "FLOAT",
    "double": "FLOAT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP",
}
"""Iceberg types whose text form is exactly that of a base type."""
_DECIMAL: Final = re.compile(r"decimal\(\s*(\d+\s*,\s*\d+)\s*\)")


def write_csv(catalog: Catalog, table: TableId, target: Path) -> int:
    """Write a table as CSV with a header line; return the number of rows.

    Raises:
        UserError: (InputNotFound) the table does not exist; (InputInvalid) a column's type has no text form.
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    scan = _scan(catalog, table)
    mapping = _mapping(scan)
    with _opened(catalog.settings, scan) as (connection, parquet):
        rows = _as_steps(parquet, mapping)
        copy = copy_statement(mapping, rows, str(target))
        count = int(interruptibly(connection, lambda: connection.execute(copy).fetchall())[0][0])
    if not count:
        target.write_bytes(encode_header(mapping.columns))
    return count


def first_rows(catalog: Catalog, table: TableId, count: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The columns of a table and its first rows, as text.

    Raises:
        ComponentRunError: see `write_csv`.
    """
    scan = _scan(catalog, table)
    names = tuple(column.name for column in scan.columns)
    with _opened(catalog.settings, scan) as (connection, parquet):
        query = f"SELECT * FROM ({scan_of(parquet, names, _DELETED)}) LIMIT {count}"  # noqa: S608 - made here
        cells = interruptibly(connection, lambda: connection.execute(query).fetchall())
    return names, [tuple(value or "" for value in row) for row in cells]


def write_parquet(catalog: Catalog, table: TableId, target: Path, *, text: bool) -> int:
    """Write a table to a Parquet file, with the table's column types; return the number of rows.

    Args:
        catalog: the catalog.
        table: id of the table.
        target: path of the file. An existing file is overwritten.
        text: write all columns as text, and ignore the table's column types.

    Raises:
        UserError: see `write_csv`; (InputInvalid) a value does not match its column's type, or names differ only in
            case.
        ComponentRunError: see `write_csv`.
    """
    scan = _scan(catalog, table)
    mapping = _mapping(scan)
    if pair := same_names(mapping.columns):
        raise UserError(
            f"`{table}` can't become Parquet: its columns `{pair[0]}` and `{pair[1]}` differ in upper and lower case "
            "only; export it as `.csv`",
            Reason.INPUT_INVALID,
        )
    types = [(None, None)] * len(scan.columns) if text else _base_types(scan)
    with _opened(catalog.settings, scan) as (connection, parquet):
        size, rows = sum(file.size for file in scan.files), sum(file.rows for file in scan.files)
        copy = parquet_statement(mapping, _as_steps(parquet, mapping), str(target), types, size // max(1, rows))
        try:
            return int(interruptibly(connection, lambda: connection.execute(copy).fetchall())[0][0])
        except UserError as error:
            if error.reason is not Reason.INPUT_INVALID:
                raise
            raise UserError(
                f"`{table}` can't become Parquet: {error.message}; `--text` writes every column as text",
                Reason.INPUT_INVALID,
            ) from None


def write_rows(settings: StoreSettings, scan: TableScan, timestamp: int, target: Path) -> Written | None:
    """Write the rows of a table to a data file with the same field ids, as if one load had written all of them.

    Args:
        settings: settings of the Storage.
        scan: scan of the table.
        timestamp: `_timestamp` of the rows, in microseconds since 1970.
        target: path of the file. An existing file is overwritten.

    Returns:
        The file; None: the table has no rows.

    Raises:
        UserError: (InputInvalid) the table has columns that can't be written.
        ComponentRunError: the store refused a request or does not respond.
    """
    names = [column.name for column in scan.columns]
    with _opened(settings, scan) as (connection, parquet):
        expressions = [f"c{place} AS {identifier(name)}" for place, name in enumerate(names)]
        ids = [f"{identifier(column.name)}: {column.id}" for column in scan.columns]
        if scan.timestamp_id is not None:
            expressions.append(f"make_timestamptz({timestamp}) AS {identifier(properties.TIMESTAMP_COLUMN)}")
            ids.append(f"{identifier(properties.TIMESTAMP_COLUMN)}: {scan.timestamp_id}")
        rows = scan_of(parquet, names, _DELETED, as_text=False)
        query = f"SELECT {', '.join(expressions)} FROM ({rows})"  # noqa: S608 - made here
        options = f"{parquet_options(MOST_GROUP_ROWS, len(ids))}, RETURN_STATS"
        copy = f"COPY ({query}) TO {quoted(str(target))} ({options}, FIELD_IDS {{{', '.join(ids)}}})"
        path, count, size = interruptibly(connection, lambda: connection.execute(copy).fetchall())[0][:3]
    return Written(str(path), int(count), int(size)) if count else None


def _scan(catalog: Catalog, table: TableId) -> TableScan:
    scans, missing = consistent_cut(catalog, [str(table)])
    if missing:
        raise no_such_table(catalog, str(table))
    return scans[0]


@contextmanager
def _opened(settings: StoreSettings, scan: TableScan) -> Iterator[tuple[duckdb.DuckDBPyConnection, ParquetTable]]:
    (table,) = signed_tables(settings, [scan]).values()
    check_types(table.columns, [column.name for column in scan.columns], scan.table)
    with tempfile.TemporaryDirectory(prefix="componentrun-") as folder, connected(folder, settings) as connection:
        interruptibly(connection, lambda: prepare(connection, scan.table, table, _DELETED))
        yield connection, table


def _mapping(scan: TableScan) -> Mapping:
    columns = tuple(column.name for column in scan.columns)
    return Mapping(columns, (Step(columns),))


def _as_steps(table: ParquetTable, mapping: Mapping) -> str:
    """A query for all rows in the form of `sql.tables.rows_of`."""
    return f"SELECT *, 0 AS step FROM ({scan_of(table, mapping.columns, _DELETED)})"  # noqa: S608 - made here


def _base_types(scan: TableScan) -> list[tuple[str | None, str | None]]:
    """Base type and length of each column: from Iceberg, or for text columns from ComponentRun's descriptions."""
    described_types = {facts.name: (facts.type, facts.length) for facts in scan.described}
    types: list[tuple[str | None, str | None]] = []
    for column in scan.columns:
        if decimal := _DECIMAL.fullmatch(column.type):
            types.append(("NUMERIC", decimal[1]))
        elif column.type == "string":
            types.append(described_types.get(column.name, (None, None)))
        else:
            types.append((_BASE_TYPES.get(column.type), None))
    return types
