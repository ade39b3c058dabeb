"""Build a snapshot with new files, and the table update that makes it the current one.

Writes manifests, but does not commit.

PyIceberg's own snapshot producers support neither position deletes nor commits of several tables. The manifests are
written with PyIceberg's writers.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pyiceberg.manifest import (
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AssertCurrentSchemaId,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemovePropertiesUpdate,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from componentrun.errors import PlatformError, Reason
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import TableChange
from componentrun.loader.catalog.lineage import next_files_since
from componentrun.loader.catalog.marks import has_many_parts, merged_marks
from componentrun.loader.catalog.thinning import removable_by_load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata

    from componentrun.loader.catalog.names import IcebergName

__all__ = [
    "DeletesWriter",
    "ManifestsWriter",
    "NewSnapshot",
    "become_current",
    "can_be_written",
    "change_of",
    "check_writable",
    "next_timestamp",
    "writer_of",
]

_FORMAT: Final = 2
_CODEC: Final = "deflate"
_MOST_MANIFESTS: Final = 64
"""Number of small manifests from which they are merged, because a reader opens each of them."""
_MOST_ENTRIES: Final = 10_000
"""Number of files from which a manifest is not merged."""
_LAST_SCHEMA: Final = -1
"""Id that stands for the schema added in the same commit."""


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """Content of a new snapshot."""

    summary: dict[str, str]
    """Summary properties, in addition to the usual counts."""
    added: Sequence[DataFile] = ()
    deletes: Sequence[DataFile] = ()
    """Position delete files."""
    replaces: bool = False
    """Whether the snapshot removes all existing files."""
    schema: Schema | None = None
    """None: the table keeps its schema."""
    properties: dict[str, str] = field(default_factory=dict)


def become_current(snapshot: int) -> TableUpdate:
    """The update that makes a snapshot the table's current one."""
    return SetSnapshotRefUpdate.model_validate(
        {"snapshot-id": snapshot, "ref-name": MAIN_BRANCH, "type": SnapshotRefType.BRANCH}
    )


def next_timestamp(table: TableMetadata, now: float) -> int:
    """The time of a table's next snapshot, in milliseconds since 1970.

    Catalogs refuse a snapshot that is older than the table's last change, which can happen if this machine's clock is
    slow.
    """
    return max(int(now * 1000), table.last_updated_ms)


class DeletesWriter(ManifestWriterV2):
    """Writes a manifest of delete files."""

    def content(self) -> ManifestContent:
        """The content type of the manifest."""
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def change_of(
    table: Table, name: IcebergName, new: NewSnapshot, *, thins_history: bool = True, now: float | None = None
) -> tuple[TableChange, int]:
    """Write a snapshot's manifests; return the change to commit and the snapshot's id.

    Args:
        table: the current state of the table.
        name: name in the catalog.
        new: content of the snapshot.
        thins_history: whether the same commit removes increments that the history need not keep (`thinning`).
        now: seconds since 1970; None: the machine's clock.

    Raises:
        PlatformError: (PublishFailed) the table has a format or partitions that can't be written.
        ComponentRunError: the store refused a request or does not respond.
    """
    base = table.metadata
    now = time.time() if now is None else now
    check_writable(table, name, brings_files=bool(new.added or new.deletes or new.replaces))
    writer = ManifestsWriter(table, base.new_snapshot_id())
    parent = base.current_snapshot()
    parent_manifests = parent.manifests(table.io) if parent is not None else []
    manifests = [*writer.added(new.added), *writer.deletes(new.deletes)]
    if new.replaces:
        manifests += writer.removed(parent_manifests)
    else:
        manifests += writer.merged(parent_manifests) if base.spec().is_unpartitioned() else parent_manifests
    snapshot = Snapshot(
        snapshot_id=writer.snapshot_id,
        parent_snapshot_id=parent.snapshot_id if parent is not None else None,
        manifest_list=writer.manifest_list(manifests, parent.snapshot_id if parent is not None else None),
        sequence_number=base.next_sequence_number(),
        timestamp_ms=next_timestamp(base, now),
        summary=_summary(base, new, writer.removed_files, parent),
        schema_id=base.current_schema_id if new.schema is None else _schema_id(base, new.schema),
    )
    updates: list[TableUpdate] = []
    requirements: list[TableRequirement] = [
        AssertTableUUID(uuid=base.table_uuid),
        AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=snapshot.parent_snapshot_id),
    ]
    if new.schema is not None:
        requirements.append(AssertCurrentSchemaId(current_schema_id=base.current_schema_id))
        updates.append(AddSchemaUpdate.model_validate({"schema": new.schema}))
        updates.append(SetCurrentSchemaUpdate(schema_id=_LAST_SCHEMA))
    expired = removable_by_load(base, now) if thins_history else []
    merges = bool(expired) or has_many_parts(base.properties)
    marks, merged_names = merged_marks(base.properties, expired, now) if merges else ({}, [])
    if new.properties or marks:
        updates.append(SetPropertiesUpdate(updates=new.properties | marks))
    if merged_names:
        updates.append(RemovePropertiesUpdate(removals=merged_names))
    updates += [
        AddSnapshotUpdate(snapshot=snapshot),
        become_current(snapshot.snapshot_id),
    ]
    if expired:
        updates.append(RemoveSnapshotsUpdate(snapshot_ids=[item.snapshot_id for item in expired]))
    return TableChange(name, requirements, updates), snapshot.snapshot_id


