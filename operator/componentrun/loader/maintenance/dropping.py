"""Drop tables that readers do not see: tables without a load, and tables that were dropped long ago.

A catalog drops a table by its name, even if it has changed meanwhile. Therefore the table is marked first. The mark is
committed only if no other writer has changed the table, and makes every load conflict that read the table before. A
load that finds a recent mark is refused for some minutes (`state.check_is_not_dropped`), and the table is dropped only
while the mark is much more recent. So a drop and a load never overlap.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import CommitUnknownError, ConflictError
from componentrun.loader.catalog.snapshots import NewSnapshot, change_of
from componentrun.loader.maintenance.history import LEAST_HISTORY
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.loader.maintenance.sharing import is_alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.catalog.names import IcebergName

__all__ = ["NEW_TABLE_AGE", "drop_unused", "is_unused"]

NEW_TABLE_AGE: Final = timedelta(days=3)
"""Age from which a table without a load is dropped. No load takes this long."""
_DROP_WITHIN: Final = 30.0
"""Seconds after the mark within which the drop must start. The request ends within a minute, and loads are refused for
longer than both."""
_SPARED: Final = timedelta(minutes=10)
"""Allowance for clock skew. Files younger than this are kept, because a new table of the same name may own them."""


def is_unused(table: Table, history: timedelta, now: float) -> bool:
    """Whether a table must be dropped from the catalog.

    Args:
        table: the current state of the table.
        history: how long a dropped table can be restored.
        now: seconds since 1970.
    """
    ages = {properties.NEW: NEW_TABLE_AGE, properties.DROPPED: max(history, LEAST_HISTORY)}
    age = ages.get(table.properties.get(properties.STATE, ""))
    return age is not None and now - table.metadata.last_updated_ms / 1000 > age.total_seconds()


def drop_unused(
    catalog: Catalog, name: IcebergName, history: timedelta, clock: Callable[[], float] = time.time
) -> bool:
    """Drop a table and its files if it `is_unused`; return whether it was dropped.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    table = catalog.find(name)
    marked_at = clock()
    if table is None or not is_unused(table, history, marked_at):
        return False
    said = {properties.DROPPING: str(int(marked_at * 1000))}
    new = NewSnapshot({properties.MAINTENANCE: properties.DROP}, properties=said)
    change, snapshot = change_of(table, name, new, thins_history=False)
    try:
        catalog.commit([change])
    except (ConflictError, CommitUnknownError):
        return False
    found = catalog.find(name)
    if found is None or found.metadata.current_snapshot_id != snapshot or clock() - marked_at > _DROP_WITHIN:
        return False
    alone = is_alone(found, TableObjects(catalog.settings))
    catalog.drop(name)
    if alone:
        _delete_files(catalog, table, datetime.fromtimestamp(marked_at, UTC) - _SPARED)
    return True


def _delete_files(catalog: Catalog, table: Table, before: datetime) -> None:
    """Delete files in the table's folders that are older than a time. A new table may use the same folders."""
    objects, location = TableObjects(catalog.settings), table.location().rstrip("/")
    for folder in (f"{location}/data/", f"{location}/metadata/"):
        for page in objects.list_below(folder):
            objects.delete([item.location for item in page if item.changed < before])
