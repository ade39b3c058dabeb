"""Rewrite the files of one table: merge small files, and remove deleted rows.

    1. look      List the data files, and count the deleted rows of each.
    2. choose    Choose groups of adjacent files (`choosing`), up to the size limit of one commit.
    3. files     Merge each group into one new file, and the position delete files into one or none.
    4. commit    Commit only if the current snapshot has not changed. After a conflict, if all replaced files still
                 exist and no other row was deleted, the same files are committed on the new snapshot. Otherwise they
                 are deleted, and a later round starts again.

So a rewrite never undoes a load, and no load waits for a rewrite.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from pyiceberg.manifest import DataFileContent, ManifestContent

from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import CommitUnknownError, ConflictError
from componentrun.loader.catalog.datafiles import store_file
from componentrun.loader.catalog.snapshots import check_writable
from componentrun.loader.maintenance.choosing import FileFacts, groups_of
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.loader.maintenance.packing import deleted_rows, pack, pack_deletes, unsupported_column
from componentrun.loader.maintenance.replacing import Placed, replace_files
from componentrun.loader.reading.scanning import check_readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.catalog.names import IcebergName
    from componentrun.loader.maintenance.choosing import RewriteLimits

__all__ = ["Outcome", "Rewritten", "rewrite", "rewrite_whole"]

log = logging.getLogger(__name__)

_MOST_TRIES: Final = 5
_COUNTS: Final = ("files", "new_files", "deletes", "new_deletes", "read", "written")

Outcome = Literal["rewritten", "wouldRewrite", "notNeeded", "changedMeanwhile", "unsupported", "tooLarge"]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Result of a rewrite."""

    outcome: Outcome
    reason: str = ""
    """Why the table is `unsupported`."""
    files: int = 0
    """Data files that were replaced."""
    new_files: int = 0
    """Data files that replace them."""
    deletes: int = 0
    """Position delete files that were replaced or removed."""
    new_deletes: int = 0
    read: int = 0
    """Bytes of the replaced files."""
    written: int = 0
    """Bytes of the new files."""


@dataclass(slots=True)
class _Looked:
    """A table's current files."""

    data: list[FileFacts] = field(default_factory=list)
    """Data files in the order of their rows."""
    deletes: list[FileFacts] = field(default_factory=list)


def rewrite_whole(
    catalog: Catalog, name: IcebergName, limits: RewriteLimits, scratch: str, *, dry_run: bool = False
) -> Rewritten:
    """Rewrite files of a table in as many commits as needed. Arguments and errors are those of `rewrite`.

    Returns:
        The sum of all commits; if there was none, the outcome says why.
    """
    total = rewrite(catalog, name, limits, scratch, dry_run=dry_run)
    done = total
    while done.outcome == "rewritten":
        done = rewrite(catalog, name, limits, scratch)
        if done.outcome == "rewritten":
            sums = (getattr(total, part) + getattr(done, part) for part in _COUNTS)
            total = replace(total, **dict(zip(_COUNTS, sums, strict=True)))
    return total


def rewrite(
    catalog: Catalog, name: IcebergName, limits: RewriteLimits, scratch: str, *, dry_run: bool = False
) -> Rewritten:
    """Rewrite files of a table in one commit, if it is worthwhile. Call it again for the rest of a large table.

    Args:
        catalog: catalog of the Storage.
        name: name of the table in the catalog.
        limits: when files are rewritten.
        scratch: folder for temporary files, which are deleted at the end. Up to three times `limits.batch` is used.
        dry_run: only report which files would be rewritten.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond; the table is either
            unchanged or rewritten.
    """
    table = catalog.find(name)
    if table is None or table.properties.get(properties.STATE) == properties.NEW:
        return Rewritten("notNeeded")
    with tempfile.TemporaryDirectory(prefix="rewrite-", dir=scratch) as folder:
        try:
            looked = _look(table, name)
        except _UnsupportedError as error:
            return Rewritten("unsupported", error.message)
        try:
            return _Work(catalog, name, table, limits, folder).rewrite(looked, dry_run=dry_run)
        except UserError as error:
            raise PlatformError(f"`{name}` can't be rewritten: {error.message}", Reason.PUBLISH_FAILED) from error


class _UnsupportedError(PlatformError):
    """The table can only be rewritten by other engines."""


