"""What is new for a configuration (`changedSince: adaptive`): what came after its last successful run looked.

    1. start     before an attempt is planned, the last loads of its tables are written down (`seen.json`), once:
                 who starts the attempt again, after a crash or beside another operator, finds them there.
    2. plan      the tables are looked up after that, so what is delivered is what was written down or later.
    3. publish   only once the run's tables are published, what was written down goes to the configuration's state.

So nothing is ever lost; rows that came between 1 and 2 in an attempt that was started twice are delivered twice.
The `_timestamp` of rows is a place in the order of all loads of a table: the loader gives each load a later one than
the load before.
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
    """A table as it was seen once."""

    created: datetime
    """When it was made: a table that was deleted and made again is another one."""
    uuid: str
    timestamp: int
    """The largest `_timestamp` of its loads, in microseconds since 1970."""

    def is_later(self, other: Seen) -> bool:
        """Whether the same table had changed since it was seen like the other."""
        if (self.created, self.uuid) != (other.created, other.uuid):
            return False
        return self.timestamp > other.timestamp


class _Snapshot(StorageModel):
    """What an attempt has seen of its tables, by their ids."""

    format: int = _FORMAT
    tables: dict[str, Seen] = Field(default_factory=dict)


def seen_of(table: TableScan) -> Seen:
    """What somebody who reads the table now has seen of it."""
    return Seen(created=datetime.fromisoformat(table.created), uuid=table.uuid, timestamp=table.timestamp)


def timestamp_seen(scan: TableScan, seen: Seen) -> int | None:
    """The `_timestamp` of the last load that was seen; None: another table was, or it was put back by hand."""
    if seen.uuid != scan.uuid or seen.timestamp > scan.timestamp:
        return None
    return seen.timestamp


async def write_down(store: Store, run: str, attempt: int, tables: Mapping[str, TableScan]) -> bool:
    """Say what an attempt is about to see.

    Returns:
        Whether this call said it; else another one did before: then look the tables up again before they are read.
    """
    snapshot = _Snapshot(tables={name: seen_of(table) for name, table in tables.items()})
    try:
        await store.create(store.layout.seen(run, attempt), snapshot.to_bytes())
    except ExistsError:
        return False
    return True


async def read_seen(store: Store, run: str, attempt: int) -> dict[str, Seen]:
    """What an attempt has seen, by table ids; nothing where nobody asked."""
    key = store.layout.seen(run, attempt)
    stored = await store.find(key)
    if stored is None:
        return {}
    return parse_document(_Snapshot, stored.data, store.settings.where(key), _FORMAT).tables
