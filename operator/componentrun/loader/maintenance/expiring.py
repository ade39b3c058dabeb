"""Delete old snapshots, and files that no snapshot reaches.

Snapshots are removed first, in one commit that succeeds only if the table's current snapshot has not changed. Then the
files that only they reached are deleted, according to the state of the table after the commit, and data files before
manifests. So if the process is killed, the table can be read and has lost none of its files. `delete_orphans` later
finds the remaining files.

A file is an orphan if no snapshot reaches it and it is older than any load that may still be in progress. Files that
are older than the table itself are kept: they may belong to a dropped table of the same name.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update import AssertRefSnapshotId, AssertTableUUID, RemoveSnapshotsUpdate, SetPropertiesUpdate

from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import CommitUnknownError, ConflictError, TableChange
from componentrun.loader.catalog.marks import added_marks
from componentrun.loader.maintenance.history import expired_snapshots
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.loader.maintenance.reachable import (
    FileSet,
    files_in,
    manifests_of,
    metadata_files,
    one_form,
    reached_files,
)
from componentrun.loader.maintenance.sharing import is_alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.catalog.names import IcebergName
    from componentrun.loader.maintenance.history import HistoryLimits

__all__ = ["ORPHAN_AGE", "Deleted", "delete_orphans", "expire"]

log = logging.getLogger(__name__)

ORPHAN_AGE: Final = timedelta(days=3)
"""Age from which an unreachable file is an orphan. No load takes this long."""
_GARBAGE: Final = "gc.enabled"
"""Iceberg's property. It is `false` if files of the table may belong to other tables as well."""
_MOST_SNAPSHOTS: Final = 1000
"""Maximum number of snapshots that one commit removes."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted from a table."""

    snapshots: int = 0
    files: int = 0
    bytes: int = 0
    """Size of orphans only; the sizes of snapshots' files are not looked up."""


def expire(
    catalog: Catalog, name: IcebergName, limits: HistoryLimits, scratch: str, clock: Callable[[], float] = time.time
) -> Deleted:
    """Remove old snapshots of a table, and delete the files that only they reached.

    Args:
        catalog: catalog of the Storage.
        name: name of the table in the catalog.
        limits: how much of the history is kept.
        scratch: folder for lists of files.
        clock: returns seconds since 1970.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond; a later round finishes the
            work.
    """
    table = catalog.find(name)
    expired = expired_snapshots(table.metadata, limits, clock())[:_MOST_SNAPSHOTS] if table is not None else []
    if table is None or not expired:
        return Deleted()
    with FileSet(scratch) as files:
        if _may_delete(table):
            _collect(table, frozenset(expired), files)
        if not _remove(catalog, name, table, expired, clock()):
            return Deleted()
        now = catalog.find(name)
        if now is None or any(found.snapshot_id in expired for found in now.metadata.snapshots):
            return Deleted()
        for part in reached_files(now):
            files.discard(part)
        return Deleted(len(expired), _delete(catalog, now, files).files)


def delete_orphans(
    catalog: Catalog, name: IcebergName, scratch: str, clock: Callable[[], float] = time.time
) -> Deleted:
    """Delete orphaned files in a table's folders.

    Args:
        catalog: catalog of the Storage.
        name: name of the table in the catalog.
        scratch: folder for lists of files.
        clock: returns seconds since 1970.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    table = catalog.find(name)
    if table is None or not _may_delete(table):
        return Deleted()
    objects = TableObjects(catalog.settings)
    if not is_alone(table, objects):
        return Deleted()
    newest = datetime.fromtimestamp(clock(), UTC) - ORPHAN_AGE
    oldest = _created(table).replace(microsecond=0)  # stores report whole seconds
    with FileSet(scratch) as files:
        for folder in _folders(table):
            for page in objects.list_below(folder):
                files.add((one_form(item.location), item.size) for item in page if oldest <= item.changed < newest)
        # Read the table again: its earlier state may not reach files that were written before the listing.
        now = catalog.find(name)
        if now is None or now.metadata.table_uuid != table.metadata.table_uuid:
            return Deleted()
        files.discard(metadata_files(now))
        for part in reached_files(now):
            files.discard(part)
        return _delete(catalog, now, files)


def _may_delete(table: Table) -> bool:
    return table.properties.get(_GARBAGE, "true").lower() != "false"


def _collect(table: Table, expired: frozenset[int], files: FileSet) -> None:
    """Add the files that only expired snapshots may reach, data files first."""
    snapshots = table.metadata.snapshots
    gone = [found for found in snapshots if found.snapshot_id in expired]
    kept = {
        manifest.manifest_path
        for manifest in manifests_of((found for found in snapshots if found.snapshot_id not in expired), table.io)
    }
    manifests = []
    for manifest in manifests_of(gone, table.io):
        if manifest.manifest_path not in kept:
            manifests.append(one_form(manifest.manifest_path))
            files.add((location, 0) for location in files_in(manifest, table.io))
    files.add((location, 0) for location in manifests)
    files.add((one_form(found.manifest_list), 0) for found in gone)


def _remove(catalog: Catalog, name: IcebergName, table: Table, expired: list[int], now: float) -> bool:
    """Commit the removal of snapshots; return False if it was certainly not applied.

    If the outcome is unknown, the caller must check the table.
    """
    marks = added_marks((found for found in table.metadata.snapshots if found.snapshot_id in expired), now)
    change = TableChange(
        name,
        [
            AssertTableUUID(uuid=table.metadata.table_uuid),
            AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=table.metadata.current_snapshot_id),
        ],
        [*([SetPropertiesUpdate(updates=marks)] if marks else []), RemoveSnapshotsUpdate(snapshot_ids=expired)],
    )
    try:
        catalog.commit([change])
    except ConflictError as error:
        log.info("snapshots of %s are left for a later round: %s", name, error.message)
        return False
    except CommitUnknownError as error:
        log.warning("%s: %s", name, error.message)
    return True


def _delete(catalog: Catalog, table: Table, files: FileSet) -> Deleted:
    """Delete the files of the set that are in the table's own folders."""
    folders = tuple(one_form(folder) for folder in _folders(table))
    objects = TableObjects(catalog.settings)
    count = size = 0
    for page in files.pages():
        own = [(location, bytes_) for location, bytes_ in page if location.startswith(folders)]
        objects.delete([location for location, _ in own])
        count += len(own)
        size += sum(bytes_ for _, bytes_ in own)
    return Deleted(files=count, bytes=size)


def _folders(table: Table) -> list[str]:
    location = table.location().rstrip("/")
    return [f"{location}/data/", f"{location}/metadata/"]


def _created(table: Table) -> datetime:
    """When the table was created, or shortly after. Older files in its folders do not belong to it."""
    said = table.properties.get(properties.CREATED)
    if said is not None:
        try:
            return datetime.fromisoformat(said).astimezone(UTC)
        except ValueError:
            log.warning("%s: the property %s holds no time: %s", ".".join(table.name()), properties.CREATED, said)
    base = table.metadata
    times = [found.timestamp_ms for found in base.snapshots] + [entry.timestamp_ms for entry in base.metadata_log]
    return datetime.fromtimestamp(min(times, default=base.last_updated_ms) / 1000, UTC)
