"""A snapshot with new files, and the update of its table that makes it the current one.

Writes manifests, commits nothing.

PyIceberg's own producers write no position deletes and commit one table; what is in the files is theirs all the same.
"""

from __future__ import annotations

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
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from componentrun.errors import PlatformError, Reason
from componentrun.loader.catalog.catalog import TableChange

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
    "writer_of",
]

_FORMAT: Final = 2
_CODEC: Final = "deflate"
_MOST_MANIFESTS: Final = 64
"""Small manifests from which on they become one: a reader opens each of them."""
_MOST_ENTRIES: Final = 10_000
"""A manifest with so many files is left alone."""
_LAST_SCHEMA: Final = -1
"""The one that was added in the same commit."""


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """What a snapshot brings."""

    summary: dict[str, str]
    """Besides the usual counts."""
    added: Sequence[DataFile] = ()
    deletes: Sequence[DataFile] = ()
    """Files of positions."""
    replaces: bool = False
    """Whether nothing of what was there stays."""
    schema: Schema | None = None
    """None: the table's own stays."""
    properties: dict[str, str] = field(default_factory=dict)


def become_current(snapshot: int) -> TableUpdate:
    """The update that makes a snapshot the table's current one."""
    return SetSnapshotRefUpdate.model_validate(
        {"snapshot-id": snapshot, "ref-name": MAIN_BRANCH, "type": SnapshotRefType.BRANCH}
    )


class DeletesWriter(ManifestWriterV2):
    """Writes a manifest of delete files."""

    def content(self) -> ManifestContent:
        """What it lists."""
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def change_of(table: Table, name: IcebergName, new: NewSnapshot) -> tuple[TableChange, int]:
    """Write a snapshot's manifests; the change that has to be committed, and the snapshot's id.

    Raises:
        PlatformError: (PublishFailed) the table has a format or partitions that can't be written.
        ComponentRunError: the store refused or is away.
    """
    base = table.metadata
    check_writable(table, name, brings_files=bool(new.added or new.deletes or new.replaces))
    writer = ManifestsWriter(table, base.new_snapshot_id())
    parent = base.current_snapshot()
    before = parent.manifests(table.io) if parent is not None else []
    manifests = [*writer.added(new.added), *writer.deletes(new.deletes)]
    if new.replaces:
        manifests += writer.removed(before)
    else:
        manifests += writer.merged(before) if base.spec().is_unpartitioned() else before
    snapshot = Snapshot(
        snapshot_id=writer.snapshot_id,
        parent_snapshot_id=parent.snapshot_id if parent is not None else None,
        manifest_list=writer.manifest_list(manifests, parent.snapshot_id if parent is not None else None),
        sequence_number=base.next_sequence_number(),
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
    if new.properties:
        updates.append(SetPropertiesUpdate(updates=new.properties))
    updates += [
        AddSnapshotUpdate(snapshot=snapshot),
        become_current(snapshot.snapshot_id),
    ]
    return TableChange(name, requirements, updates), snapshot.snapshot_id


class ManifestsWriter:
    """Writes the manifests of one snapshot."""

    def __init__(self, table: Table, snapshot_id: int) -> None:
        """Nothing is written yet."""
        self._table = table
        self._base = table.metadata
        self.snapshot_id = snapshot_id
        self.removed_files: list[DataFile] = []

    def added(self, files: Sequence[DataFile]) -> list[ManifestFile]:
        """A manifest of data files, in their order."""
        return self._write(ManifestWriterV2, (self._entry(file) for file in files)) if files else []

    def deletes(self, files: Sequence[DataFile]) -> list[ManifestFile]:
        """A manifest of delete files."""
        return self._write(DeletesWriter, (self._entry(file) for file in files)) if files else []

    def removed(self, manifests: Sequence[ManifestFile]) -> list[ManifestFile]:
        """Manifests that tell of all files that they are deleted: so whoever expires snapshots finds them."""
        found: list[ManifestFile] = []
        for manifest in manifests:
            entries = [
                self._entry_of(entry, ManifestEntryStatus.DELETED)
                for entry in manifest.fetch_manifest_entry(self._table.io, discard_deleted=True)
            ]
            self.removed_files += [entry.data_file for entry in entries]
            if entries:
                found += self._write(writer_of(manifest), entries)
        return found

    def merged(self, manifests: Sequence[ManifestFile]) -> list[ManifestFile]:
        """The manifests that stay, with small ones put together where they are many."""
        alive = [manifest for manifest in manifests if manifest.has_added_files() or manifest.has_existing_files()]
        small = [manifest for manifest in alive if _entries(manifest) < _MOST_ENTRIES]
        if len(small) < _MOST_MANIFESTS:
            return alive
        found = [manifest for manifest in alive if _entries(manifest) >= _MOST_ENTRIES]
        for content in (ManifestContent.DATA, ManifestContent.DELETES):
            # The oldest stand last in the list, and first in what is made of it.
            parts = [manifest for manifest in reversed(small) if manifest.content == content]
            entries = [
                self._entry_of(entry, ManifestEntryStatus.EXISTING)
                for manifest in parts
                for entry in manifest.fetch_manifest_entry(self._table.io, discard_deleted=True)
            ]
            if entries:
                found += self._write(writer_of(parts[0]), entries)
        return found

    def manifest_list(self, manifests: Sequence[ManifestFile], parent: int | None) -> str:
        """Write the manifest list; its location."""
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
    """What writes manifests of the same content."""
    return DeletesWriter if manifest.content == ManifestContent.DELETES else ManifestWriterV2


def _schema_id(base: TableMetadata, schema: Schema) -> int:
    """The id that a catalog gives a schema: that of the same one, or the next."""
    same = (known.schema_id for known in base.schemas if known.fields == schema.fields)
    return next(same, max(known.schema_id for known in base.schemas) + 1)


def _entries(manifest: ManifestFile) -> int:
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)


def _summary(base: TableMetadata, new: NewSnapshot, removed: Sequence[DataFile], parent: Snapshot | None) -> Summary:
    collector = SnapshotSummaryCollector()
    for file in (*new.added, *new.deletes):
        collector.add_file(file, base.schema(), base.spec())
    for file in removed:
        collector.remove_file(file, base.schema(), base.spec())
    operation = Operation.OVERWRITE if removed or new.deletes or new.replaces else Operation.APPEND
    return update_snapshot_summaries(
        Summary(operation, **collector.build(), **new.summary), parent.summary if parent is not None else None
    )


def can_be_written(table: Table) -> bool:
    """Whether a table has a format version that snapshots are written for; else `change_of` refuses all changes."""
    return bool(table.metadata.format_version == _FORMAT)


def check_writable(table: Table, name: IcebergName, *, brings_files: bool = True) -> None:
    """Refuse a table that can't be written here.

    Raises:
        PlatformError: (PublishFailed) its format or, for a snapshot with files, its partitions; the message says which.
    """
    base = table.metadata
    if not can_be_written(table):
        raise PlatformError(
            f"the table `{name}` has Iceberg's format version {base.format_version}; expected {_FORMAT}, which is the "
            "one that can be written here. Load it into another table, or make it anew",
            Reason.PUBLISH_FAILED,
        )
    if brings_files and not base.spec().is_unpartitioned():
        raise PlatformError(
            f"the table `{name}` is partitioned; such tables can be read, but not written yet. Load into another table",
            Reason.PUBLISH_FAILED,
        )