class ManifestsWriter:
    """Writes the manifests of one snapshot."""

    def __init__(self, table: Table, snapshot_id: int) -> None:
        """Nothing is written until a method is called."""
        self._table = table
        self._base = table.metadata
        self.snapshot_id = snapshot_id
        self.removed_files: list[DataFile] = []

    def added(self, files: Sequence[DataFile]) -> list[ManifestFile]:
        """Write a manifest of data files, in the given order."""
        return self._write(ManifestWriterV2, (self._entry(file) for file in files)) if files else []

    def deletes(self, files: Sequence[DataFile]) -> list[ManifestFile]:
        """Write a manifest of delete files."""
        return self._write(DeletesWriter, (self._entry(file) for file in files)) if files else []

    def removed(self, manifests: Sequence[ManifestFile]) -> list[ManifestFile]:
        """Write manifests that list all files as deleted, so that the expiry of snapshots finds them."""
        results: list[ManifestFile] = []
        for manifest in manifests:
            entries = [
                self._entry_of(entry, ManifestEntryStatus.DELETED)
                for entry in manifest.fetch_manifest_entry(self._table.io, discard_deleted=True)
            ]
            self.removed_files += [entry.data_file for entry in entries]
            if entries:
                results += self._write(writer_of(manifest), entries)
        return results

    def merged(self, manifests: Sequence[ManifestFile]) -> list[ManifestFile]:
        """The manifests that are kept. If many of them are small, these are merged."""
        alive = [manifest for manifest in manifests if manifest.has_added_files() or manifest.has_existing_files()]
        small = [manifest for manifest in alive if _entries(manifest) < _MOST_ENTRIES]
        if len(small) < _MOST_MANIFESTS:
            return alive
        group = _worth_merging(small)
        paths = {manifest.manifest_path for manifest in group}
        results: list[ManifestFile] = []
        for content in (ManifestContent.DATA, ManifestContent.DELETES):
            # The oldest manifests are last in the list, but their entries come first in the merged manifest.
            parts = [manifest for manifest in reversed(group) if manifest.content == content]
            entries = [
                self._entry_of(entry, ManifestEntryStatus.EXISTING)
                for manifest in parts
                for entry in manifest.fetch_manifest_entry(self._table.io, discard_deleted=True)
            ]
            if entries:
                results += self._write(writer_of(parts[0]), entries)
        return results + [manifest for manifest in alive if manifest.manifest_path not in paths]

    def manifest_list(self, manifests: Sequence[ManifestFile], parent: int | None) -> str:
        """Write the manifest list; return its location."""
        location = f"{self._metadata()}/snap-{self.snapshot_id}-0-{uuid.uuid4()}.avro"
        with write_manifest_list(
            format_version=_FORMAT,
            output_file=self._table.io.new_output(location),
            snapshot_id=self.snapshot_id,
            parent_snapshot_id=parent,
            sequence_number=self._base.next_sequence_number(),
            avro_compression=_CODEC,
        ) as writer:
            writer.add_manifests(list(manifests))
        return location

    def _write(self, kind: type[ManifestWriterV2], entries: Iterable[ManifestEntry]) -> list[ManifestFile]:
        output = self._table.io.new_output(f"{self._metadata()}/{uuid.uuid4()}-m0.avro")
        with kind(self._base.spec(), self._base.schema(), output, self.snapshot_id, _CODEC) as writer:
            for entry in entries:
                writer.add_entry(entry)
        return [writer.to_manifest_file()]

    def _entry(self, file: DataFile) -> ManifestEntry:
        return ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED,
            snapshot_id=self.snapshot_id,
            sequence_number=None,
            file_sequence_number=None,
            data_file=file,
        )

    def _entry_of(self, entry: ManifestEntry, status: ManifestEntryStatus) -> ManifestEntry:
        return ManifestEntry.from_args(
            status=status,
            snapshot_id=self.snapshot_id if status == ManifestEntryStatus.DELETED else entry.snapshot_id,
            sequence_number=entry.sequence_number,
            file_sequence_number=entry.file_sequence_number,
            data_file=entry.data_file,
        )

    def _metadata(self) -> str:
        return f"{self._table.location().rstrip('/')}/metadata"


