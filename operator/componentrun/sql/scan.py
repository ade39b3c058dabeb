"""SQL for DuckDB that reads the rows of an Iceberg table from its Parquet files. Does not import DuckDB.

Columns are identified by their field ids, whatever their names were when a file was written, and are NULL in files that
are older than the column. Queries name them `c0`, `c1`, ..., by their position in the table's schema, because DuckDB
ignores case and would confuse `id` and `ID`.

Rows are in the order of the given files, and within a file in its own order. Deleted rows are not found by a join,
which may change the order of rows, but by a bit for each row. Bits are stored in blocks, because DuckDB copies a
constant for every 2,048 rows that it is compared with.

    for statement in delete_statements(table, "t"):
        connection.execute(statement)
    connection.execute(f"SELECT c0, c2 FROM ({scan_of(table, ['id', 'city'], 't')})")
"""

from __future__ import annotations

import os
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from componentrun.csv.columnnames import listed
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.sql.tables import microseconds, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from componentrun.wire.agents import Where
    from componentrun.wire.parquet import ParquetColumn, ParquetTable

__all__ = [
    "EMPTY_FILE",
    "check_types",
    "delete_statements",
    "field_id_statement",
    "parquet_files",
    "refuse_without_ids",
    "scan_of",
    "sql_type",
]

EMPTY_FILE: Final = f"{os.path.dirname(__file__)}/empty.parquet"  # noqa: PTH120 - pathlib costs ten milliseconds
"""A Parquet file without rows, see `parquet_files`."""
_LARGE_BYTES: Final = 2**20
"""Files of at least this size are read by several threads."""
_BLOCK_ROWS: Final = 2**20
"""Number of rows in a block of bits: 128 KiB."""
_TYPES: Final = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
    "timestamp_ns": "TIMESTAMP_NS",
    "string": "VARCHAR",
    "uuid": "UUID",
}
_DECIMAL: Final = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_TEXT: Final = "VARCHAR"
_COMPARED: Final = {
    "number": frozenset({"INTEGER", "BIGINT"}),
    "timestamp": frozenset({"DATE", "TIMESTAMP", "TIMESTAMPTZ"}),
}
"""Types that are ordered like their texts, compared as numbers or as timestamps."""
_SMALL_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_SIGNS: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def sql_type(iceberg: str) -> str | None:
    """DuckDB's type for a type of Iceberg; None if its values can't be written to CSV.

    Args:
        iceberg: name of the type: `string`, `decimal(38,9)`, `list<string>`.
    """
    match = _DECIMAL.fullmatch(iceberg)
    return f"DECIMAL({match[1]}, {match[2]})" if match else _TYPES.get(iceberg)


def check_types(columns: Sequence[ParquetColumn], names: Collection[str], table: str) -> None:
    """Reject columns whose values can't be written to CSV.

    Args:
        columns: columns of the table.
        names: names of the columns to read.
        table: id of the table, for the message.

    Raises:
        UserError: (InputInvalid) one of `names` is nested or binary; the message names it, its type and the others.
    """
    unsupported = [column for column in columns if column.name in names and sql_type(column.type) is None]
    if unsupported:
        plain = [column.name for column in columns if sql_type(column.type) is not None]
        raise UserError(
            f"`{table}`: the column `{unsupported[0].name}` is of type `{unsupported[0].type[:200]}`, which has no "
            "form in a CSV file",
            Reason.INPUT_INVALID,
            advice=f"Choose other `columns` in the input mapping: {listed(plain)} can be delivered.",
        )


