"""Merge files with DuckDB: data files without their deleted rows, and position delete files.

All files are local. Values are not changed: each column keeps its type, `_timestamp` is a column like any other, an
empty text stays empty, and rows keep their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError, Reason
from componentrun.loader.loading.rows import PATH_ID, POS_ID, POSITIONS, Written, written_of
from componentrun.sql.parquet import MOST_GROUP_ROWS, parquet_options
from componentrun.sql.query import run_statements
from componentrun.sql.scan import delete_statements, field_id_statement, scan_of, sql_type
from componentrun.sql.tables import identifier, quoted
from componentrun.wire.parquet import ParquetColumn, ParquetFile, ParquetTable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pyiceberg.schema import Schema

    from componentrun.loader.maintenance.choosing import FileFacts

__all__ = ["deleted_rows", "pack", "pack_deletes", "unsupported_column"]

_NAME: Final = "gone"


def unsupported_column(schema: Schema) -> str | None:
    """Why a column can't be rewritten, as the end of a sentence; None if all columns can be rewritten."""
    seen: dict[str, str] = {}
    for field in schema.fields:
        if sql_type(str(field.field_type)) is None:
            return f"the column `{field.name}` is of type `{str(field.field_type)[:100]}`"
        if (other := seen.setdefault(field.name.lower(), field.name)) != field.name:
            return f"the columns `{other}` and `{field.name}` differ only in case"
    return None


def pack(
    schema: Schema, group: Sequence[FileFacts], paths: Sequence[str], deletes: str | None, folder: str
) -> Written | None:
    """Write the rows of some data files to one file.

    Args:
        schema: schema of the table, for which `unsupported_column` returns None.
        group: the data files, in order.
        paths: their local paths.
        deletes: path of a file written by `pack_deletes`; None: no row of the group is deleted.
        folder: folder for the written file, and for DuckDB's spill files.

    Returns:
        The file; None: no row is left.

    Raises:
        UserError: (DiskFull) the folder is full.
        PlatformError: there is not enough memory, a file has no field ids, or DuckDB failed.
    """
    columns = tuple(ParquetColumn(field.name, field.field_id, str(field.field_type)) for field in schema.fields)
    files = tuple(
        ParquetFile(path, file.path, file.size, file.rows, (0,) if file.deleted else ())
        for file, path in zip(group, paths, strict=True)
    )
    gone = (ParquetFile(deletes, deletes, 0),) if deletes is not None else ()
    table = ParquetTable(columns, files, gone)
    chosen = ", ".join(f"c{place} AS {identifier(column.name)}" for place, column in enumerate(columns))
    ids = ", ".join(f"{identifier(column.name)}: {column.id}" for column in columns)
    rows = scan_of(table, [column.name for column in columns], _NAME, as_text=False)
    copy = f"COPY (SELECT {chosen} FROM ({rows})) TO {quoted(f'{folder}/packed.parquet')} "  # noqa: S608 - made here
    copy += f"({parquet_options(MOST_GROUP_ROWS, len(columns))}, RETURN_STATS, FIELD_IDS {{{ids}}})"
    without_ids = field_id_statement(table) or "SELECT 0 WHERE false"
    answers = run_statements([without_ids, *delete_statements(table, _NAME), copy], folder)
    if answers[0]:
        raise PlatformError(
            "a data file holds no field ids, by which columns are found; rewrite the table with Spark",
            Reason.PUBLISH_FAILED,
        )
    return written_of(answers[-1])


def pack_deletes(paths: Sequence[str], left: Collection[str] | None, folder: str) -> Written | None:
    """Write positions of deleted rows to one file, without duplicates and in the order that Iceberg requires.

    Args:
        paths: local paths of position delete files.
        left: paths of the data files whose positions are kept; None: all.
        folder: see `pack`.

    Returns:
        The file; None: no position is left.

    Raises:
        ComponentRunError: see `pack`.
    """
    files = ", ".join(quoted(path) for path in paths)
    target = f"{folder}/{'deletes' if left is None else 'left'}.parquet"
    condition = "true" if left is None else f"file_path IN ({', '.join(quoted(path) for path in left) or 'NULL'})"
    query = (
        "SELECT DISTINCT file_path, pos FROM "  # noqa: S608 - made here
        f"read_parquet([{files}], union_by_name = true) WHERE {condition} ORDER BY file_path, pos"
    )
    ids = f"{{file_path: {PATH_ID}, pos: {POS_ID}}}"
    return written_of(run_statements([f"COPY ({query}) TO {quoted(target)} ({POSITIONS}, FIELD_IDS {ids})"], folder)[0])


def deleted_rows(path: str, folder: str) -> dict[str, int]:
    """Number of deleted rows of each data file, from a file written by `pack_deletes`."""
    query = f"SELECT file_path, count(*) FROM read_parquet({quoted(path)}) GROUP BY 1"  # noqa: S608 - made here
    return {str(name): int(count) for name, count in run_statements([query], folder)[0]}