def writer_of(manifest: ManifestFile) -> type[ManifestWriterV2]:
    """The writer class for manifests with the same content type."""
    return DeletesWriter if manifest.content == ManifestContent.DELETES else ManifestWriterV2


def _schema_id(base: TableMetadata, schema: Schema) -> int:
    """The id that a catalog assigns to a schema: that of an identical schema, or the next one."""
    equal_ids = (other_schema.schema_id for other_schema in base.schemas if other_schema.fields == schema.fields)
    return next(equal_ids, max(other_schema.schema_id for other_schema in base.schemas) + 1)


def _worth_merging(manifests: Sequence[ManifestFile]) -> Sequence[ManifestFile]:
    """The newest manifests, up to the first one that is more than twice as large as all newer ones together.

    This way, the number of times that each entry is rewritten grows with the logarithm of the number of files, not with
    the number of merges.
    """
    newer = 0
    for place, manifest in enumerate(manifests):
        if newer and _entries(manifest) > 2 * newer:
            return manifests[:place]
        newer += _entries(manifest)
    return manifests


def _entries(manifest: ManifestFile) -> int:
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)


def _summary(base: TableMetadata, new: NewSnapshot, removed: Sequence[DataFile], parent: Snapshot | None) -> Summary:
    collector = SnapshotSummaryCollector()
    for file in (*new.added, *new.deletes):
        collector.add_file(file, base.schema(), base.spec())
    for file in removed:
        collector.remove_file(file, base.schema(), base.spec())
    operation = Operation.OVERWRITE if removed or new.deletes or new.replaces else Operation.APPEND
    since = {properties.FILES_SINCE: str(next_files_since(base, replaces=new.replaces))}
    return update_snapshot_summaries(
        Summary(operation, **collector.build(), **new.summary, **since), parent.summary if parent is not None else None
    )


def can_be_written(table: Table) -> bool:
    """Whether snapshots of a table's format version can be written; if not, `change_of` refuses all changes."""
    return bool(table.metadata.format_version == _FORMAT)


def check_writable(table: Table, name: IcebergName, *, brings_files: bool = True) -> None:
    """Refuse a table that can't be written.

    Raises:
        PlatformError: (PublishFailed) its format version is not supported, or it is partitioned and the snapshot has
            files.
    """
    base = table.metadata
    if not can_be_written(table):
        raise PlatformError(
            f"the table `{name}` has Iceberg's format version {base.format_version}; expected {_FORMAT}, which is the "
            "one that can be written here",
            Reason.PUBLISH_FAILED,
            advice="Load it into another table, or make it anew.",
        )
    if brings_files and not base.spec().is_unpartitioned():
        raise PlatformError(
            f"the table `{name}` is partitioned; such tables can be read, but not written yet",
            Reason.PUBLISH_FAILED,
            advice="Load into another table.",
        )
