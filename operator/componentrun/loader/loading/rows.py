"""Computes the files of a load with DuckDB: the rows that come, and the positions of rows that go.

No key is in here: what is in the store is read by signed URLs, and what is written stays local.
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
from componentrun.sql.parquet import row_group
from componentrun.sql.query import httpfs_statements, is_disk_full, run_statements
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
    "PARQUET",
    "PATH_ID",
    "POS_ID",
    "Written",
    "compute",
    "takes_rows_away",
    "written_of",
]

PATH_ID: Final = 2147483546
POS_ID: Final = 2147483545
"""Field ids of the columns of a file of position deletes (Iceberg's specification, reserved field ids)."""
_ROW_GROUP: Final = 122_880
_PARQUET: Final = "FORMAT parquet, COMPRESSION zstd, RETURN_STATS"
PARQUET: Final = f"{_PARQUET}, ROW_GROUP_SIZE {_ROW_GROUP}"
"""Options of a COPY that writes a file of a table."""


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
    """Bytes."""


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
    """Write what a run's loads bring for one table.

    Args:
        next_table: what the table becomes.
        loads: in their order.
        files: for each load its files.
        folder: where files are written, and where DuckDB may spill.
        scan: the rows that are there; None: none of them matter, since they are replaced or no load takes any away.
        urls: signed URLs of the scan's files, by their paths.
        share: how many loads share the memory of the process.
        authorities: file of the authorities that sign the store's certificate; None: the usual ones.
        databases: kept ones, for small loads; None: there are none.
        scratch: how much may be in the folder; None: as much as the disk holds.

    Returns:
        The data file and the file of position deletes; None for one that would be empty.

    Raises:
        UserError: (OutputInvalid) a value does not fit its column's type.
        PlatformError: (PublishFailed) memory or disk is short.
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
    # Whom a DuckDB trusts stays with it.
    is_kept = databases is not None and authorities is None and is_small(loads)
    answers = run_statements(
        statements,
        folder,
        explain=partial(_explained, loads[0].table, most=scratch.most if scratch is not None else None),
        share=share,
        database=databases.one() if databases is not None and is_kept else None,
    )
    written = answers[-2] if scan is not None else answers[-1]
    removed = answers[-1] if scan is not None else None
    return written_of(written), written_of(removed) if removed is not None else None


def _refuse_without_ids(
    scan: TableScan, urls: MappingType[str, str], folder: str, table: str, authorities: str | None
) -> None:
    """Refuse files in which no column would be found: their rows would look as if they had other keys."""
    if not scan.files:
        return
    listed = ", ".join(quoted(urls[file.path]) for file in scan.files)
    query = f"SELECT file_name FROM parquet_schema([{listed}]) GROUP BY 1 HAVING count(field_id) = 0 LIMIT 1"  # noqa: S608 - made here
    found = run_statements([*httpfs_statements(authorities), query], folder, explain=partial(_explained, table))[-1]
    if found:
        path = next((path for path, url in urls.items() if url == found[0][0]), "a data file")
        raise PlatformError(
            f"`{table}`: {path} holds no field ids, by which columns are found; rewrite the table with Spark",
            Reason.PUBLISH_FAILED,
        )


def takes_rows_away(next_table: NextTable, loads: Sequence[TableLoad]) -> bool:
    """Whether rows that are there have to be looked at."""
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
    """The loads as a history: what each deletes, then what it brings."""
    steps: list[Step] = []
    step_files: list[Sequence[str]] = []
    for load, own, where in zip(loads, files, wheres, strict=True):
        if where is not None and steps:
            steps.append(Step(None, where))
            step_files.append(())
        steps.append(Step(load.columns, insert=load.insert))
        step_files.append(own)
    return Mapping(next_table.columns, tuple(steps), primary_key=next_table.primary_key), step_files


def _in_one_form(next_table: NextTable, mapping: Mapping, rows: str) -> str:
    """The rows with the values that are compared as DuckDB writes them: of a number, `01` and `1` are the same key."""
    compared = {*next_table.primary_key, *(step.delete.column for step in mapping.steps if step.delete is not None)}
    chosen = []
    for number, name in enumerate(next_table.columns):
        kind = next_table.schema.find_field(name).field_type
        if name in compared and not isinstance(kind, StringType):
            chosen.append(f"CAST({_value(f'c{number}', name, kind)} AS VARCHAR) AS c{number}")
    return f"SELECT * REPLACE ({', '.join(chosen)}) FROM ({rows})" if chosen else rows  # noqa: S608 - made here


def _where(next_table: NextTable, load: TableLoad, folder: str) -> Where | None:
    """Which rows a load deletes, with values in the form in which they are compared."""
    where = load.delete_where
    if where is None:
        return None
    kind = next_table.schema.find_field(where.column).field_type
    values = where.values
    if not isinstance(kind, StringType):
        listed = ", ".join(f"({number}, {quoted(value)})" for number, value in enumerate(values))
        form = f"coalesce(CAST({_cast('v', where.column, kind)} AS VARCHAR), v)"
        query = f"SELECT {form} FROM (VALUES {listed}) t(n, v) ORDER BY n"  # noqa: S608 - made here
        values = tuple(value for (value,) in run_statements([query], folder)[0])
    return Where(where.column, where.operator, values)


def _copy_data(next_table: NextTable, mapping: Mapping, rows: str, target: str, group: int) -> str:
    chosen, ids = [], []
    for number, name in enumerate(next_table.columns):
        column = next_table.schema.find_field(name)
        chosen.append(f"{_value(f'c{number}', name, column.field_type)} AS {identifier(name)}")
        ids.append(f"{identifier(name)}: {column.field_id}")
    stamp = identifier(properties.TIMESTAMP_COLUMN)
    chosen.append(f"make_timestamptz({next_table.timestamp}) AS {stamp}")
    ids.append(f"{stamp}: {next_table.schema.find_field(properties.TIMESTAMP_COLUMN).field_id}")
    query = select_of(mapping, rows, chosen)
    return f"COPY ({query}) TO {quoted(target)} ({_PARQUET}, ROW_GROUP_SIZE {group}, FIELD_IDS {{{', '.join(ids)}}})"


def _find_gone(
    next_table: NextTable,
    wheres: Sequence[Where | None],
    mapping: Mapping,
    rows: str,
    scan: TableScan,
    urls: MappingType[str, str],
) -> str:
    """Makes a table of the rows that are there and go: those that a load deletes, and those whose key comes again."""
    columns = next_table.columns
    conditions = [condition_of(where, columns) for where in wheres if where is not None]
    if next_table.primary_key and (coming := _coming_keys(next_table, mapping, rows)):
        key = ", ".join(f"coalesce(c{columns.index(name)}, '')" for name in next_table.primary_key)
        # In a function, so that DuckDB holds the keys that come: it would hold the table, which it takes for small.
        conditions.append(f"coalesce(({key}) IN ({coming}), false)")
    chosen = " OR ".join(f"({condition})" for condition in conditions) or "false"
    there = _existing(next_table, scan, urls)
    return f"CREATE OR REPLACE TEMP TABLE gone AS SELECT url, pos FROM ({there}) WHERE {chosen}"  # noqa: S608 - made here


def _copy_deletes(scan: TableScan, urls: MappingType[str, str], target: str) -> str:
    """Writes the positions of the rows that go, but for those that have gone before."""
    paths = ", ".join(f"({quoted(urls[file.path])}, {quoted(file.path)})" for file in scan.files) or "(NULL, NULL)"
    query = f"SELECT p.path AS file_path, g.pos FROM gone g JOIN (VALUES {paths}) p(url, path) ON g.url = p.url"  # noqa: S608 - made here
    if scan.deletes:
        listed = ", ".join(quoted(urls[file.path]) for file in scan.deletes)
        query += (
            f" WHERE NOT EXISTS (SELECT 1 FROM read_parquet([{listed}]) d "  # noqa: S608 - likewise
            "WHERE d.file_path = p.path AND d.pos = g.pos)"
        )
    ids = f"{{file_path: {PATH_ID}, pos: {POS_ID}}}"
    return f"COPY ({query} ORDER BY file_path, pos) TO {quoted(target)} ({PARQUET}, FIELD_IDS {ids})"


def _coming_keys(next_table: NextTable, mapping: Mapping, rows: str) -> str | None:
    """A query for the keys of all rows that replace others, whether they stay or not."""
    replacing = [number for number, step in enumerate(mapping.steps) if step.delete is None and not step.insert]
    if not replacing:
        return None
    key = ", ".join(f"coalesce(c{next_table.columns.index(name)}, '')" for name in next_table.primary_key)
    return f"SELECT {key} FROM ({rows}) WHERE step IN ({', '.join(map(str, replacing))})"  # noqa: S608 - made here


def _existing(next_table: NextTable, scan: TableScan, urls: MappingType[str, str]) -> str:
    """A query for all rows that are there, gone ones included, as `url`, `pos` and the columns as text, `c0`, ..."""
    if not scan.files:
        nothing = ", ".join(f"NULL::VARCHAR AS c{number}" for number in range(len(next_table.columns)))
        return f"SELECT NULL::VARCHAR AS url, NULL::BIGINT AS pos, {nothing} WHERE false"
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
    return (
        f"SELECT filename AS url, file_row_number AS pos, *{absent} "  # noqa: S608 - made here
        f"FROM read_parquet([{listed}], schema = MAP {{{', '.join(fields)}}}, file_row_number = true, filename = true)"
    )


def _value(source: str, name: str, kind: IcebergType) -> str:
    """A value of text as one of the column's type; an empty one is missing, but in a column of text."""
    if isinstance(kind, StringType):
        return f"coalesce({source}, '')"
    refusal = quoted(f"{MISFIT}the column `{name}` is {kind}, and can't hold `")
    cast = _cast(source, name, kind)
    return f"CASE WHEN {source} IS NOT NULL THEN coalesce({cast}, error({refusal} || {source}[1:80] || '`')) END"


def _cast(source: str, name: str, kind: IcebergType) -> str:
    """A text as a value, NULL where it is none: no stricter than the check of types in stage-out, and no laxer."""
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
    """A time with seconds and without a space before its offset, as DuckDB wants it."""
    with_seconds = f"regexp_replace({source}, '^(.{{16}}) ?([-+Z].*)$', '\\1:00\\2')"
    return f"regexp_replace({with_seconds}, ' ([-+Z])', '\\1')"


def _sql_type(kind: IcebergType, name: str) -> str:
    if isinstance(kind, DecimalType):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    for known, said in _SQL_TYPES.items():
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


def _explained(table: str, error: Exception, most: int | None = None) -> ComponentRunError:
    if most is not None and "max_temp_directory_size" in str(error):
        return too_large(table, "needs more beside its rows", most)
    if is_disk_full(error):
        return scratch_is_full(table)
    if refused := str(error).partition(MISFIT)[2]:
        return UserError(f"`{table}`: {refused}", Reason.OUTPUT_INVALID)
    if isinstance(error, duckdb.OutOfMemoryException):
        return PlatformError(
            f"`{table}` can't be loaded: the loader has too little memory for it. Give the loader more memory",
            Reason.PUBLISH_FAILED,
        )
    # Without the message of DuckDB, which names signed URLs.
    if isinstance(error, duckdb.IOException):
        return TransientError(
            f"`{table}` can't be loaded: its files could not be read ({type(error).__name__}). Check the object store",
            Reason.STORAGE_UNAVAILABLE,
        )
    first = without_signatures(str(error).strip().partition("\n")[0])[:300] or "no message"
    return PlatformError(f"`{table}` can't be loaded: {type(error).__name__}: {first}", Reason.PUBLISH_FAILED)
