"""Computes the files of a load with DuckDB: the rows that come, and the positions of rows that go. No key is in here:
what is in the store is read by signed URLs, and what is written stays local.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files as files_of
from typing import TYPE_CHECKING, Any, Final

import duckdb
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    LongType,
    StringType,
    TimestampType,
)

from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError
from componentrun.exchange import Mapping, Step, Where
from componentrun.loader import properties
from componentrun.tablequery import run_statements
from componentrun.tablesql import MISFIT, condition_of, keep_statement, quoted, rows_of, select_of

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingType
    from collections.abc import Sequence

    from componentrun.loader.state import NextTable
    from componentrun.storage.pointer import TableLoad
    from componentrun.wire.loader import TableScan

__all__ = [
    "PARQUET",
    "PATH_ID",
    "POS_ID",
    "Written",
    "compute",
    "identifier",
    "load_httpfs",
    "takes_rows_away",
    "written_of",
]

_HTTPFS: Final = "duckdb_extension_httpfs"
PATH_ID: Final = 2147483546
POS_ID: Final = 2147483545
"""Field ids of the columns of a file of position deletes (Iceberg's specification, reserved field ids)."""
_ROW_GROUP: Final = 122_880
PARQUET: Final = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}, RETURN_STATS"
"""Options of a COPY that writes a file of a table."""


@dataclass(frozen=True, slots=True)
class Written:
    """A local Parquet file."""

    path: str
    rows: int
    size: int
    """Bytes."""


def compute(
    next_table: NextTable,
    loads: Sequence[TableLoad],
    files: Sequence[Sequence[str]],
    folder: str,
    *,
    scan: TableScan | None,
    urls: MappingType[str, str],
) -> tuple[Written | None, Written | None]:
    """Write what a run's loads bring for one table.

    Args:
        next_table: what the table becomes.
        loads: in their order.
        files: for each load its files.
        folder: where files are written, and where DuckDB may spill.
        scan: the rows that are there; None: none of them matter, since they are replaced or no load takes any away.
        urls: signed URLs of the scan's files, by their paths.

    Returns:
        The data file and the file of position deletes; None for one that would be empty.

    Raises:
        UserError: (OutputInvalid) a value does not fit its column's type.
        PlatformError: (PublishFailed) memory or disk is short.
    """
    mapping, step_files = _mapping(next_table, loads, files)
    rows = rows_of(mapping, step_files)
    statements = [load_httpfs()] if scan is not None else []
    keep = keep_statement(mapping, rows)
    statements += [keep] if keep is not None else []
    data, deletes = f"{folder}/data.parquet", f"{folder}/deletes.parquet"
    statements.append(_copy_data(next_table, mapping, rows, data))
    if scan is not None:
        statements.append(_copy_deletes(next_table, loads, mapping, rows, scan, urls, deletes))
    try:
        answers = run_statements(statements, folder)
    except ComponentRunError as error:
        raise _explained(error, loads[0].table) from error
    written = answers[-2] if scan is not None else answers[-1]
    removed = answers[-1] if scan is not None else None
    return written_of(written), written_of(removed) if removed is not None else None


def takes_rows_away(next_table: NextTable, loads: Sequence[TableLoad]) -> bool:
    """Whether rows that are there have to be looked at."""
    if next_table.replaces:
        return False
    keyed = bool(next_table.primary_key) and any(not load.insert and load.rows for load in loads)
    return keyed or any(load.delete_where is not None for load in loads)


def _mapping(
    next_table: NextTable, loads: Sequence[TableLoad], files: Sequence[Sequence[str]]
) -> tuple[Mapping, list[Sequence[str]]]:
    """The loads as a history: what each deletes, then what it brings."""
    steps: list[Step] = []
    step_files: list[Sequence[str]] = []
    for load, own in zip(loads, files, strict=True):
        if load.delete_where is not None and steps:
            steps.append(Step(None, 0, _where(load)))
            step_files.append(())
        steps.append(Step(load.columns, len(own), insert=load.insert))
        step_files.append(own)
    return Mapping(next_table.columns, tuple(steps), primary_key=next_table.primary_key), step_files


def _where(load: TableLoad) -> Where | None:
    where = load.delete_where
    return None if where is None else Where(where.column, where.operator, where.values)


def _copy_data(next_table: NextTable, mapping: Mapping, rows: str, target: str) -> str:
    chosen, ids = [], []
    for number, name in enumerate(next_table.columns):
        column = next_table.schema.find_field(name)
        chosen.append(f"{_value(f'c{number}', name, column.field_type)} AS {identifier(name)}")
        ids.append(f"{identifier(name)}: {column.field_id}")
    stamp = identifier(properties.TIMESTAMP_COLUMN)
    chosen.append(f"make_timestamptz({next_table.timestamp}) AS {stamp}")
    ids.append(f"{stamp}: {next_table.schema.find_field(properties.TIMESTAMP_COLUMN).field_id}")
    query = select_of(mapping, rows, chosen)
    return f"COPY ({query}) TO {quoted(target)} ({PARQUET}, FIELD_IDS {{{', '.join(ids)}}})"


