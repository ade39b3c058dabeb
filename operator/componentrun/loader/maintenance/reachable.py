"""Which files a table's snapshots reach, and a set of files on disk, because it may be large.

Only one manifest at a time is in memory.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from componentrun.storage.store.locations import split_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["FileSet", "files_in", "manifests_of", "metadata_files", "one_form", "reached_files"]

_PAGE: Final = 1000


def one_form(location: str) -> str:
    """A location in a canonical form for comparisons, because some engines write `s3a://`.

    Raises:
        PlatformError: the location is not in an S3-compatible store.
    """
    bucket, key = split_location(location)
    return f"s3://{bucket}/{key}"


def manifests_of(snapshots: Iterable[Snapshot], io: FileIO) -> Iterator[ManifestFile]:
    """The manifests of snapshots, without duplicates."""
    seen: set[str] = set()
    for snapshot in snapshots:
        for manifest in snapshot.manifests(io):
            if manifest.manifest_path not in seen:
                seen.add(manifest.manifest_path)
                yield manifest


def files_in(manifest: ManifestFile, io: FileIO) -> list[str]:
    """The files in a manifest that are not marked as deleted."""
    return [one_form(entry.data_file.file_path) for entry in manifest.fetch_manifest_entry(io, discard_deleted=True)]


def reached_files(table: Table) -> Iterator[list[str]]:
    """All files that any snapshot of a table reaches, in batches: manifest lists, manifests, data and delete files."""
    snapshots = table.metadata.snapshots
    yield [one_form(found.manifest_list) for found in snapshots]
    for manifest in manifests_of(snapshots, table.io):
        yield [one_form(manifest.manifest_path), *files_in(manifest, table.io)]


def metadata_files(table: Table) -> list[str]:
    """The files of a table that belong to no snapshot: current and earlier metadata files, and statistics."""
    base = table.metadata
    found = [table.metadata_location, *(entry.metadata_file for entry in base.metadata_log)]
    found += [item.statistics_path for item in (*base.statistics, *base.partition_statistics)]
    return [one_form(location) for location in found if location]


class FileSet:
    """Ordered set of file locations on disk; a context manager. Locations keep the order in which they were added."""

    def __init__(self, scratch: str) -> None:
        """`scratch` is a folder for the set's files, which are deleted at the end."""
        self._scratch = scratch
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Create the empty set."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="files-", dir=self._scratch))
        self._connection = self._stack.enter_context(contextlib.closing(sqlite3.connect(Path(folder) / "files.db")))
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("CREATE TABLE files (number INTEGER PRIMARY KEY, location TEXT UNIQUE, size INTEGER)")
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the set's files."""
        self._stack.close()

    def add(self, files: Iterable[tuple[str, int]]) -> None:
        """Add locations with their sizes. Existing locations are not changed."""
        self._connection.executemany("INSERT OR IGNORE INTO files (location, size) VALUES (?, ?)", files)

    def discard(self, locations: Iterable[str]) -> None:
        """Remove locations. Locations that are not in the set are ignored."""
        self._connection.executemany("DELETE FROM files WHERE location = ?", ((location,) for location in locations))

    def pages(self) -> Iterator[list[tuple[str, int]]]:
        """All locations with their sizes, a page at a time."""
        cursor = self._connection.execute("SELECT location, size FROM files ORDER BY number")
        while page := cursor.fetchmany(_PAGE):
            yield page
