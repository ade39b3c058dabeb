"""Which files contain the rows of tables, as a consistent snapshot of all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pyiceberg.manifest import DataFileContent, FileFormat, ManifestContent
from pyiceberg.table.snapshots import Operation

from componentrun.errors import Reason, TransientError, UserError
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.catalog.state import read_state
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.keys import TableId
from componentrun.wire.loader import DeleteFile, ScanColumn, ScanFile, TableScan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyiceberg.manifest import ManifestEntry
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.catalog.names import IcebergName

__all__ = ["check_readable", "consistent_cut", "last_change_of", "scan_of"]

_MOST_LOOKS: Final = 20


def consistent_cut(catalog: Catalog, tables: Sequence[str]) -> tuple[list[TableScan], list[str]]:
    """Read all tables as of one point in time, by reading them repeatedly until none has changed in between.

    Returns:
        The scans of the tables that exist, and the ids of those that do not exist.

    Raises:
        UserError: (InputInvalid) a table has files that can't be read.
        TransientError: the tables changed each time they were read.
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    previous = _look(catalog, tables)
    for _ in range(_MOST_LOOKS):
        current = _look(catalog, tables) if len(tables) > 1 else previous
        if _places(current) == _places(previous):
            try:
                scans = [scan_of(table, TableId.parse(name)) for name, table in previous.items() if table is not None]
            except MissingError:
                # Files of a snapshot that is no longer the current one may be deleted while they are read.
                current = _look(catalog, tables)
                if _places(current) == _places(previous):
                    raise
            else:
                return scans, [name for name, table in previous.items() if table is None]
        previous = current
    raise TransientError(
        f"the tables {', '.join(f'`{name}`' for name in tables)} change all the time: no moment was found at which all "
        "of them could be read",
        Reason.STORAGE_UNAVAILABLE,
    )


def scan_of(table: Table, name: TableId) -> TableScan:
    """The files, columns and properties of a table's current snapshot.

    Raises:
        UserError: (InputInvalid) the table has files that can't be read.
        ComponentRunError: the store refused a request or does not respond.
    """
    base = table.metadata
    state = read_state(base, f"`{name}`")
    snapshot = base.current_snapshot()
    data, deletes = _entries(table, name)
    data.sort(key=lambda entry: entry.sequence_number or 0)
    stamp = next((item for item in state.schema.fields if item.name == properties.TIMESTAMP_COLUMN), None)
    files = tuple(_scan_file(entry, deletes) for entry in data)
    return TableScan(
        table=str(name),
        snapshot=str(snapshot.snapshot_id) if snapshot is not None else None,
        columns=tuple(
            ScanColumn(item.name, item.field_id, str(item.field_type))
            for item in state.schema.fields
            if item.name != properties.TIMESTAMP_COLUMN
        ),
        timestamp_id=stamp.field_id if stamp is not None else None,
        files=files,
        deletes=tuple(DeleteFile(entry.data_file.file_path, entry.data_file.file_size_in_bytes) for entry in deletes),
        created=state.created
        or _iso(min((item.timestamp_ms for item in base.snapshots), default=base.last_updated_ms)),
        last_change=_iso(last_change_of(base, snapshot) if snapshot is not None else base.last_updated_ms),
        timestamp=state.timestamp,
        uuid=str(base.table_uuid),
        primary_key=state.primary_key,
        described=tuple(column.facts for column in state.columns if column.facts.says_something),
        metadata=state.metadata,
        location=table.location(),
        rows=None if deletes else sum(file.rows for file in files),
    )


def last_change_of(table: TableMetadata, snapshot: Snapshot) -> int:
    """When the rows of a snapshot were last changed, in milliseconds since 1970.

    A rewrite of files, by any program, does not change rows.
    """
    while snapshot.summary is not None:
        if (text := snapshot.summary[properties.LAST_CHANGE]) is not None:
            return int(text)
        parent = snapshot.parent_snapshot_id
        previous = table.snapshot_by_id(parent) if parent is not None else None
        if snapshot.summary.operation != Operation.REPLACE or previous is None:
            break
        snapshot = previous
    return snapshot.timestamp_ms


def _look(catalog: Catalog, tables: Iterable[str]) -> dict[str, Table | None]:
    tables_: dict[str, Table | None] = {}
    for name in dict.fromkeys(tables):
        table = catalog.find(to_iceberg(catalog.prefix, TableId.parse(name)))
        is_there = table is not None and table.properties.get(properties.STATE) not in properties.ABSENT
        tables_[name] = table if is_there else None
    return tables_


def _places(tables: dict[str, Table | None]) -> dict[str, tuple[str, int | None] | None]:
    return {
        name: (str(table.metadata.table_uuid), table.metadata.current_snapshot_id) if table is not None else None
        for name, table in tables.items()
    }


def _entries(table: Table, name: TableId) -> tuple[list[ManifestEntry], list[ManifestEntry]]:
    """Data files and position delete files."""
    snapshot = table.metadata.current_snapshot()
    data: list[ManifestEntry] = []
    deletes: list[ManifestEntry] = []
    # A manifest list starts with the newest manifest, but rows are returned in the order of their loads.
    for manifest in reversed(snapshot.manifests(table.io)) if snapshot is not None else ():
        entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        for entry in entries:
            check_readable(entry, name)
        (data if manifest.content == ManifestContent.DATA else deletes).extend(entries)
    oldest = min((entry.sequence_number or 0 for entry in data), default=0)
    return data, [entry for entry in deletes if (entry.sequence_number or 0) >= oldest]


def check_readable(entry: ManifestEntry, name: TableId | IcebergName) -> None:
    """Refuse a file that is not supported.

    Raises:
        UserError: (InputInvalid) the file is not supported; the message says why, and what to do.
    """
    file = entry.data_file
    if file.content == DataFileContent.EQUALITY_DELETES:
        feature, advice = "equality deletes, as Flink writes them", "rewrite its data files with Spark"
    elif file.file_format != FileFormat.PARQUET:
        kind = "deletion vectors" if file.content == DataFileContent.POSITION_DELETES else f"{file.file_format} files"
        feature, advice = kind, "rewrite it in format version 2 as Parquet"
    else:
        return
    raise UserError(
        f"the table `{name}` has {feature}; only Parquet files and position deletes can be read here: {advice}",
        Reason.INPUT_INVALID,
    )


def _scan_file(entry: ManifestEntry, deletes: Sequence[ManifestEntry]) -> ScanFile:
    file = entry.data_file
    sequence = entry.sequence_number or 0
    return ScanFile(
        path=file.file_path,
        size=file.file_size_in_bytes,
        rows=file.record_count,
        deletes=tuple(number for number, delete in enumerate(deletes) if (delete.sequence_number or 0) >= sequence),
    )


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
