"""The rows of an Iceberg table from its Parquet files, as SQL for DuckDB. Pure text: DuckDB is not imported here.

Columns are found by their field ids: whatever they were called when a file was written, and NULL where a file was
written before the column was added. They are called `c0`, `c1`, ... inside, by their place in the table's schema,
because DuckDB takes `id` and `ID` for one name.

Rows come file by file, in the order that the files are given in, and within a file as they stand there. No join says
which rows are deleted: a join may change the order of rows. A bit for each row does; bits are kept in blocks, since
DuckDB copies a constant for each 2,048 rows that it is compared with.

    for statement in delete_statements(table, "t"):
        connection.execute(statement)
    connection.execute(f"SELECT c0, c2 FROM ({scan_of(table, ['id', 'city'], 't')})")
"""

from __future__ import annotations

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
    "check_types",
    "delete_statements",
    "field_id_statement",
    "refuse_without_ids",
    "scan_of",
    "sql_type",
]

_BLOCK_ROWS: Final = 2**20
"""Rows whose bits are one constant: 128 KiB."""
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
"""Types whose order is that of their texts, compared as a number or as a timestamp."""
_SMALL_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_SIGNS: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def sql_type(iceberg: str) -> str | None:
    """DuckDB's type for one of Iceberg's; None: its values have no form in a CSV file.

    Args:
        iceberg: as text: `string`, `decimal(38,9)`, `list<string>`.
    """
    found = _DECIMAL.fullmatch(iceberg)
    return f"DECIMAL({found[1]}, {found[2]})" if found else _TYPES.get(iceberg)


def check_types(columns: Sequence[ParquetColumn], wanted: Collection[str], table: str) -> None:
    """Refuse columns whose values can't be texts.

    Args:
        columns: of the table.
        wanted: names of the columns that are read.
        table: its id, for the message.

    Raises:
        UserError: (InputInvalid) one of `wanted` is nested or binary; the message names it, its type and the others.
    """
    refused = [column for column in columns if column.name in wanted and sql_type(column.type) is None]
    if refused:
        plain = [column.name for column in columns if sql_type(column.type) is not None]
        raise UserError(
            f"`{table}`: the column `{refused[0].name}` is of type `{refused[0].type[:200]}`, which has no form in a "
            f"CSV file. Choose other `columns` in the input mapping; {listed(plain)} can be delivered",
            Reason.INPUT_INVALID,
        )


def scan_of(
    table: ParquetTable,
    wanted: Collection[str],
    name: str,
    *,
    where: Where | None = None,
    as_text: bool = True,
    position: bool = False,
) -> str:
    """A query for the rows that are there, in their order.

    It answers `c0`, `c1`, ... for the wanted columns. As text, an empty value and a missing one are both NULL, as
    `sql.tables` has it.

    Args:
        table: its files; `delete_statements` were executed on this connection.
        wanted: names of the columns to read, all of types that `sql_type` knows.
        name: the one given to `delete_statements`.
        where: a condition that the caller applies. Here it only keeps row groups from being read in which no row can
            meet it; its column is wanted.
        as_text: whether values are cast to text; else they keep their types, and `''` stays `''`.
        position: whether the query also answers `file`, the number of the row's file in `table.files`, and `pos`, the
            row's number in it, both from 0.
    """
    columns = {place: column for place, column in enumerate(table.columns) if column.name in wanted}
    if not table.files:
        return f"SELECT {_nothing(columns, as_text=as_text, position=position)} WHERE false"
    chosen = [_value(f"c{place}", column, as_text=as_text) for place, column in columns.items()]
    chosen += ["file", "pos"] if position else []
    conditions = []
    if first := _first_bits(table):
        conditions.append(f"coalesce({_bit_of(name, 0, _blocks(table, first) - 1)}, 0) = 0")
    if table.after is not None and table.timestamp_id is not None:
        conditions.append(f"(ts > make_timestamptz({table.after}) OR ts IS NULL)")
    if where is not None and (possible := _possible(where, columns)):
        conditions.append(possible)
    query = f"SELECT {', '.join(chosen) or '1 AS present'} FROM ({_read(table, columns, first)})"  # noqa: S608 - made here
    return f"{query} WHERE {' AND '.join(conditions)}" if conditions else query