def scan_of(
    table: ParquetTable,
    names: Collection[str],
    name: str,
    *,
    where: Where | None = None,
    as_text: bool = True,
    position: bool = False,
) -> str:
    """A query for the rows that are not deleted, in their order.

    It returns `c0`, `c1`, ... for the wanted columns. As text, empty and missing values are both NULL, as in
    `sql.tables`.

    Args:
        table: the files; `delete_statements` must have been executed on this connection.
        names: names of the columns to read, all of types that `sql_type` supports.
        name: the identifier given to `delete_statements`.
        where: a condition that the caller applies. Here it only skips row groups in which no row can match; its column
            must be wanted.
        as_text: whether values are cast to text; otherwise they keep their types, and `''` remains `''`.
        position: whether the query also returns `file`, the index of the row's file in `table.files`, and `pos`, the
            index of the row in it.
    """
    columns = {place: column for place, column in enumerate(table.columns) if column.name in names}
    if not table.files:
        return f"SELECT {_nothing(columns, as_text=as_text, position=position)} WHERE false"
    expressions = [_value(f"c{place}", column, as_text=as_text) for place, column in columns.items()]
    expressions += ["file", "pos"] if position else []
    conditions = []
    if first := _first_bits(table):
        conditions.append(f"coalesce({_bit_of(name, 0, _blocks(table, first) - 1)}, 0) = 0")
    if table.after is not None and table.timestamp_id is not None:
        conditions.append(f"(ts > make_timestamptz({table.after}) OR ts IS NULL)")
    if where is not None and (condition := _possible(where, columns)):
        conditions.append(condition)
    query = f"SELECT {', '.join(expressions) or '1 AS present'} FROM ({_read(table, columns, first)})"  # noqa: S608 - made here
    return f"{query} WHERE {' AND '.join(conditions)}" if conditions else query


def delete_statements(table: ParquetTable, name: str) -> list[str]:
    """Statements to execute before the query of `scan_of`, on the same connection. They store a bit for each row.

    Args:
        table: the files.
        name: an identifier for a temporary table and for variables; unique among the tables of a query.
    """
    first = _first_bits(table)
    if not first:
        return []
    numbers = sorted({number for file in table.files for number in file.deletes})
    files = ", ".join(quoted(table.deletes[number].url) for number in numbers)
    places = ", ".join(
        f"({quoted(table.files[number].path)}, {bit}, {table.files[number].rows})" for number, bit in first.items()
    )
    bits = (
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT bit // {_BLOCK_ROWS} AS block, "  # noqa: S608 - made here
        f"bitstring_agg((bit % {_BLOCK_ROWS})::BIGINT, 0::BIGINT, {_BLOCK_ROWS - 1}::BIGINT) AS bits FROM "
        f"(SELECT first_bit + pos AS bit FROM read_parquet([{files}], union_by_name = true) "
        f"JOIN (VALUES {places}) AS places(path, first_bit, size) ON file_path = path AND pos < size) GROUP BY block"
    )
    blocks = [
        f"SET VARIABLE {name}_{block} = (SELECT bits FROM {name} WHERE block = {block})"  # noqa: S608 - made here
        for block in range(_blocks(table, first))
    ]
    return [bits, *blocks, f"DROP TABLE {name}"]


def parquet_files(urls: Sequence[str], size: int) -> str:
    """The files of `read_parquet(..., schema = ...)` as an SQL list.

    With a schema, DuckDB does not open a file before the query begins, so it does not know that a file has several row
    groups, and reads a single file with one thread. It reads several files with all threads: hence an empty one.

    Args:
        urls: files to read, in their order.
        size: total size in bytes.
    """
    parallel = [EMPTY_FILE] if len(urls) == 1 and size >= _LARGE_BYTES else []
    return f"[{', '.join(quoted(url) for url in (*urls, *parallel))}]"


def field_id_statement(table: ParquetTable) -> str | None:
    """A query for the URLs of data files without field ids, whose columns can't be identified. None: no files."""
    if not table.files:
        return None
    listed_files = ", ".join(quoted(file.url) for file in table.files)
    return (
        f"SELECT file_name FROM parquet_schema([{listed_files}]) GROUP BY file_name "  # noqa: S608 - made here
        "HAVING count(field_id) = 0"
    )


def refuse_without_ids(table: ParquetTable, urls: Collection[str], title: str) -> None:
    """Reject a table that has files without field ids.

    Args:
        table: the files.
        urls: result of the query of `field_id_statement`.
        title: id of the table.

    Raises:
        PlatformError: (StageInFailed) a file has no field ids; the message names it.
    """
    path = next((file.path for file in table.files if file.url in urls), None)
    if path is not None:
        raise PlatformError(
            f"`{title}`: its file `{path}` has no field ids, which identify columns; it was probably added to "
            "the table without rewriting it",
            Reason.STAGE_IN_FAILED,
            advice="Rewrite the data files of the table (`rewrite_data_files` in Spark).",
        )


