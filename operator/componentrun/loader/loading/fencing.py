"""Giving an attempt up: a snapshot without rows, so that a commit on its way finds another state than it rests on.

Also how a table tells which attempts are in it, and which were given up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, TimestamptzType

from componentrun.errors import Reason
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import ConflictError
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.catalog.snapshots import NewSnapshot, can_be_written, change_of
from componentrun.loader.catalog.state import check_is_not_dropped, run_of
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.wire.loader import FenceRequest

__all__ = ["NEW_TABLE", "attempt_in", "fence", "is_fenced"]

NEW_TABLE: Final = {properties.STATE: properties.NEW, "format-version": "2"}
"""Properties of a table that is made for a load which is still to come."""
_MOST_TRIES: Final = 30


def fence(catalog: Catalog, request: FenceRequest) -> bool:
    """Have it that an attempt is never published.

    One table is enough where all are committed at once; every table gets the fence all the same, as the first one may
    be dropped by somebody.

    Returns:
        Whether it already is published; then it can't be given up.

    Raises:
        ComponentRunError: it is not certain yet; call again.
    """
    for table in request.tables:
        name = to_iceberg(catalog.prefix, TableId.parse(table))
        for _ in range(_MOST_TRIES):
            try:
                found = catalog.find(name) or catalog.create(name, _empty_schema(), NEW_TABLE)
            except ConflictError:
                continue
            if attempt_in(found, request.run) is not None:
                return True
            if is_fenced(found, request.run, request.attempt) or not can_be_written(found):
                # No load can change it; those of several tables at once fail with it.
                break
            check_is_not_dropped(found.properties, f"`{table}`", time.time())
            summary = {properties.FENCED_RUN: request.run, properties.FENCED_ATTEMPT: str(request.attempt)}
            change, _ = change_of(found, name, NewSnapshot(summary))
            try:
                catalog.commit([change])
            except ConflictError:
                continue
            break
        else:
            raise ConflictError(f"`{table}` is changed by others all the time", Reason.PUBLISH_FAILED)
    return False


def attempt_in(table: Table, run: str) -> int | None:
    """The attempt of a run that is in a table."""
    for snapshot in reversed(table.metadata.snapshots):
        if (attempt := run_of(snapshot, run)) is not None:
            return attempt
    said = table.properties
    return int(said.get(properties.ATTEMPT) or 0) if said.get(properties.RUN) == run else None


def is_fenced(table: Table, run: str, attempt: int) -> bool:
    """Whether an attempt was given up."""
    return any(
        snapshot.summary is not None
        and snapshot.summary[properties.FENCED_RUN] == run
        and int(snapshot.summary[properties.FENCED_ATTEMPT] or 0) >= attempt
        for snapshot in table.metadata.snapshots
    )


def _empty_schema() -> Schema:
    return Schema(NestedField(1, properties.TIMESTAMP_COLUMN, TimestamptzType(), required=False))
