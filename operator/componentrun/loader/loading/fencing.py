"""Abandon an attempt by a fence: a snapshot without rows, which makes a commit that is still in progress stale."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, TimestamptzType

from componentrun.errors import Reason
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import ConflictError
from componentrun.loader.catalog.marks import attempt_in, is_fenced
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.catalog.snapshots import NewSnapshot, can_be_written, change_of
from componentrun.loader.catalog.state import check_is_not_dropped
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.wire.loader import FenceRequest

__all__ = ["NEW_TABLE", "fence"]

NEW_TABLE: Final = {
    properties.STATE: properties.NEW,
    "format-version": "2",
    # Each commit rewrites the list of earlier metadata files, and nothing reads these files.
    "write.metadata.previous-versions-max": "10",
    "write.metadata.delete-after-commit.enabled": "true",
}
"""Properties of a table that is created before its first load."""
_MOST_TRIES: Final = 30


def fence(catalog: Catalog, request: FenceRequest) -> bool:
    """Ensure that an attempt is never published.

    If all tables are committed at once, a fence in one table would be enough. Every table gets one nevertheless,
    because the first table may be dropped.

    Returns:
        Whether the run is already published. In that case the attempt can't be abandoned.

    Raises:
        ComponentRunError: the outcome is not certain; call again.
    """
    for table in request.tables:
        name = to_iceberg(catalog.prefix, TableId.parse(table))
        for _ in range(_MOST_TRIES):
            try:
                loaded = catalog.find(name) or catalog.create(name, _empty_schema(), NEW_TABLE)
            except ConflictError:
                continue
            if attempt_in(loaded, request.run) is not None:
                return True
            if is_fenced(loaded, request.run, request.attempt) or not can_be_written(loaded):
                # No load can change this table, and a load of several tables fails as a whole.
                break
            check_is_not_dropped(loaded.properties, f"`{table}`", time.time())
            summary = {properties.FENCED_RUN: request.run, properties.FENCED_ATTEMPT: str(request.attempt)}
            change, _ = change_of(loaded, name, NewSnapshot(summary), thins_history=catalog.thins_history)
            try:
                catalog.commit([change])
            except ConflictError:
                continue
            break
        else:
            raise ConflictError(f"`{table}` is changed by others all the time", Reason.PUBLISH_FAILED)
    return False


def _empty_schema() -> Schema:
    return Schema(NestedField(1, properties.TIMESTAMP_COLUMN, TimestamptzType(), required=False))