def _value(name: str, column: ParquetColumn, *, as_text: bool) -> str:
    if not as_text:
        return name
    kind = sql_type(column.type)
    return f"nullif({name}, '') AS {name}" if kind == _TEXT else f"CAST({name} AS VARCHAR) AS {name}"


def _nothing(columns: dict[int, ParquetColumn], *, as_text: bool, position: bool) -> str:
    kinds = {f"c{place}": _TEXT if as_text else sql_type(column.type) for place, column in columns.items()}
    if position:
        kinds |= {"file": "BIGINT", "pos": "BIGINT"}
    return ", ".join(f"NULL::{kind} AS {name}" for name, kind in kinds.items()) or "1 AS present"


def _read(table: ParquetTable, columns: dict[int, ParquetColumn], first: dict[int, int]) -> str:
    """All rows, including deleted ones: the columns, `ts`, `file`, `pos`, and the index of each row's `bit`."""
    fields = {column.id: (f"c{place}", sql_type(column.type)) for place, column in columns.items()}
    if table.after is not None and table.timestamp_id is not None:
        fields[table.timestamp_id] = ("ts", "TIMESTAMPTZ")
    # A schema needs at least one field: if no column is wanted, use one that no file has.
    fields = fields or {-1: ("present", "BOOLEAN")}
    schema = ", ".join(
        f"{number}: {{name: '{name}', type: '{kind}', default_value: NULL}}" for number, (name, kind) in fields.items()
    )
    files = parquet_files([file.url for file in table.files], sum(file.size for file in table.files))
    places = ["file_index::BIGINT AS file", "file_row_number::BIGINT AS pos"]
    if first:
        starts = ", ".join(str(first.get(number, "NULL")) for number in range(len(table.files)))
        places.append(f"list_extract([{starts}]::BIGINT[], file_index::BIGINT + 1) + file_row_number AS bit")
    return f"SELECT *, {', '.join(places)} FROM read_parquet({files}, schema = MAP {{{schema}}})"  # noqa: S608 - made here


def _first_bits(table: ParquetTable) -> dict[int, int]:
    """The bit of the first row of each file that may have deleted rows, by the index of the file."""
    numbers = [number for number, file in enumerate(table.files) if file.deletes and file.rows]
    ends = accumulate((table.files[number].rows for number in numbers), initial=0)
    return dict(zip(numbers, ends, strict=False))


def _blocks(table: ParquetTable, first: dict[int, int]) -> int:
    return -(-sum(table.files[number].rows for number in first) // _BLOCK_ROWS)


def _bit_of(name: str, low: int, high: int) -> str:
    """A row's bit in the blocks from `low` to `high`: a binary search of which only one branch is evaluated."""
    if low == high:
        return f"get_bit(getvariable('{name}_{low}')::BIT, (bit - {low * _BLOCK_ROWS})::INTEGER)"
    middle = (low + high) // 2
    lower, upper = _bit_of(name, low, middle), _bit_of(name, middle + 1, high)
    return f"CASE WHEN bit < {(middle + 1) * _BLOCK_ROWS} THEN {lower} ELSE {upper} END"


def _possible(where: Where, columns: dict[int, ParquetColumn]) -> str | None:
    """A condition that every matching row meets, in a form that DuckDB compares with statistics of row groups."""
    place, column = next((place, column) for place, column in columns.items() if column.name == where.column)
    kind = sql_type(column.type)
    if where.operator == "eq" and "" not in where.values:
        texts = [quoted(value) for value in where.values]
        values = texts if kind == _TEXT else [f"TRY_CAST({text} AS {kind})" for text in texts]
        return f"c{place} IN ({', '.join(values)})"
    if where.operator not in _SIGNS or kind not in _COMPARED.get(where.type, ()):
        return None
    if where.type == "number":
        match = _SMALL_INTEGER.fullmatch(where.values[0])
        return f"c{place} {_SIGNS[where.operator]} {int(where.values[0])}" if match else None
    moment = f"make_timestamptz({microseconds(where.values[0])})"
    bound = moment if kind == "TIMESTAMPTZ" else f"({moment} AT TIME ZONE 'UTC')"
    # A date is midnight: the date of the timestamp itself must remain possible.
    sign = _SIGNS[where.operator] if kind != "DATE" else _SIGNS[where.operator][0] + "="
    return f"c{place} {sign} {bound}" if kind != "DATE" else f"c{place} {sign} CAST({bound} AS DATE)"
