"""The change of the table that adds and removes files. Writes manifests, but does not commit.

The files of a commit that was refused are deleted here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.update import AddSnapshotUpdate, AssertRefSnapshotId, AssertTableUUID

from componentrun.errors import Reason
from componentrun.loader.catalog.catalog import ConflictError, TableChange
from componentrun.loader.catalog.names import IcebergName, events_table
from componentrun.loader.catalog.snapshots import become_current, check_writable, next_timestamp
from componentrun.loader.eventtable.files import files_of
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.loader.maintenance.replacing import ReplacingWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.update import TableRequirement

    from componentrun.loader.catalog.catalog import Catalog

__all__ = ["change_files", "delete_refused"]


def change_files(table: Table, added: Sequence[DataFile], removed: frozenset[str]) -> TableChange:
    """Write the manifests of a snapshot, and return the change, which requires that the table has not changed.

    Args:
        table: the current state of the table.
        added: new data files, with their partitions.
        removed: paths of data files to remove.

    Raises:
        ConflictError: a file to remove is no longer in the table.
        ComponentRunError: the store refused a request or does not respond.
    """
    name, base = IcebergName(*table.name()), table.metadata
    check_writable(table, name, brings_files=False)
    parent = base.current_snapshot()
    writer = ReplacingWriter(table, base.new_snapshot_id())
    before = parent.manifests(table.io) if parent is not None else []
    kept = [writer.without(manifest, removed) for manifest in before] if removed else before
    if len(writer.removed_files) != len(removed):
        raise ConflictError(f"files of the table `{name}` were removed meanwhile", Reason.PUBLISH_FAILED)
    alive = [manifest for manifest in kept if manifest is not None]
    if all(manifest.partition_spec_id == base.default_spec_id for manifest in alive):
        alive = writer.merged(alive)
    parent_id = parent.snapshot_id if parent is not None else None
    snapshot = Snapshot(
        snapshot_id=writer.snapshot_id,
        parent_snapshot_id=parent_id,
        manifest_list=writer.manifest_list([*writer.added(added), *alive], parent_id),
        sequence_number=base.next_sequence_number(),
        timestamp_ms=next_timestamp(base, time.time()),
        summary=_summary(table, parent, added, writer.removed_files),
        schema_id=base.current_schema_id,
    )
    requirements: list[TableRequirement] = [
        AssertTableUUID(uuid=base.table_uuid),
        AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=parent_id),
    ]
    return TableChange(name, requirements, [AddSnapshotUpdate(snapshot=snapshot), become_current(snapshot.snapshot_id)])


def delete_refused(catalog: Catalog, files: Sequence[DataFile]) -> None:
    """Delete the files of a commit that was refused, unless the table has them.

    A proxy may repeat a commit whose response was lost. The second one is refused, because the first one was applied.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond. The files are orphans then.
    """
    table = catalog.find(events_table(catalog.prefix))
    entries = files_of(catalog, table).data if table is not None else ()
    added = {entry.data_file.file_path for entry in entries}
    TableObjects(catalog.settings).delete([file.file_path for file in files if file.file_path not in added])


def _summary(table: Table, parent: Snapshot | None, added: Sequence[DataFile], removed: Sequence[DataFile]) -> Summary:
    collector = SnapshotSummaryCollector()
    for file in added:
        collector.add_file(file, table.schema(), table.spec())
    for file in removed:
        collector.remove_file(file, table.schema(), table.spec())
    operation = Operation.APPEND
    if removed:
        operation = Operation.OVERWRITE if added else Operation.DELETE
    return update_snapshot_summaries(
        Summary(operation, **collector.build()), parent.summary if parent is not None else None
    )
