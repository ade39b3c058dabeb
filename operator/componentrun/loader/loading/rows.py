"""Compute the files of a load with DuckDB: the new rows, and the positions of deleted rows.

This module holds no keys: it reads the store with signed URLs, and writes only local files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import duckdb
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
    TimestamptzType,
)

from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.loader.catalog import properties
from componentrun.loader.loading.databases import is_small
from componentrun.loader.loading.staged import scratch_is_full
from componentrun.loader.reading.duck import without_signatures
from componentrun.loader.scratch import too_large
from componentrun.sql.parquet import MOST_GROUP_ROWS, parquet_options, row_group
from componentrun.sql.query import httpfs_statements, is_disk_full, run_statements
from componentrun.sql.scan import parquet_files
from componentrun.sql.tables import (
    MISFIT,
    Mapping,
    Step,
    condition_of,
    identifier,
    keep_statement,
    quoted,
    rows_of,
    select_of,
)
from componentrun.wire.agents import Where

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingType
    from collections.abc import Sequence

    from componentrun.errors import ComponentRunError
    from componentrun.loader.catalog.state import NextTable
    from componentrun.loader.loading.databases import Databases
    from componentrun.loader.loading.loads import TableLoad
    from componentrun.loader.scratch import Scratch
    from componentrun.wire.loader import TableScan

__all__ = [
    "PATH_ID",
    "POSITIONS",
    "POS_ID",
    "Written",
    "compute",
    "takes_rows_away",
    "written_of",
]

PATH_ID: Final = 2147483546
POS_ID: Final = 2147483545
"""Field ids of the columns of a position delete file (reserved field ids in Iceberg's specification)."""
POSITIONS: Final = f"{parquet_options(MOST_GROUP_ROWS, 2)}, RETURN_STATS"
"""Options of the COPY statement that writes a position delete file."""


_SQL_TYPES: Final = {
    LongType: "BIGINT",
    IntegerType: "INTEGER",
    DoubleType: "DOUBLE",
    FloatType: "FLOAT",
    BooleanType: "BOOLEAN",
    DateType: "DATE",
}


@dataclass(frozen=True, slots=True)
class Written:
    """A local Parquet file."""

    path: str
    rows: int
    size: int
    """Size in bytes."""


def compute(
    next_table: NextTable,
    loads: Sequence[TableLoad],
    files: Sequence[Sequence[str]],
    folder: str,
    *,
    scan: TableScan | None,
    urls: MappingType[str, str],
    share: int = 1,
    authorities: str | None = None,
    databases: Databases | None = None,
    scratch: Scratch | None = None,
) -> tuple[Written | None, Written | None]:
    """Write the files of a run's loads for one table.

    Args:
        next_table: schema and properties of the table after the loads.
        loads: the loads, in order.
        files: the CSV files of each load.
        folder: folder for the written files, and for DuckDB's spill files.
        scan: the existing rows; None if they are not needed, because they are replaced or no load deletes any.
        urls: signed URLs of the scan's files, by their paths.
        share: number of loads that share the memory of the process.
        authorities: file with the certificate authorities of the store; None: the system's authorities.
        databases: databases to reuse for small loads; None: always create one.
        scratch: size limit of the folder; None: the free space of the disk.

    Returns:
        The data file and the position delete file. Each is None if it would be empty.

    Raises:
        UserError: (OutputInvalid) a value does not match its column's type.
        PlatformError: (PublishFailed) there is not enough memory or disk space.
    """
    wheres = [_where(next_table, load, folder) for load in loads]
    mapping, step_files = _mapping(next_table, loads, files, wheres)
    rows = _in_one_form(next_table, mapping, rows_of(mapping, step_files))
    if scan is not None:
        _refuse_without_ids(scan, urls, folder, loads[0].table, authorities)
    spill = scratch.spill_bytes(loads) if scratch is not None else None
    statements = [f"SET max_temp_directory_size = '{spill}B'"] if spill is not None else []
    statements += httpfs_statements(authorities) if scan is not None else []
    keep = keep_statement(mapping, rows)
    statements += [keep] if keep is not None else []
    data, deletes = f"{folder}/data.parquet", f"{folder}/deletes.parquet"
    if scan is not None:
        statements.append(_find_gone(next_table, wheres, mapping, rows, scan, urls))
    group = row_group(
        sum(load.size for load in loads) // max(1, sum(load.rows for load in loads)), len(loads[0].columns)
    )
    statements.append(_copy_data(next_table, mapping, rows, data, group))
    if scan is not None:
        statements.append(_copy_deletes(scan, urls, deletes))
    # A database keeps the authorities that it was configured with, so it can't be shared if a load sets its own.
    is_kept = databases is not None and authorities is None and is_small(loads)
    answers = run_statements(
        statements,
        folder,
        explain=partial(_explained, loads[0].table, most=scratch.most if scratch is not None else None),
        share=share,
        database=databases.one() if databases is not None and is_kept else None,
    )
    data_rows = answers[-2] if scan is not None else answers[-1]
    delete_rows = answers[-1] if scan is not None else None
    return written_of(data_rows), written_of(delete_rows) if delete_rows is not None else None


def _refuse_without_ids(
    scan: TableScan, urls: MappingType[str, str], folder: str, table: str, authorities: str | None
) -> None:
    """Refuse files without field ids: their columns would not be found, so their rows would seem to have other keys."""
    if not scan.files:
        return
    urls_text = ", ".join(quoted(urls[file.path]) for file in scan.files)
    query = f"SELECT file_name FROM parquet_schema([{urls_text}]) GROUP BY 1 HAVING count(field_id) = 0 LIMIT 1"  # noqa: S608 - made here
    missing = run_statements([*httpfs_statements(authorities), query], folder, explain=partial(_explained, table))[-1]
    if missing:
        path = next((path for path, url in urls.items() if url == missing[0][0]), "a data file")
        raise PlatformError(
            f"`{table}`: {path} holds no field ids, by which columns are found; rewrite the table with Spark",
            Reason.PUBLISH_FAILED,
        )


def takes_rows_away(next_table: NextTable, loads: Sequence[TableLoad]) -> bool:
    """Whether loads may delete or replace existing rows, so that these must be read."""
    if next_table.replaces:
        return False
    keyed = bool(next_table.primary_key) and any(not load.insert and load.rows for load in loads)
    return keyed or any(load.delete_where is not None for load in loads)


def _mapping(
    next_table: NextTable,
    loads: Sequence[TableLoad],
    files: Sequence[Sequence[str]],
    wheres: Sequence[Where | None],
) -> tuple[Mapping, list[Sequence[str]]]:
    """The loads as a sequence of steps, which for each load are its deletion and its new rows; and their files."""
    steps: list[Step] = []
    step_files: list[Sequence[str]] = []
    for load, paths, where in zip(loads, files, wheres, strict=True):
        if where is not None and steps:
            steps.append(Step(None, where))
            step_files.append(())
        steps.append(Step(load.columns, insert=load.insert))
        step_files.append(paths)
    return Mapping(next_table.columns, tuple(steps), primary_key=next_table.primary_key), step_files


def _in_one_form(next_table: NextTable, mapping: Mapping, rows: str) -> str:
    """The rows, with compared values in DuckDB's text form, so that the numbers `01` and `1` are the same key."""
    text_columns = {*next_table.primary_key, *(step.delete.column for step in mapping.steps if step.delete is not None)}
    casts = []
    for number, name in enumerate(next_table.columns):
        kind = next_table.schema.find_field(name).field_type
        if name in text_columns and not isinstance(kind, StringType):
            casts.append(f"CAST({_value(f'c{number}', name, kind)} AS VARCHAR) AS c{number}")
    return f"SELECT * REPLACE ({', '.join(casts)}) FROM ({rows})" if casts else rows  # noqa: S608 - made here


def _where(next_table: NextTable, load: TableLoad, folder: str) -> Where | None:
    """The condition of the rows that a load deletes, with its values in the form in which they are compared."""
    where = load.delete_where
    if where is None:
        return None
    kind = next_table.schema.find_field(where.column).field_type
    values = where.values
    if not isinstance(kind, StringType):
        values_text = ", ".join(f"({number}, {quoted(value)})" for number, value in enumerate(values))
        form = f"coalesce(CAST({_cast('v', where.column, kind)} AS VARCHAR), v)"
        query = f"SELECT {form} FROM (VALUES {values_text}) t(n, v) ORDER BY n"  # noqa: S608 - made here
        values = tuple(value for (value,) in run_statements([query], folder)[0])
    return Where(where.column, where.operator, values)


def _copy_data(next_table: NextTable, mapping: Mapping, rows: str, target: str, group: int) -> str:
    expressions, ids = [], []
    for number, name in enumerate(next_table.columns):
        column = next_table.schema.find_field(name)
        expressions.append(f"{_value(f'c{number}', name, column.field_type)} AS {identifier(name)}")
        ids.append(f"{identifier(name)}: {column.field_id}")
    stamp = identifier(properties.TIMESTAMP_COLUMN)
    expressions.append(f"make_timestamptz({next_table.timestamp}) AS {stamp}")
    ids.append(f"{stamp}: {next_table.schema.find_field(properties.TIMESTAMP_COLUMN).field_id}")
    query = select_of(mapping, rows, expressions)
    options = f"{parquet_options(group, len(ids))}, RETURN_STATS"
    return f"COPY ({query}) TO {quoted(target)} ({options}, FIELD_IDS {{{', '.join(ids)}}})"


def _find_gone(
    next_table: NextTable,
    wheres: Sequence[Where | None],
    mapping: Mapping,
    rows: str,
    scan: TableScan,
    urls: MappingType[str, str],
) -> str:
    """A statement that creates a table of the existing rows to delete.

    These are the rows that a load deletes, and the rows whose key is in a load.
    """
    columns = next_table.columns
    conditions = [condition_of(where, columns) for where in wheres if where is not None]
    if next_table.primary_key and (coming := _coming_keys(next_table, mapping, rows)):
        key = ", ".join(f"coalesce(c{columns.index(name)}, '')" for name in next_table.primary_key)
        # `coalesce` makes DuckDB keep the new keys in memory. Otherwise it would keep the table, which it estimates to
        # be small.
        conditions.append(f"coalesce(({key}) IN ({coming}), false)")
    condition_text = " OR ".join(f"({condition})" for condition in conditions) or "false"
    existing = _existing(next_table, scan, urls)
    return f"CREATE OR REPLACE TEMP TABLE gone AS SELECT url, pos FROM ({existing}) WHERE {condition_text}"  # noqa: S608 - made here


def _copy_deletes(scan: TableScan, urls: MappingType[str, str], target: str) -> str:
    """A statement that writes the positions of the rows to delete, except those that are already deleted."""
    paths = ", ".join(f"({quoted(urls[file.path])}, {quoted(file.path)})" for file in scan.files) or "(NULL, NULL)"
    query = f"SELECT p.path AS file_path, g.pos FROM gone g JOIN (VALUES {paths}) p(url, path) ON g.url = p.url"  # noqa: S608 - made here
    if scan.deletes:
        urls_text = ", ".join(quoted(urls[file.path]) for file in scan.deletes)
        query += (
            f" WHERE NOT EXISTS (SELECT 1 FROM read_parquet([{urls_text}]) d "  # noqa: S608 - likewise
            "WHERE d.file_path = p.path AND d.pos = g.pos)"
        )
    ids = f"{{file_path: {PATH_ID}, pos: {POS_ID}}}"
    return f"COPY ({query} ORDER BY file_path, pos) TO {quoted(target)} ({POSITIONS}, FIELD_IDS {ids})"


def _coming_keys(next_table: NextTable, mapping: Mapping, rows: str) -> str | None:
    """A query for the keys of all new rows that replace others, even of those that a later step deletes again."""
    replacing = [number for number, step in enumerate(mapping.steps) if step.delete is None and not step.insert]
    if not replacing:
        return None
    key = ", ".join(f"coalesce(c{next_table.columns.index(name)}, '')" for name in next_table.primary_key)
    return f"SELECT {key} FROM ({rows}) WHERE step IN ({', '.join(map(str, replacing))})"  # noqa: S608 - made here


def _existing(next_table: NextTable, scan: TableScan, urls: MappingType[str, str]) -> str:
    """A query for all existing rows, including deleted ones, as `url`, `pos` and the columns as text, `c0`, ..."""
    if not scan.files:
        nulls = ", ".join(f"NULL::VARCHAR AS c{number}" for number in range(len(next_table.columns)))
        return f"SELECT NULL::VARCHAR AS url, NULL::BIGINT AS pos, {nulls} WHERE false"
    ids = {column.name: column.id for column in scan.columns}
    fields = [
        f"{ids[name]}: {{name: 'c{number}', type: 'VARCHAR', default_value: NULL}}"
        for number, name in enumerate(next_table.columns)
        if name in ids
    ]
    added_columns = "".join(
        f", NULL::VARCHAR AS c{number}" for number, name in enumerate(next_table.columns) if name not in ids
    )
    files = parquet_files([urls[file.path] for file in scan.files], sum(file.size for file in scan.files))
    return (
        f"SELECT filename AS url, file_row_number AS pos, *{added_columns} "  # noqa: S608 - made here
        f"FROM read_parquet({files}, schema = MAP {{{', '.join(fields)}}}, file_row_number = true, filename = true)"
    )


def _value(source: str, name: str, kind: IcebergType) -> str:
    """An expression that converts a text to the column's type. An empty text is null, except in a text column."""
    if isinstance(kind, StringType):
        return f"coalesce({source}, '')"
    refusal = quoted(f"{MISFIT}the column `{name}` is {kind}, and can't hold `")
    cast = _cast(source, name, kind)
    return f"CASE WHEN {source} IS NOT NULL THEN coalesce({cast}, error({refusal} || {source}[1:80] || '`')) END"


def _cast(source: str, name: str, kind: IcebergType) -> str:
    """Expression that converts a text to a type, or to NULL if it is invalid. Accepts the same texts as stage-out."""
    if isinstance(kind, TimestampType | TimestamptzType):
        moment = f"TRY_CAST({_time(source)} AS TIMESTAMPTZ)"
        return moment if isinstance(kind, TimestamptzType) else f"({moment} AT TIME ZONE 'UTC')"
    cast = f"TRY_CAST({source} AS {_sql_type(kind, name)})"
    if isinstance(kind, LongType | IntegerType):
        # DuckDB would round `1.5`.
        return f"CASE WHEN regexp_full_match({source}, '[-+]?[0-9]+') THEN {cast} END"
    if isinstance(kind, DoubleType | FloatType):
        return f"CASE WHEN NOT isinf({cast}) OR contains(lower({source}), 'inf') THEN {cast} END"
    return cast


def _time(source: str) -> str:
    """An expression that adds missing seconds to a time and removes a space before its offset, as DuckDB requires."""
    with_seconds = f"regexp_replace({source}, '^(.{{16}}) ?([-+Z].*)$', '\\1:00\\2')"
    return f"regexp_replace({with_seconds}, ' ([-+Z])', '\\1')"


def _sql_type(kind: IcebergType, name: str) -> str:
    if isinstance(kind, DecimalType):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    for type_class, sql_name in _SQL_TYPES.items():
        if isinstance(kind, type_class):
            return sql_name
    raise PlatformError(
        f"the column `{name}` has Iceberg's type `{kind}`, which can be read, but not written yet",
        Reason.PUBLISH_FAILED,
    )


def written_of(answer: list[Any]) -> Written | None:
    """The file that a COPY wrote, from its result; None: it has no rows."""
    path, rows, size = answer[0][:3]
    return Written(str(path), int(rows), int(size)) if rows else None


def _explained(table: str, error: Exception, most: int | None = None) -> ComponentRunError:
    if most is not None and "max_temp_directory_size" in str(error):
        return too_large(table, "needs more beside its rows", most)
    if is_disk_full(error):
        return scratch_is_full(table)
    if problem := str(error).partition(MISFIT)[2]:
        return UserError(f"`{table}`: {problem}", Reason.OUTPUT_INVALID)
    if isinstance(error, duckdb.OutOfMemoryException):
        return PlatformError(
            f"`{table}` can't be loaded: the loader has too little memory for it",
            Reason.PUBLISH_FAILED,
            advice="Give the loader more memory.",
        )
    # DuckDB's message is omitted, because it contains signed URLs.
    if isinstance(error, duckdb.IOException):
        return TransientError(
            f"`{table}` can't be loaded: its files could not be read ({type(error).__name__})",
            Reason.STORAGE_UNAVAILABLE,
            advice="Check the object store.",
        )
    first = without_signatures(str(error).strip().partition("\n")[0])[:300] or "no message"
    return PlatformError(f"`{table}` can't be loaded: {type(error).__name__}: {first}", Reason.PUBLISH_FAILED)
