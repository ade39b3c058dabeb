"""Drop a table so that it can be restored, and restore an earlier version of a table (decision 0061).

Both write a snapshot, as loads do: they conflict with concurrent changes of the table and are retried, and the history
stays linear.
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
from componentrun.loader.catalog.marks import attempt_in
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
    """Drop a table, so that readers no longer find it. It can be restored until its versions expire.

    Args:
        catalog: the catalog.
        table: id of the table.
        who: the person who requested it.

    Returns:
        The number of the version that was dropped; None: the table does not exist.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """

    def drop(loaded: Table, run: str) -> NewSnapshot | None:
        if not read_state(loaded.metadata, f"`{table}`").is_loaded:
            return None
        summary = {properties.RUN: run, properties.CHANGE: properties.DROP, properties.WHO: who}
        return NewSnapshot(summary, replaces=True, properties={properties.STATE: properties.DROPPED})

    previous = _change(catalog, table, drop)
    if previous is None:
        return None
    return next((version.number for version in versions_of(previous.metadata)), 0)


def restore_table(
    catalog: Catalog, table: TableId, number: int, *, who: str, clock: Callable[[], float] = time.time
) -> Table:
    """Make an earlier version of a table the newest one: its rows, its columns and its primary key.

    Incremental readers see all its rows as new, as after a full load.

    Args:
        catalog: the catalog.
        table: id of the table, which may have been dropped.
        number: number of the version.
        who: the person who requested it.
        clock: returns seconds since 1970.

    Returns:
        The table after the restore.

    Raises:
        UserError: (InputNotFound) the table was never loaded; (InvalidSpec) the version does not exist or can't be
            restored.
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """

    def restore(loaded: Table, run: str) -> NewSnapshot | None:
        state = read_state(loaded.metadata, f"`{table}`")
        target = _need_version(loaded, table, number, is_there=state.is_loaded)
        old = _as_of(loaded, table, target)
        timestamp = max(int(clock() * 1_000_000), state.timestamp + 1)
        columns = [column for column in old.metadata.schema().column_names if column != properties.TIMESTAMP_COLUMN]
        key = [name for name in _key_of(loaded, target, state.primary_key) if name in columns]
        with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
            data = write_rows(catalog.settings, scan_of(old, table), timestamp, Path(folder, "data.parquet"))
            files = [store_file(loaded, data)] if data is not None else []
        schema = old.metadata.schema()
        return NewSnapshot(
            {
                properties.RUN: run,
                properties.CHANGE: properties.RESTORE,
                properties.RESTORED: str(number),
                properties.WHO: who,
                properties.PRIMARY_KEY: json.dumps(key),
            },
            added=files,
            replaces=True,
            schema=schema if schema.schema_id != loaded.metadata.current_schema_id else None,
            properties={
                properties.PRIMARY_KEY: json.dumps(key),
                properties.TIMESTAMP: str(timestamp),
                properties.STATE: properties.LOADED,
            },
        )

    if _change(catalog, table, restore) is None:
        raise no_such_table(catalog, str(table))
    restored = catalog.find(to_iceberg(catalog.prefix, table))
    if restored is None:
        raise no_such_table(catalog, str(table))
    return restored


def _change(catalog: Catalog, table: TableId, decide: Callable[[Table, str], NewSnapshot | None]) -> Table | None:
    """Commit the snapshot that `decide` returns for a table, exactly once.

    Returns:
        The table before the commit; None: there was nothing to commit.
    """
    name = to_iceberg(catalog.prefix, table)
    run = f"by-hand-{uuid.uuid4()}"
    previous: Table | None = None
    unknown: CommitUnknownError | None = None
    for attempt in range(_MOST_TRIES):
        loaded = catalog.find(name)
        if loaded is None or loaded.properties.get(properties.STATE) == properties.NEW:
            return None
        if previous is not None and attempt_in(loaded, run) is not None:
            return previous  # the commit with the unknown outcome was applied
        check_is_not_dropped(loaded.properties, f"`{table}`", time.time())
        new = decide(loaded, run)
        if new is None:
            return None
        # Keep all versions, so that a person who is looking for the right one still finds those just listed.
        change, _ = change_of(loaded, name, new, thins_history=False)
        previous = loaded
        try:
            catalog.commit([change])
        except ConflictError:
            time.sleep(_PAUSE * attempt)
        except CommitUnknownError as error:
            unknown = error
            time.sleep(_PAUSE * attempt)
        else:
            return previous
    raise unknown or ConflictError(
        f"`{table}` was not changed: others change it all the time", Reason.PUBLISH_FAILED, advice="Try again."
    )


def _need_version(loaded: Table, table: TableId, number: int, *, is_there: bool) -> Version:
    versions = list(versions_of(loaded.metadata))
    target = next((version for version in versions if version.number == number), None)
    if target is None:
        others = [version.number for version in versions if not version.is_drop][:_SHOWN]
        hint = f"these are kept: {', '.join(map(str, others))}" if others else "no version is kept"
        raise _refused(f"`{table}` has no version {number} that can be restored; {hint}")
    if target.is_drop:
        raise _refused(f"version {number} of `{table}` is its deletion, without rows; restore the version before it")
    if target is versions[0] and is_there:
        raise _refused(f"version {number} is the current version of `{table}`; nothing was changed")
    return target


def _as_of(loaded: Table, table: TableId, target: Version) -> Table:
    """The table with an earlier snapshot as its current one."""
    base = loaded.metadata
    snapshot = base.snapshot_by_id(target.snapshot)
    schema = next(
        (item for item in base.schemas if snapshot is not None and item.schema_id == snapshot.schema_id), None
    )
    if schema is None:
        raise _refused(
            f"version {target.number} of `{table}` does not say which columns it had, so it can't be restored"
        )
    metadata = base.model_copy(update={"current_snapshot_id": target.snapshot, "current_schema_id": schema.schema_id})
    return Table(loaded.name(), metadata, loaded.metadata_location, loaded.io, loaded.catalog)


def _key_of(loaded: Table, target: Version, current: Sequence[str]) -> Sequence[str]:
    """The primary key as of a version: that of the latest version up to it that records one."""
    older = (version for version in versions_of(loaded.metadata) if version.number <= target.number)
    return next((version.primary_key for version in older if version.primary_key is not None), current)


def _refused(message: str) -> UserError:
    return UserError(message, Reason.INVALID_SPEC)
