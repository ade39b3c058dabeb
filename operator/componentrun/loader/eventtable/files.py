"""The data files of the table, of a range of days, for DuckDB."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pyiceberg.manifest import ManifestContent

from componentrun.loader.catalog.names import events_table
from componentrun.loader.eventtable.table import COLUMNS
from componentrun.loader.reading.scanning import check_readable
from componentrun.storage.access.grants import Signer
from componentrun.wire.parquet import ParquetColumn, ParquetFile, ParquetTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyiceberg.manifest import ManifestEntry
    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog

__all__ = ["FIRST_DAY", "LAST_DAY", "EventFiles", "day_of", "files_of", "parquet_table"]

FIRST_DAY: Final = -(10**6)
"""Before every time that can be stored."""
LAST_DAY: Final = 10**7
"""After every time that can be stored."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_URLS_LAST: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class EventFiles:
    """Files of one snapshot."""

    data: tuple[ManifestEntry, ...]
    deletes: tuple[ManifestEntry, ...]
    """Files with positions of deleted rows, which other programs may write."""


def day_of(time: datetime) -> int:
    """The day of a time in UTC: days since 1970, the value of the partition."""
    return (time - _EPOCH) // timedelta(days=1)


def files_of(catalog: Catalog, table: Table, days: range | None = None) -> EventFiles:
    """Files of the current snapshot, oldest first.

    Args:
        catalog: catalog of the Storage.
        table: the table.
        days: only data files of these days; None: all files.

    Raises:
        ComponentRunError: the store refused a request or does not respond, or another program added a file that can't
            be read.
    """
    snapshot, name = table.metadata.current_snapshot(), events_table(catalog.prefix)
    data: list[ManifestEntry] = []
    deletes: list[ManifestEntry] = []
    for manifest in reversed(snapshot.manifests(table.io)) if snapshot is not None else ():
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            check_readable(entry, name)
            if manifest.content != ManifestContent.DATA:
                deletes.append(entry)
            elif days is None or entry.data_file.partition[0] in days:
                data.append(entry)
    data.sort(key=_sequence)
    return EventFiles(tuple(data), tuple(deletes))


def parquet_table(
    catalog: Catalog,
    table: Table,
    files: EventFiles,
    columns: Iterable[str] = COLUMNS,
) -> ParquetTable:
    """The files with signed URLs that are valid for six hours.

    Raises:
        PlatformError: (StorageAccessDenied) the Storage has no keys, and the process has no cloud identity.
    """
    signer = Signer(catalog.settings)
    asyncio.run(signer.refresh())

    def file_of(entry: ManifestEntry, deletes: Sequence[int] = ()) -> ParquetFile:
        file = entry.data_file
        url = signer.sign_location(file.file_path, _URLS_LAST)
        return ParquetFile(url, file.file_path, file.file_size_in_bytes, file.record_count, tuple(deletes))

    def deletes_of(entry: ManifestEntry) -> list[int]:
        return [place for place, delete in enumerate(files.deletes) if _sequence(delete) >= _sequence(entry)]

    schema = table.schema()
    fields = [schema.find_field(name) for name in columns]
    return ParquetTable(
        tuple(ParquetColumn(field.name, field.field_id, str(field.field_type)) for field in fields),
        tuple(file_of(entry, deletes_of(entry)) for entry in files.data),
        tuple(file_of(entry) for entry in files.deletes),
    )


def _sequence(entry: ManifestEntry) -> int:
    return entry.sequence_number or 0
