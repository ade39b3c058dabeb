"""The change that replaces files of a table by others. Writes manifests, but does not commit.

The rows of the table do not change, so the operation of the snapshot is `replace`. New files get given sequence numbers
instead of the next one, so that rows keep their order.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.manifest import ManifestEntry, ManifestEntryStatus, ManifestWriterV2
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
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import ConflictError, TableChange
from componentrun.loader.catalog.snapshots import (
    DeletesWriter,
    ManifestsWriter,
    become_current,
    next_timestamp,
    writer_of,
)
from componentrun.loader.reading.scanning import last_change_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table

    from componentrun.loader.catalog.names import IcebergName

__all__ = ["Placed", "ReplacingWriter", "replace_files"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A new file, and its position in the order of rows."""

    file: DataFile
    sequence: int
    """Data sequence number."""


def replace_files(
    table: Table, name: IcebergName, data: Sequence[Placed], deletes: Sequence[Placed], removed: frozenset[str]
) -> tuple[TableChange, int]:
    """Write the manifests of a snapshot that replaces files; return the change to commit and the snapshot's id.

    Args:
        table: the current state of the table.
        name: name in the catalog.
        data: new data files.
        deletes: new position delete files.
        removed: paths of the files to remove.

    Raises:
        ConflictError: a file to remove is no longer in the table.
        ComponentRunError: the store refused a request or does not respond.
    """
    base = table.metadata
    parent = base.current_snapshot()
    if parent is None:
        raise ConflictError(f"the table `{name}` has no snapshot any more", Reason.PUBLISH_FAILED)
    writer = ReplacingWriter(table, base.new_snapshot_id())
    kept = [writer.without(manifest, removed) for manifest in parent.manifests(table.io)]
    if len(writer.removed_files) != len(removed):
        raise ConflictError(f"files of the table `{name}` were removed meanwhile", Reason.PUBLISH_FAILED)
    added = [*writer.placed(data), *writer.placed_deletes(deletes)]
    manifests = [*added, *writer.merged([manifest for manifest in kept if manifest is not None])]
    snapshot = Snapshot(
        snapshot_id=writer.snapshot_id,
        parent_snapshot_id=parent.snapshot_id,
        manifest_list=writer.manifest_list(manifests, parent.snapshot_id),
        sequence_number=base.next_sequence_number(),
        timestamp_ms=next_timestamp(base, time.time()),
        summary=_summary(table, parent, [placed.file for placed in (*data, *deletes)], writer.removed_files),
        schema_id=base.current_schema_id,
    )
    change = TableChange(
        name,
        [
            AssertTableUUID(uuid=base.table_uuid),
            AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=parent.snapshot_id),
        ],
        [
            AddSnapshotUpdate(snapshot=snapshot),
            become_current(snapshot.snapshot_id),
        ],
    )
    return change, snapshot.snapshot_id


class ReplacingWriter(ManifestsWriter):
    """Writes the manifests of a snapshot that removes some of a table's files."""

    def placed(self, files: Sequence[Placed]) -> list[ManifestFile]:
        """Write a manifest of data files with given sequence numbers."""
        return self._write(ManifestWriterV2, [self._placed(file) for file in files]) if files else []

    def placed_deletes(self, files: Sequence[Placed]) -> list[ManifestFile]:
        """Write a manifest of position delete files with given sequence numbers."""
        return self._write(DeletesWriter, [self._placed(file) for file in files]) if files else []

    def without(self, manifest: ManifestFile, removed: frozenset[str]) -> ManifestFile | None:
        """Write a copy of a manifest that lists some of its files as deleted.

        If the manifest contains none of these files, return it unchanged, or None if it has no files.
        """
        entries = manifest.fetch_manifest_entry(self._table.io, discard_deleted=True)
        gone = [entry for entry in entries if entry.data_file.file_path in removed]
        if not gone:
            return manifest if entries else None
        self.removed_files += [entry.data_file for entry in gone]
        statuses = (
            (
                entry,
                ManifestEntryStatus.DELETED if entry.data_file.file_path in removed else ManifestEntryStatus.EXISTING,
            )
            for entry in entries
        )
        return self._write(writer_of(manifest), [self._entry_of(entry, status) for entry, status in statuses])[0]

    def _placed(self, placed: Placed) -> ManifestEntry:
        return ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED,
            snapshot_id=self.snapshot_id,
            sequence_number=placed.sequence,
            file_sequence_number=None,
            data_file=placed.file,
        )


def _summary(table: Table, parent: Snapshot, added: Sequence[DataFile], removed: Sequence[DataFile]) -> Summary:
    base = table.metadata
    collector = SnapshotSummaryCollector()
    for file in added:
        collector.add_file(file, base.schema(), base.spec())
    for file in removed:
        collector.remove_file(file, base.schema(), base.spec())
    # PyIceberg computes totals only for the operations that it supports, and `replace` is not one of them.
    counted = update_snapshot_summaries(Summary(Operation.OVERWRITE, **collector.build()), parent.summary)
    return Summary(
        Operation.REPLACE,
        **counted.additional_properties,
        **{properties.MAINTENANCE: properties.REWRITE, properties.LAST_CHANGE: str(last_change_of(base, parent))},
    )