class _Work:
    """A rewrite in one commit."""

    def __init__(self, catalog: Catalog, name: IcebergName, table: Table, limits: RewriteLimits, folder: str) -> None:
        self._catalog, self._name, self._table, self._limits, self._folder = catalog, name, table, limits, folder
        self._objects = TableObjects(catalog.settings)
        self._data: list[Placed] = []
        self._deletes: list[Placed] = []

    def rewrite(self, looked: _Looked, *, dry_run: bool) -> Rewritten:
        merged = self._merged_deletes(looked)
        groups, too_large = self._chosen(looked)
        going = [file for group in groups for file in group]
        paths = {file.path for file in going}
        left = {file.path for file in looked.data if file.deleted and file.path not in paths}
        gone_deletes = looked.deletes if len(looked.deletes) >= self._limits.files or not left else []
        if not going and not gone_deletes:
            return Rewritten("tooLarge" if too_large else "notNeeded")
        found = Rewritten(
            "wouldRewrite",
            files=len(going),
            new_files=len(groups),
            deletes=len(gone_deletes),
            read=sum(file.size for file in (*going, *gone_deletes)),
        )
        if dry_run:
            return found
        for group in groups:
            self._pack(group, merged)
        if gone_deletes and left and merged is not None:
            self._pack_deletes(merged, left, max(file.sequence for file in gone_deletes))
        removed = frozenset(file.path for file in (*going, *gone_deletes))
        if not self._commit(removed, {file.path for file in looked.deletes}):
            return Rewritten("changedMeanwhile")
        return replace(
            found,
            outcome="rewritten",
            new_files=len(self._data),
            new_deletes=len(self._deletes),
            written=sum(placed.file.file_size_in_bytes for placed in (*self._data, *self._deletes)),
        )

    def _chosen(self, looked: _Looked) -> tuple[list[tuple[FileFacts, ...]], bool]:
        """The groups that fit in one commit, and whether a group was skipped because it exceeds the limit by itself."""
        chosen: list[tuple[FileFacts, ...]] = []
        room, too_large = self._limits.batch, False
        for group in groups_of(looked.data, self._limits):
            size = sum(file.size for file in group)
            if size > self._limits.batch:
                too_large = True
            elif size <= room:
                chosen.append(group)
                room -= size
        return chosen, too_large

    def _merged_deletes(self, looked: _Looked) -> str | None:
        """Merge all position delete files into one local file, and set the deleted rows of each data file."""
        if not looked.deletes:
            return None
        with self._fetched(looked.deletes) as paths:
            written = pack_deletes(paths, None, self._folder)
        if written is None:
            return None
        counts = deleted_rows(written.path, self._folder)
        looked.data = [replace(file, deleted=min(counts.get(file.path, 0), file.rows)) for file in looked.data]
        return written.path

    def _pack(self, group: Sequence[FileFacts], deletes: str | None) -> None:
        needed = deletes if any(file.deleted for file in group) else None
        with self._fetched(group) as paths:
            written = pack(self._table.metadata.schema(), group, paths, needed, self._folder)
        expected = sum(file.rows - file.deleted for file in group)
        rows = written.rows if written is not None else 0
        if rows != expected:
            raise PlatformError(
                f"`{self._name}` can't be rewritten: {rows} rows were read from files that hold {expected}",
                Reason.PUBLISH_FAILED,
            )
        if written is not None:
            file = store_file(self._table, written, DataFileContent.DATA)
            self._data.append(Placed(file, group[-1].sequence))

    def _pack_deletes(self, merged: str, left: set[str], sequence: int) -> None:
        written = pack_deletes([merged], left, self._folder)
        if written is not None:
            file = store_file(self._table, written, DataFileContent.POSITION_DELETES)
            self._deletes.append(Placed(file, sequence))

    def _fetched(self, files: Sequence[FileFacts]) -> _Fetched:
        return _Fetched(self._objects, [file.path for file in files], self._folder)

    def _commit(self, removed: frozenset[str], known: set[str]) -> bool:
        """Commit the new files; return whether the table contains them.

        `known` are the paths of the position delete files that were read.
        """
        table = self._table
        sent: list[int] = []
        unknown = False
        for _ in range(_MOST_TRIES):
            try:
                change, snapshot = replace_files(table, self._name, self._data, self._deletes, removed)
                sent.append(snapshot)
                self._catalog.commit([change])
            except ConflictError as error:
                log.info("%s is rewritten on its new state: %s", self._name, error.message)
            except CommitUnknownError as error:
                log.warning("%s: %s", self._name, error.message)
                unknown = True
            else:
                return True
            found = self._catalog.find(self._name)
            if found is None:
                break
            table = found
            if any(there.snapshot_id in sent for there in table.metadata.snapshots):
                return True
            if not self._still_holds(table, removed, known):
                break
        if not unknown:  # otherwise the commit may still be applied, and needs the files
            self._throw_away()
        return False

    def _still_holds(self, table: Table, removed: frozenset[str], known: set[str]) -> bool:
        if table.metadata.table_uuid != self._table.metadata.table_uuid:
            return False
        now = _look(table, self._name)
        there = {file.path for file in (*now.data, *now.deletes)}
        return removed <= there and {file.path for file in now.deletes} <= known

    def _throw_away(self) -> None:
        paths = [placed.file.file_path for placed in (*self._data, *self._deletes)]
        try:
            self._objects.delete(paths)
        except ComponentRunError as error:
            log.info("%s: files that are not needed were left: %s", self._name, error.message)


class _Fetched:
    """Local copies of files, as a context manager that deletes them at the end."""

    def __init__(self, objects: TableObjects, locations: Sequence[str], folder: str) -> None:
        self._objects, self._locations = objects, locations
        self._folder = tempfile.TemporaryDirectory(prefix="files-", dir=folder)

    def __enter__(self) -> list[str]:
        return self._objects.fetch(self._locations, self._folder.name)

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _look(table: Table, name: IcebergName) -> _Looked:
    """The files of a table.

    Raises:
        _UnsupportedError: the table can't be rewritten.
        ComponentRunError: the store refused a request or does not respond.
    """
    looked = _Looked()
    snapshot = table.metadata.current_snapshot()
    unsupported = unsupported_column(table.metadata.schema())
    if unsupported is not None:
        raise _UnsupportedError(unsupported)
    try:
        check_writable(table, name)
        for manifest in reversed(snapshot.manifests(table.io)) if snapshot is not None else ():
            files = looked.data if manifest.content == ManifestContent.DATA else looked.deletes
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                check_readable(entry, name)
                file = entry.data_file
                files.append(
                    FileFacts(file.file_path, file.file_size_in_bytes, file.record_count, entry.sequence_number or 0)
                )
    except (PlatformError, UserError) as error:
        raise _UnsupportedError(error.message) from error
    looked.data.sort(key=lambda file: file.sequence)
    return looked
