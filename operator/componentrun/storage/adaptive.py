"""What is new for a configuration (`changedSince: adaptive`): what came after its last successful run looked.

    1. start     before an attempt is planned, the versions that its tables have are written down (`seen.json`), once:
                 who starts the attempt again, after a crash or beside another operator, finds them there.
    2. plan      the tables are looked up after that, so what is delivered is what was written down or later.
    3. publish   only once the run's tables are published, what was written down goes to the configuration's state.

So nothing is ever lost; rows that came between 1 and 2 in an attempt that was started twice are delivered twice.
A version is a place in the order of all changes of a table, which compare-and-swap makes one after the other: two
commits of the same instant have two of them, and a clock could not tell them apart. Of a table in a catalog, the
`_timestamp` of its rows is such a place: the loader gives each load a later one than the load before.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from pydantic import Field

from componentrun.storage.document import StorageModel, parse_document
from componentrun.storage.failures import ExistsError
from componentrun.wire.loader import TableScan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.storage.connection import Store
    from componentrun.storage.pointer import Pointer

__all__ = ["Seen", "is_new", "read_seen", "seen_of", "timestamp_seen", "write_down"]

_FORMAT: Final = 1


class Seen(StorageModel):
    """A table as it was seen once."""

    created: datetime
    """When it was made: a table that was deleted and made again is another one."""
    version: int = 0
    """0 in a catalog."""
    uuid: str | None = None
    """Of a table in a catalog."""
    timestamp: int | None = None
    """Of a table in a catalog: the largest `_timestamp` of its loads, in microseconds."""

    def is_later(self, other: Seen) -> bool:
        """Whether the same table had changed since it was seen like the other."""
        if (self.created, self.uuid) != (other.created, other.uuid):
            return False
        return (self.version, self.timestamp or 0) > (other.version, other.timestamp or 0)


class _Snapshot(StorageModel):
    """What an attempt has seen of its tables, by their ids."""

    format: int = _FORMAT
    tables: dict[str, Seen] = Field(default_factory=dict)


def seen_of(table: Pointer | TableScan) -> Seen:
    """What somebody who reads the table now has seen of it."""
    if isinstance(table, TableScan):
        created = datetime.fromisoformat(table.created)
        return Seen(created=created, uuid=table.uuid, timestamp=table.timestamp)
    return Seen(created=table.created, version=table.version)


def timestamp_seen(scan: TableScan, seen: Seen) -> int | None:
    """The `_timestamp` of the last load that was seen; None: nothing was, as of `is_new`."""
    if seen.uuid != scan.uuid or seen.timestamp is None or seen.timestamp > scan.timestamp:
        return None
    return seen.timestamp


def is_new(pointer: Pointer, seen: Seen, version: int | None) -> bool:
    """Whether what a version brought came after; everything where the table is another one, or was put back by hand.

    Args:
        pointer: of the table as it is now.
        seen: what was seen of it.
        version: of a segment or an origin.
    """
    if seen.created != pointer.created or seen.version > pointer.version:
        return True
    return version is None or version > seen.version


async def write_down(store: Store, run: str, attempt: int, tables: Mapping[str, Pointer | TableScan]) -> bool:
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
