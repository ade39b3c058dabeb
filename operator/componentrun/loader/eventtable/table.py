"""The table itself: its columns and partitions, and the marks of the Storages that append to it.

partition     day of `time`, in UTC
properties    `created`: when the table was created. `events.<digest>`: the mark of a Storage's bucket and prefix.
              `events-retention.<digest>`: how long its events are kept (`retentions`)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import IcebergType, IntegerType, LongType, NestedField, StringType, TimestamptzType

from componentrun.errors import PlatformError, Reason
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import ConflictError
from componentrun.loader.catalog.names import events_table

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.storage.store.settings import StoreSettings

__all__ = [
    "COLUMNS",
    "Mark",
    "digest_of",
    "mark_property",
    "need_day_partitions",
    "open_events",
    "origin_of",
    "read_mark",
    "write_mark",
]

_DAY: Final = "time_day"
"""Name of the partition."""
_TIME: Final = "time"
_FIRST_PARTITION_ID: Final = 1000
COLUMNS: Final[dict[str, IcebergType]] = {
    _TIME: TimestamptzType(),
    "run": StringType(),
    "seq": LongType(),
    "namespace": StringType(),
    "run_name": StringType(),
    "component": StringType(),
    "configuration": StringType(),
    "attempt": IntegerType(),
    "type": StringType(),
    "source": StringType(),
    "message": StringType(),
    "params": StringType(),
    "results": StringType(),
    "storage": StringType(),
}
"""Columns and their types. `params` and `results` contain JSON. docs/events.md describes them."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to when the events of one Storage are in the table."""

    until: datetime
    """All runs that ended before it are in the table, unless their events arrived late."""
    at: datetime
    """When the index of events was last read from its beginning. Entries that are older have been examined."""


def origin_of(settings: StoreSettings) -> str:
    """The bucket and prefix of a Storage: the value of the column `storage`."""
    return "/".join(filter(None, (settings.bucket, settings.prefix)))


def open_events(catalog: Catalog) -> Table:
    """The table, created if it does not exist.

    Raises:
        PlatformError: (PublishFailed) the existing table has other partitions.
        ComponentRunError: the catalog refused a request or does not respond.
    """
    name = events_table(catalog.prefix)
    found = catalog.find(name)
    if found is None:
        try:
            found = catalog.create(name, _schema(), _new_properties(), _partitions())
        except ConflictError:  # another process has created it
            found = catalog.find(name)
    if found is None:
        raise ConflictError(f"the table `{name}` was dropped meanwhile", Reason.PUBLISH_FAILED)
    need_day_partitions(found)
    return found


def need_day_partitions(table: Table) -> None:
    """Refuse a table that is not partitioned by the day of `time` alone.

    Raises:
        PlatformError: (PublishFailed) it has other partitions.
    """
    fields = table.spec().fields
    columns = {field.name: field.field_id for field in table.schema().fields}
    is_ours = len(fields) == 1 and isinstance(fields[0].transform, DayTransform)
    if not is_ours or fields[0].source_id != columns.get(_TIME) or not set(COLUMNS) <= set(columns):
        raise PlatformError(
            f"the table `{'.'.join(table.name())}` does not have the columns and partitions of the table of events",
            Reason.PUBLISH_FAILED,
            advice="Rename or drop this table in the catalog. Maintenance then creates a new one.",
        )


def digest_of(origin: str) -> str:
    """The end of the names of a Storage's properties, from its bucket and prefix."""
    return hashlib.sha256(origin.encode()).hexdigest()[:16]


def mark_property(origin: str) -> str:
    """Name of the property with the mark of a Storage's bucket and prefix."""
    return f"{properties.EVENTS}.{digest_of(origin)}"


def read_mark(table: Table, origin: str) -> Mark | None:
    """The mark of a Storage; None if there is none, or it can't be parsed: then everything is examined again."""
    try:
        times = json.loads(table.properties.get(mark_property(origin), "null"))
        return Mark(datetime.fromisoformat(times["until"]), datetime.fromisoformat(times["at"]))
    except (ValueError, TypeError, KeyError):
        return None


def write_mark(mark: Mark) -> str:
    """The value of the property."""
    return json.dumps({"until": mark.until.isoformat(), "at": mark.at.isoformat()})


def _schema() -> Schema:
    columns = enumerate(COLUMNS.items(), 1)
    return Schema(*(NestedField(place, name, kind, required=False) for place, (name, kind) in columns))


def _partitions() -> PartitionSpec:
    return PartitionSpec(PartitionField(1, _FIRST_PARTITION_ID, DayTransform(), _DAY))


def _new_properties() -> dict[str, str]:
    return {
        properties.CREATED: datetime.now(UTC).isoformat(),
        "format-version": "2",
        # Each commit rewrites the list of earlier metadata files, and nothing reads these files.
        "write.metadata.previous-versions-max": "10",
        "write.metadata.delete-after-commit.enabled": "true",
    }