def _copy_deletes(
    next_table: NextTable,
    loads: Sequence[TableLoad],
    mapping: Mapping,
    rows: str,
    scan: TableScan,
    urls: MappingType[str, str],
    target: str,
) -> str:
    """Positions of the rows that are there and go: those that a load deletes, and those whose key comes again."""
    columns = next_table.columns
    wheres = [where for load in loads if (where := _where(load)) is not None]
    conditions = [condition_of(where, columns) for where in wheres]
    if next_table.primary_key and (coming := _coming_keys(next_table, mapping, rows)):
        key = ", ".join(f"coalesce(c{columns.index(name)}, '')" for name in next_table.primary_key)
        conditions.append(f"({key}) IN ({coming})")
    there = _existing(next_table, scan, urls)
    chosen = " OR ".join(f"({condition})" for condition in conditions) or "false"
    query = f"SELECT file_path, pos FROM ({there}) WHERE {chosen} ORDER BY file_path, pos"  # noqa: S608 - made here
    ids = f"{{file_path: {PATH_ID}, pos: {POS_ID}}}"
    return f"COPY ({query}) TO {quoted(target)} ({PARQUET}, FIELD_IDS {ids})"


def _coming_keys(next_table: NextTable, mapping: Mapping, rows: str) -> str | None:
    """A query for the keys of all rows that replace others, whether they stay or not."""
    replacing = [number for number, step in enumerate(mapping.steps) if step.delete is None and not step.insert]
    if not replacing:
        return None
    key = ", ".join(f"coalesce(c{next_table.columns.index(name)}, '')" for name in next_table.primary_key)
    return f"SELECT {key} FROM ({rows}) WHERE step IN ({', '.join(map(str, replacing))})"  # noqa: S608 - made here


def _existing(next_table: NextTable, scan: TableScan, urls: MappingType[str, str]) -> str:
    """A query for all rows that are there, as `file_path`, `pos` and the columns as text, `c0`, `c1`, ..."""
    if not scan.files:
        nothing = ", ".join(f"NULL::VARCHAR AS c{number}" for number in range(len(next_table.columns)))
        return f"SELECT NULL::VARCHAR AS file_path, NULL::BIGINT AS pos, {nothing} WHERE false"
    ids = {column.name: column.id for column in scan.columns}
    fields = [
        f"{ids[name]}: {{name: 'c{number}', type: 'VARCHAR', default_value: NULL}}"
        for number, name in enumerate(next_table.columns)
        if name in ids
    ]
    absent = "".join(
        f", NULL::VARCHAR AS c{number}" for number, name in enumerate(next_table.columns) if name not in ids
    )
    listed = ", ".join(quoted(urls[file.path]) for file in scan.files)
    paths = ", ".join(f"({quoted(urls[file.path])}, {quoted(file.path)})" for file in scan.files)
    query = (
        f"SELECT p.path AS file_path, r.file_row_number AS pos, r.*{absent} "  # noqa: S608 - made here
        f"FROM read_parquet([{listed}], schema = MAP {{{', '.join(fields)}}}, file_row_number = true, filename = true) r "
        f"JOIN (VALUES {paths}) p(url, path) ON r.filename = p.url"
    )
    if not scan.deletes:
        return query
    gone = ", ".join(quoted(urls[file.path]) for file in scan.deletes)
    return (
        f"SELECT * FROM ({query}) t WHERE NOT EXISTS (SELECT 1 FROM read_parquet([{gone}]) d "  # noqa: S608 - likewise
        "WHERE d.file_path = t.file_path AND d.pos = t.pos)"
    )


def _value(source: str, name: str, kind: IcebergType) -> str:
    """A value of text as one of the column's type; an empty one is missing, but in a column of text."""
    if isinstance(kind, StringType):
        return f"coalesce({source}, '')"
    if isinstance(kind, TimestampType):
        cast = f"(TRY_CAST({source} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
    else:
        cast = f"TRY_CAST({source} AS {_sql_type(kind, name)})"
    refusal = quoted(f"{MISFIT}the column `{name}` is {kind}, and can't hold `")
    return f"CASE WHEN {source} IS NOT NULL THEN coalesce({cast}, error({refusal} || {source}[1:80] || '`')) END"


def _sql_type(kind: IcebergType, name: str) -> str:
    if isinstance(kind, DecimalType):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    for known, said in ((LongType, "BIGINT"), (DoubleType, "DOUBLE"), (BooleanType, "BOOLEAN"), (DateType, "DATE")):
        if isinstance(kind, known):
            return said
    raise PlatformError(
        f"the column `{name}` has Iceberg's type `{kind}`, which can be read, but not written yet",
        Reason.PUBLISH_FAILED,
    )


def written_of(answer: list[Any]) -> Written | None:
    """The file that a COPY wrote, by what it answered; None: it has no rows."""
    path, rows, size = answer[0][:3]
    return Written(str(path), int(rows), int(size)) if rows else None


def load_httpfs() -> str:
    """Loads the extension from its wheel: nothing is installed, and no network is needed."""
    path = files_of(_HTTPFS) / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    return f"LOAD {quoted(str(path))}"


def identifier(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _explained(error: ComponentRunError, table: str) -> ComponentRunError:
    if isinstance(error, UserError) and error.reason is Reason.INPUT_INVALID:
        return UserError(f"`{table}`: {error.message}", Reason.OUTPUT_INVALID)
    return PlatformError(f"`{table}` can't be loaded: {error.message}", Reason.PUBLISH_FAILED)
