"""Dropping a table so that it can come back, and bringing an earlier version of a table back (decision 0061).

Both are snapshots like those of loads: they conflict with whatever changes the table at the same time and are tried
again, and the history stays one line.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyiceberg.table import Table

from componentrun.errors import Reason, UserError
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import CommitUnknownError, ConflictError
from componentrun.loader.catalog.datafiles import store_file
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.catalog.snapshots import NewSnapshot, change_of
from componentrun.loader.catalog.state import check_is_not_dropped, read_state
from componentrun.loader.reading.delivering import write_rows
from componentrun.loader.reading.listing import no_such_table
from componentrun.loader.reading.scanning import scan_of
from componentrun.loader.reading.versions import versions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.reading.versions import Version
    from componentrun.storage.store.keys import TableId

__all__ = ["drop_table", "restore_table"]

_MOST_TRIES: Final = 30
_PAUSE: Final = 0.1
_SHOWN: Final = 10


def drop_table(catalog: Catalog, table: TableId, *, who: str) -> int | None:
    """Drop a table: readers find none any more. Its versions stay until they expire, so it can be restored.

    Args:
        catalog: where it is.
        table: its id.
        who: the person who asks for it.

    Returns:
        The number of the version that was dropped; None: there is no such table.

    Raises:
        ComponentRunError: the catalog or the store refused or is away.
    """

    def drop(found: Table, run: str) -> NewSnapshot | None:
        if not read_state(found.metadata, f"`{table}`").is_loaded:
            return None
        summary = {properties.RUN: run, properties.CHANGE: properties.DROP, properties.WHO: who}
        return NewSnapshot(summary, replaces=True, properties={properties.STATE: properties.DROPPED})

    before = _change(catalog, table, drop)
    if before is None:
        return None
    return next((version.number for version in versions_of(before.metadata)), 0)


def restore_table(
    catalog: Catalog, table: TableId, number: int, *, who: str, clock: Callable[[], float] = time.time
) -> Table:
    """Make an earlier version of a table the newest one: its rows, its columns and its primary key.

    To readers who ask what changed, all its rows are new, as those of a full load.

    Args:
        catalog: where it is.
        table: its id; it may have been dropped.
        number: of the version.
        who: the person who asks for it.
        clock: seconds since 1970.

    Returns:
        The table as it is now.

    Raises:
        UserError: (InputNotFound) there never was such a table; (InvalidSpec) there is no such version, or it can't be
            restored.
        ComponentRunError: the catalog or the store refused or is away.
    """

    def restore(found: Table, run: str) -> NewSnapshot | None:
        state = read_state(found.metadata, f"`{table}`")
        wanted = _need_version(found, table, number, is_there=state.is_loaded)
        then = _as_of(found, table, wanted)
        timestamp = max(int(clock() * 1_000_000), state.timestamp + 1)
        columns = [column for column in then.metadata.schema().column_names if column != properties.TIMESTAMP_COLUMN]
        key = [name for name in _key_of(found, wanted, state.primary_key) if name in columns]
        with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
            written = write_rows(catalog.settings, scan_of(then, table), timestamp, Path(folder, "data.parquet"))
            added = [store_file(found, written)] if written is not None else []
        schema = then.metadata.schema()
        return NewSnapshot(
            {
                properties.RUN: run,
                properties.CHANGE: properties.RESTORE,
                properties.RESTORED: str(number),
                properties.WHO: who,
                properties.PRIMARY_KEY: json.dumps(key),
            },
            added=added,
            replaces=True,
            schema=schema if schema.schema_id != found.metadata.current_schema_id else None,
            properties={
                properties.PRIMARY_KEY: json.dumps(key),
                properties.TIMESTAMP: str(timestamp),
                properties.STATE: properties.LOADED,
            },
        )

    if _change(catalog, table, restore) is None:
        raise no_such_table(catalog, str(table))
    after = catalog.find(to_iceberg(catalog.prefix, table))
    if after is None:
        raise no_such_table(catalog, str(table))
    return after


def _change(catalog: Catalog, table: TableId, decide: Callable[[Table, str], NewSnapshot | None]) -> Table | None:
    """Commit what `decide` makes of a table, once; the table as it was before, None if there was nothing to commit."""
    name = to_iceberg(catalog.prefix, table)
    run = f"by-hand-{uuid.uuid4()}"
    before: Table | None = None
    unknown: CommitUnknownError | None = None
    for attempt in range(_MOST_TRIES):
        found = catalog.find(name)
        if found is None or found.properties.get(properties.STATE) == properties.NEW:
            return None
        if before is not None and any(version.run == run for version in versions_of(found.metadata)):
            return before  # the commit of which nobody knew whether it was applied
        check_is_not_dropped(found.properties, f"`{table}`", time.time())
        new = decide(found, run)
        if new is None:
            return None
        change, _ = change_of(found, name, new)
        before = found
        try:
            catalog.commit([change])
        except ConflictError:
            time.sleep(_PAUSE * attempt)
        except CommitUnknownError as error:
            unknown = error
            time.sleep(_PAUSE * attempt)
        else:
            return before
    raise unknown or ConflictError(
        f"`{table}` was not changed: others change it all the time. Try again", Reason.PUBLISH_FAILED
    )


def _need_version(found: Table, table: TableId, number: int, *, is_there: bool) -> Version:
    versions = list(versions_of(found.metadata))
    wanted = next((version for version in versions if version.number == number), None)
    if wanted is None:
        others = [version.number for version in versions if not version.is_drop][:_SHOWN]
        there = f"these are kept: {', '.join(map(str, others))}" if others else "no version is kept"
        raise _refused(f"`{table}` has no version {number} that can be restored; {there}")
    if wanted.is_drop:
        raise _refused(f"version {number} of `{table}` is its deletion, without rows; restore the version before it")
    if wanted is versions[0] and is_there:
        raise _refused(f"version {number} is the current version of `{table}`; nothing was changed")
    return wanted


def _as_of(found: Table, table: TableId, wanted: Version) -> Table:
    """The table with an earlier snapshot as the current one."""
    base = found.metadata
    snapshot = base.snapshot_by_id(wanted.snapshot)
    schema = next((one for one in base.schemas if snapshot is not None and one.schema_id == snapshot.schema_id), None)
    if schema is None:
        raise _refused(
            f"version {wanted.number} of `{table}` does not say which columns it had, so it can't be restored"
        )
    metadata = base.model_copy(update={"current_snapshot_id": wanted.snapshot, "current_schema_id": schema.schema_id})
    return Table(found.name(), metadata, found.metadata_location, found.io, found.catalog)


def _key_of(found: Table, wanted: Version, current: Sequence[str]) -> Sequence[str]:
    """The primary key as of a version: that of the last snapshot up to it that says one."""
    until = (version for version in versions_of(found.metadata) if version.number <= wanted.number)
    return next((version.primary_key for version in until if version.primary_key is not None), current)


def _refused(message: str) -> UserError:
    return UserError(message, Reason.INVALID_SPEC)
