"""Write events to Parquet files, one for each day. Holds no keys: everything is local."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError, Reason
from componentrun.loader.eventtable.table import COLUMNS
from componentrun.loader.loading.rows import Written, written_of
from componentrun.sql.parquet import MOST_GROUP_ROWS, parquet_options
from componentrun.sql.query import connect, is_disk_full, run_statements
from componentrun.sql.tables import quoted
from componentrun.storage.events.export import PLACE, rows_query

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

    from componentrun.errors import ComponentRunError

__all__ = ["Origin", "copy_statement", "explained", "write_days"]

_ORDER: Final = "component, configuration, run, seq"
"""Similar lines next to each other compress well, and a run is in few row groups."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where events come from: columns with the same value for all of them."""

    storage: str
    """Bucket and prefix (`table.origin_of`)."""
    namespace: str | None = None
    """Namespace of the runs; None if Storages of several namespaces share the bucket and prefix."""


def write_days(rows: str, schema: Schema, origin: Origin, folder: str) -> list[tuple[int, Written]]:
    """Write the events of a file; return for each day (in days since 1970) a Parquet file.

    Args:
        rows: path of a file of `storage.events.export.row_of` lines.
        schema: schema of the table.
        origin: where the events come from.
        folder: folder for the written files, and for DuckDB's spill files.

    Raises:
        PlatformError: (PublishFailed) there is not enough memory or disk space.
    """
    expressions = {
        "time": PLACE,
        "params": "nullif(params, '{}')",
        "namespace": f"{_literal(origin.namespace)}::VARCHAR",
        "storage": f"{quoted(origin.storage)}::VARCHAR",
    }
    chosen = ", ".join(f"{expressions.get(name, name)} AS {name}" for name in COLUMNS)
    day = f"CAST({PLACE} AS DATE) - DATE '1970-01-01'"
    batch = (
        f"CREATE TEMP TABLE batch AS SELECT {day} AS partition_day, {chosen} FROM {rows_query(rows)} "  # noqa: S608 - made here
        f"ORDER BY partition_day, {_ORDER}"
    )
    with connect(folder) as connection:
        database = contextlib.nullcontext(connection)
        days = "SELECT DISTINCT partition_day FROM batch ORDER BY 1"
        found = run_statements([batch, days], folder, explained, database=database)[-1]
        written = []
        for (number,) in found:
            query = f"SELECT {', '.join(COLUMNS)} FROM batch WHERE partition_day = {number}"  # noqa: S608 - made here
            copy = copy_statement(query, schema, f"{folder}/{number}.parquet")
            answer = run_statements([copy], folder, explained, database=database)[0]
            written.append((int(number), written_of(answer)))
    return [(number, file) for number, file in written if file is not None]


def copy_statement(query: str, schema: Schema, target: str) -> str:
    """A statement that writes the rows of a query, which returns all columns, to a data file."""
    ids = ", ".join(f"{name}: {schema.find_field(name).field_id}" for name in COLUMNS)
    options = parquet_options(MOST_GROUP_ROWS, len(COLUMNS))
    return f"COPY ({query}) TO {quoted(target)} ({options}, RETURN_STATS, FIELD_IDS {{{ids}}})"


def explained(error: Exception) -> ComponentRunError:
    """The error of a failed statement."""
    if is_disk_full(error):
        return PlatformError(
            "the local disk is full while events are written for their table",
            Reason.PUBLISH_FAILED,
            advice="Increase `maintenance.scratchMiB`.",
        )
    first = str(error).strip().partition("\n")[0][:300]
    return PlatformError(
        f"events can't be written for their table: {type(error).__name__}: {first}", Reason.PUBLISH_FAILED
    )


def _literal(text: str | None) -> str:
    return "NULL" if text is None else quoted(text)
