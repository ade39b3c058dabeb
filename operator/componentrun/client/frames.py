"""Tables as Arrow, pandas and polars, from Parquet files and to CSV files. Requires pyarrow; polars only for polars."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from componentrun.client.errors import BadRequestError, EnvironmentFault
from componentrun.csv.columnfacts import ColumnFacts

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_arrow", "read_pandas", "read_polars", "write_csv"]

_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_TYPES: Final = {
    "TINYINT": "INTEGER", "SMALLINT": "INTEGER", "INTEGER": "INTEGER", "BIGINT": "INTEGER",
    "UTINYINT": "INTEGER", "USMALLINT": "INTEGER", "UINTEGER": "INTEGER",
    "FLOAT": "FLOAT", "DOUBLE": "FLOAT", "BOOLEAN": "BOOLEAN", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP", "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", "TIMESTAMP_NS": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}  # fmt: skip
"""Base types by DuckDB's types. Columns of other types become text."""


def read_arrow(path: Path) -> Any:
    """A Parquet file as `pyarrow.Table`."""
    return _module("pyarrow.parquet", "pyarrow").read_table(path)


def read_pandas(path: Path) -> Any:
    """A Parquet file as `pandas.DataFrame`."""
    _module("pandas", "pandas")
    return read_arrow(path).to_pandas()


def read_polars(path: Path) -> Any:
    """A Parquet file as `polars.DataFrame`."""
    return _module("polars", "polars").read_parquet(path)


def write_csv(data: Any, path: Path) -> tuple[ColumnFacts, ...]:
    """Write rows to a CSV file with a header line; return the types of its columns.

    Args:
        data: a `pandas.DataFrame` (its index is left out), a `polars.DataFrame`, a `pyarrow.Table`, another object with
            the Arrow PyCapsule interface, or a list of dicts.
        path: the file.

    Raises:
        BadRequestError: it is something else, or a column is binary.
    """
    import duckdb  # noqa: PLC0415 - takes a while to load

    table = _arrow(data)
    with duckdb.connect() as connection:
        connection.register("data", table)
        columns = [(str(row[0]), str(row[1])) for row in connection.execute("DESCRIBE data").fetchall()]
        if binary := [name for name, kind in columns if kind == "BLOB"]:
            raise BadRequestError(f"column `{binary[0]}` is binary; tables hold text", "Encode it as text.")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("COPY data TO $path (FORMAT csv, HEADER true)", {"path": str(path)})
    return tuple(_facts(name, kind) for name, kind in columns)


def _arrow(data: Any) -> Any:
    arrow = _module("pyarrow", "pyarrow")
    if type(data).__module__.partition(".")[0] == "pandas":
        return arrow.Table.from_pandas(data, preserve_index=False)
    if isinstance(data, list):
        return arrow.Table.from_pylist(data)
    try:
        return arrow.table(data)
    except TypeError as error:
        raise BadRequestError(
            f"can't write a `{type(data).__name__}` to a table",
            "Pass a DataFrame of pandas or polars, a `pyarrow.Table`, or a list of dicts.",
        ) from error


def _facts(name: str, kind: str) -> ColumnFacts:
    if (decimal := _DECIMAL.fullmatch(kind)) is not None:
        return ColumnFacts(name, "NUMERIC", f"{decimal[1]},{decimal[2]}")
    return ColumnFacts(name, _TYPES.get(kind, "STRING"))


def _module(name: str, package: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise EnvironmentFault(f"`{package}` is not installed", f"Install it: `pip install {package}`.") from error
