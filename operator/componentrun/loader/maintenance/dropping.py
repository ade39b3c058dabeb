"""Taking tables out of the catalog that are none to readers: made for a load that never came, or dropped long ago.

A catalog drops a table by its name, whatever has become of it meanwhile. So it is marked first, by a commit that holds
only if nobody has changed the table, and that makes every load conflict that has looked at it before. A load that finds
a young mark waits (`state.check_is_not_dropped`), and the table is dropped only while the mark is younger. So a drop
and a load never meet.
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
"""No load takes as long."""
_DROP_WITHIN: Final = 30.0
"""Seconds. The request itself ends within a minute, and loads wait for longer than both."""
_SPARED: Final = timedelta(minutes=10)
"""Files that are younger are left, as they may be those of a new table of the same name: clocks differ."""


def is_unused(table: Table, history: timedelta, now: float) -> bool:
    """Whether a table is to be dropped.

    Args:
        table: as it is now.
        history: how long a table that was dropped can be brought back.
        now: seconds since 1970.
    """
    ages = {properties.NEW: NEW_TABLE_AGE, properties.DROPPED: max(history, LEAST_HISTORY)}
    age = ages.get(table.properties.get(properties.STATE, ""))
    return age is not None and now - table.metadata.last_updated_ms / 1000 > age.total_seconds()


def drop_unused(
    catalog: Catalog, name: IcebergName, history: timedelta, clock: Callable[[], float] = time.time
) -> bool:
    """Drop a table that `is_unused`, with its files; whether it was dropped.

    Raises:
        ComponentRunError: a part of the platform refused or is away.
    """
    table = catalog.find(name)
    marked_at = clock()
    if table is None or not is_unused(table, history, marked_at):
        return False
    said = {properties.DROPPING: str(int(marked_at * 1000))}
    change, snapshot = change_of(table, name, NewSnapshot({properties.MAINTENANCE: properties.DROP}, properties=said))
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
    """Delete what is in the table's folders from before a time: a new table may have the same ones."""
    objects, location = TableObjects(catalog.settings), table.location().rstrip("/")
    for folder in (f"{location}/data/", f"{location}/metadata/"):
        for page in objects.list_below(folder):
            objects.delete([item.location for item in page if item.changed < before])
