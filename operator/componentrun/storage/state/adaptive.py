"""New rows for a configuration (`changedSince: adaptive`): those loaded since its last successful run read the table.

    1. start     before an attempt is planned, the last loads of its tables are recorded (`seen.json`), once: an
    operator that starts the attempt again, after a crash or concurrently, finds the record.
    2. plan      the tables are looked up after that, so the delivered state is the recorded one or a later one.
    3. publish   when the run's tables are published, the record becomes part of the configuration's state.

Rows are therefore never lost; rows that are loaded between 1 and 2 of an attempt that was started twice are delivered
twice. The `_timestamp` of rows is a position in the order of all loads of a table: the loader assigns each load a later
one than the load before.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from pydantic import Field

from componentrun.storage.store.document import StorageModel, parse_document
from componentrun.storage.store.errors import ExistsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.storage.store.connection import Store
    from componentrun.wire.loader import TableScan

__all__ = ["Seen", "read_seen", "seen_of", "timestamp_seen", "write_down"]

_FORMAT: Final = 1


class Seen(StorageModel):
    """The position in a table."""

    created: datetime
    """Creation time of the table: a table that was dropped and created again is a different one."""
    uuid: str
    timestamp: int
    """The largest `_timestamp` of its loads, in microseconds since 1970."""

    def is_later(self, other: Seen) -> bool:
        """Whether the table has changed since the other position."""
        if (self.created, self.uuid) != (other.created, other.uuid):
            return False
        return self.timestamp > other.timestamp


class _Snapshot(StorageModel):
    """Positions of an attempt in its tables, by table id."""

    format: int = _FORMAT
    tables: dict[str, Seen] = Field(default_factory=dict)


def seen_of(table: TableScan) -> Seen:
    """The current position in the table."""
    return Seen(created=datetime.fromisoformat(table.created), uuid=table.uuid, timestamp=table.timestamp)


def timestamp_seen(scan: TableScan, mark: Seen) -> int | None:
    """Return the `_timestamp` of the last load that was read; None if the table was created again or reset."""
    if mark.uuid != scan.uuid or mark.timestamp > scan.timestamp:
        return None
    return mark.timestamp


async def write_down(store: Store, run: str, attempt: int, tables: Mapping[str, TableScan]) -> bool:
    """Record the positions of an attempt before it reads its tables.

    Returns:
        Whether this call created the record. If another one did before, look up the tables again before they are read.
    """
    snapshot = _Snapshot(tables={name: seen_of(table) for name, table in tables.items()})
    try:
        await store.create(store.layout.seen(run, attempt), snapshot.to_bytes())
    except ExistsError:
        return False
    return True


async def read_seen(store: Store, run: str, attempt: int) -> dict[str, Seen]:
    """Return the positions of an attempt, by table id; empty if none were recorded."""
    key = store.layout.seen(run, attempt)
    document = await store.find(key)
    if document is None:
        return {}
    return parse_document(_Snapshot, document.data, store.settings.where(key), _FORMAT).tables
