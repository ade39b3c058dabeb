"""Which events are in the table: for each run the largest number, since a run's events are appended in order."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.loader.catalog.names import events_table
from componentrun.loader.eventtable.files import day_of, files_of, parquet_table
from componentrun.loader.reading.duck import connected, interruptibly, prepare
from componentrun.sql.scan import scan_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.storage.events.index import EndedRun

__all__ = ["last_numbers"]

_COLUMNS: Final = ("run", "seq")
_ROUNDING: Final = timedelta(seconds=1)
"""More than the times in the index are rounded by."""


def last_numbers(catalog: Catalog, table: Table, runs: Sequence[EndedRun], scratch: str) -> dict[str, int]:
    """The number of the last event of each run in the current snapshot. Runs that are not in the table are left out.

    Only the days in which the runs had events are read, and of these two columns.

    Args:
        catalog: catalog of the Storage.
        table: the table.
        runs: the runs.
        scratch: folder for temporary files.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    first, last = min(run.begin for run in runs), max(run.end for run in runs)
    files = files_of(catalog, table, range(day_of(first - _ROUNDING), day_of(last + _ROUNDING) + 1))
    if not files.data:
        return {}
    stored, name = parquet_table(catalog, table, files, _COLUMNS), str(events_table(catalog.prefix))
    query = (
        f"SELECT c0, max(c1) FROM ({scan_of(stored, _COLUMNS, 'gone', as_text=False)}) "  # noqa: S608 - made here
        "WHERE c0 IN (SELECT unnest($1)) GROUP BY c0"
    )
    uids = [run.run for run in runs]

    def ask(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
        prepare(connection, name, stored, "gone")
        return connection.execute(query, [uids]).fetchall()

    with (
        tempfile.TemporaryDirectory(prefix="events-", dir=scratch) as folder,
        connected(folder, catalog.settings) as connection,
    ):
        return dict(interruptibly(connection, lambda: ask(connection)))
