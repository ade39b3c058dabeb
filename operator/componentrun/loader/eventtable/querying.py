"""SQL queries over the table of events, by DuckDB in this process, which gets no keys and can read nothing else."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.errors import Reason, UserError
from componentrun.loader.catalog.names import events_table
from componentrun.loader.eventtable.files import FIRST_DAY, LAST_DAY, day_of, files_of, parquet_table
from componentrun.loader.eventtable.table import COLUMNS, need_day_partitions, origin_of, read_mark
from componentrun.loader.reading.allowed import refused, table_names
from componentrun.loader.reading.duck import connected, interruptibly, prepare
from componentrun.loader.reading.querying import answer_of, lock
from componentrun.loader.reading.referenced import parsed_query
from componentrun.sql.scan import scan_of
from componentrun.sql.tables import identifier, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import duckdb

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.reading.querying import Answer
    from componentrun.wire.parquet import ParquetTable

__all__ = ["VIEW", "EventAnswer", "open_event_query"]

VIEW: Final = "events"
"""Name of the table in queries."""
_DELETED: Final = "componentrun_deleted"


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """A query over events that was parsed and bound, but not executed yet."""

    answer: Answer
    until: datetime | None
    """Events of runs that ended before this time are in the table; None: nothing was appended yet."""


@contextmanager
def open_event_query(
    catalog: Catalog, query: str, since: datetime | None = None, until: datetime | None = None
) -> Iterator[EventAnswer]:
    """Prepare a query over the table, which it names `events`.

    Args:
        catalog: catalog of the Storage.
        query: one statement that only reads.
        since: only events at this time or later. Files of earlier days are not read.
        until: only events before this time.

    Raises:
        UserError: (InvalidSpec) the query is invalid; (InputNotFound) the table does not exist.
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    _check_tables(query)
    table = catalog.find(events_table(catalog.prefix))
    if table is None:
        raise UserError(
            f"there is no table of events in {catalog.settings.title} yet",
            Reason.INPUT_NOT_FOUND,
            advice="Maintenance creates it, and adds the events of each day after its end. Until then, use "
            "`componentrun events --export FILE`.",
        )
    need_day_partitions(table)
    first = FIRST_DAY if since is None else day_of(since)
    last = LAST_DAY if until is None else day_of(until)
    stored = parquet_table(catalog, table, files_of(catalog, table, range(first, last + 1)))
    mark = read_mark(table, origin_of(catalog.settings))
    with (
        tempfile.TemporaryDirectory(prefix="componentrun-") as folder,
        connected(folder, catalog.settings) as connection,
    ):
        interruptibly(connection, lambda: _make_view(connection, stored, since, until))
        lock(connection, {VIEW: stored}, folder)
        yield EventAnswer(answer_of(connection, query, folder), mark.until if mark is not None else None)


def _check_tables(query: str) -> None:
    """Refuse a query of anything but the view.

    Raises:
        UserError: (InvalidSpec) the message names what it reads.
    """
    for parts in table_names(parsed_query(query)):
        if [part.lower() for part in parts] != [VIEW]:
            raise refused(f"`{'.'.join(parts)}` does not exist here; the only table is `{VIEW}`")


def _make_view(
    connection: duckdb.DuckDBPyConnection, stored: ParquetTable, since: datetime | None, until: datetime | None
) -> None:
    prepare(connection, VIEW, stored, _DELETED)
    rows = scan_of(stored, COLUMNS, _DELETED, as_text=False)
    chosen = ", ".join(f"c{place} AS {identifier(name)}" for place, name in enumerate(COLUMNS))
    limits = [f"time >= {quoted(since.isoformat())}::TIMESTAMPTZ"] if since is not None else []
    limits += [f"time < {quoted(until.isoformat())}::TIMESTAMPTZ"] if until is not None else []
    where = f" WHERE {' AND '.join(limits)}" if limits else ""
    connection.execute(f"CREATE VIEW {VIEW} AS SELECT * FROM (SELECT {chosen} FROM ({rows})){where}")  # noqa: S608 - made here
