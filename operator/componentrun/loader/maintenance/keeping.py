"""Properties for maintenance by another engine, whose own commits can't set them.

With each commit, an engine that rewrites a table for hours checks all snapshots since it began. So loads must not
remove snapshots meanwhile. The engine also removes snapshots without writing the marks of their runs.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pyiceberg.table.update import AssertTableUUID, RemovePropertiesUpdate, SetPropertiesUpdate

from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import ConflictError, TableChange
from componentrun.loader.catalog.marks import added_marks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pyiceberg.table import Table
    from pyiceberg.table.update import TableUpdate

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.catalog.names import IcebergName

__all__ = ["commit_update", "history_kept", "leave_marks"]

_MOST_TRIES: Final = 10
_PAUSE: Final = 0.2


@contextmanager
def history_kept(catalog: Catalog, name: IcebergName, table: Table, until: float) -> Iterator[None]:
    """Prevent loads from removing snapshots of a table while the context is active.

    Args:
        catalog: catalog of the Storage.
        name: name of the table in the catalog.
        table: the current state of the table.
        until: when this ends if the process is killed, in seconds since 1970.

    Raises:
        ComponentRunError: the catalog refused a request or does not respond.
    """
    commit_update(catalog, name, table, SetPropertiesUpdate(updates={properties.KEPT_UNTIL: str(int(until * 1000))}))
    try:
        yield
    finally:
        commit_update(catalog, name, table, RemovePropertiesUpdate(removals=[properties.KEPT_UNTIL]))


def leave_marks(catalog: Catalog, name: IcebergName, table: Table, removed: Collection[int], now: float) -> None:
    """Write the marks of snapshots that another engine is about to remove.

    Args:
        catalog: catalog of the Storage.
        name: name of the table in the catalog.
        table: the current state of the table.
        removed: ids of the snapshots.
        now: seconds since 1970.

    Raises:
        ComponentRunError: the catalog refused a request or does not respond.
    """
    marks = added_marks((found for found in table.metadata.snapshots if found.snapshot_id in removed), now)
    if marks:
        commit_update(catalog, name, table, SetPropertiesUpdate(updates=marks))


def commit_update(catalog: Catalog, name: IcebergName, table: Table, update: TableUpdate) -> None:
    """Commit a change of properties.

    It asserts nothing that a load changes, but some catalogs refuse one of two commits at the same time nevertheless.

    Raises:
        ComponentRunError: the catalog refused a request or does not respond.
    """
    change = TableChange(name, [AssertTableUUID(uuid=table.metadata.table_uuid)], [update])
    for attempt in range(1, _MOST_TRIES):
        try:
            catalog.commit([change])
        except ConflictError:
            time.sleep(_PAUSE * attempt)
        else:
            return
    catalog.commit([change])