def delete_statements(table: ParquetTable, name: str) -> list[str]:
    """What to execute before `scan_of`'s query, on the same connection: makes a bit for each row that may be deleted.

    Args:
        table: its files.
        name: an identifier for a temporary table and the variables; another one for each table of a query.
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


def field_id_statement(table: ParquetTable) -> str | None:
    """A query for the URLs of data files that say no field ids: nothing would be found in them. None: no files."""
    if not table.files:
        return None
    listed_files = ", ".join(quoted(file.url) for file in table.files)
    return (
        f"SELECT file_name FROM parquet_schema([{listed_files}]) GROUP BY file_name "  # noqa: S608 - made here
        "HAVING count(field_id) = 0"
    )


def refuse_without_ids(table: ParquetTable, urls: Collection[str], title: str) -> None:
    """Refuse a table with files that say no field ids.

    Args:
        table: its files.
        urls: what the query of `field_id_statement` answered.
        title: the table's id.

    Raises:
        PlatformError: (StageInFailed) there are any; the message names one.
    """
    path = next((file.path for file in table.files if file.url in urls), None)
    if path is not None:
        raise PlatformError(
            f"`{title}`: its file `{path}` holds no field ids, by which columns are found. It was probably added to "
            "the table as it was; rewrite the table's data files (`rewrite_data_files` in Spark)",
            Reason.STAGE_IN_FAILED,
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
    """All rows, deleted ones included: the columns, `ts`, `file`, `pos`, and the number of each row's `bit`."""
    fields = {column.id: (f"c{place}", sql_type(column.type)) for place, column in columns.items()}
    if table.after is not None and table.timestamp_id is not None:
        fields[table.timestamp_id] = ("ts", "TIMESTAMPTZ")
    # A schema needs a field: where no column is wanted, one that no file has.
    fields = fields or {-1: ("present", "BOOLEAN")}
    schema = ", ".join(
        f"{number}: {{name: '{name}', type: '{kind}', default_value: NULL}}" for number, (name, kind) in fields.items()
    )
    files = ", ".join(quoted(file.url) for file in table.files)
    places = ["file_index::BIGINT AS file", "file_row_number::BIGINT AS pos"]
    if first:
        starts = ", ".join(str(first.get(number, "NULL")) for number in range(len(table.files)))
        places.append(f"list_extract([{starts}]::BIGINT[], file_index::BIGINT + 1) + file_row_number AS bit")
    return f"SELECT *, {', '.join(places)} FROM read_parquet([{files}], schema = MAP {{{schema}}})"  # noqa: S608 - made here


def _first_bits(table: ParquetTable) -> dict[int, int]:
    """For each file of which rows may be deleted, by its number: the bit of its first row."""
    numbers = [number for number, file in enumerate(table.files) if file.deletes and file.rows]
    ends = accumulate((table.files[number].rows for number in numbers), initial=0)
    return dict(zip(numbers, ends, strict=False))


def _blocks(table: ParquetTable, first: dict[int, int]) -> int:
    return -(-sum(table.files[number].rows for number in first) // _BLOCK_ROWS)


def _bit_of(name: str, low: int, high: int) -> str:
    """A row's bit in the blocks from `low` to `high`: a search tree, of which only the row's own branch is computed."""
    if low == high:
        return f"get_bit(getvariable('{name}_{low}')::BIT, (bit - {low * _BLOCK_ROWS})::INTEGER)"
    middle = (low + high) // 2
    lower, upper = _bit_of(name, low, middle), _bit_of(name, middle + 1, high)
    return f"CASE WHEN bit < {(middle + 1) * _BLOCK_ROWS} THEN {lower} ELSE {upper} END"


def _possible(where: Where, columns: dict[int, ParquetColumn]) -> str | None:
    """What holds for every row that meets a condition, in a form that DuckDB compares with statistics of row groups."""
    place, column = next((place, column) for place, column in columns.items() if column.name == where.column)
    kind = sql_type(column.type)
    if where.operator == "eq" and "" not in where.values:
        texts = [quoted(value) for value in where.values]
        values = texts if kind == _TEXT else [f"TRY_CAST({text} AS {kind})" for text in texts]
        return f"c{place} IN ({', '.join(values)})"
    if where.operator not in _SIGNS or kind not in _COMPARED.get(where.type, ()):
        return None
    if where.type == "number":
        whole = _SMALL_INTEGER.fullmatch(where.values[0])
        return f"c{place} {_SIGNS[where.operator]} {int(where.values[0])}" if whole else None
    moment = f"make_timestamptz({microseconds(where.values[0])})"
    wanted = moment if kind == "TIMESTAMPTZ" else f"({moment} AT TIME ZONE 'UTC')"
    # A day begins at midnight: of dates, the days on both sides of the moment are possible.
    sign = _SIGNS[where.operator] if kind != "DATE" else _SIGNS[where.operator][0] + "="
    return f"c{place} {sign} {wanted}" if kind != "DATE" else f"c{place} {sign} CAST({wanted} AS DATE)"
