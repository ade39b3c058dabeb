"""The record of a file in Storage."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from componentrun.storage.store.document import StorageModel

__all__ = ["FILE_FORMAT", "FilePart", "FileRecord"]

FILE_FORMAT: Final = 1


class FilePart(StorageModel):
    """One object with a part of a file, or all of it."""

    key: str
    size: int
    """Size in bytes; never 0."""
    etag: str
    """ETag in quotes, as in HTTP."""
    version: str | None = None
    """Version of the object, as with a table's slices."""


class FileRecord(StorageModel):
    """The record of a file."""

    format: int = FILE_FORMAT
    id: str
    """Sorts by the file's creation time."""
    name: str
    """Name of the file; not unique."""
    tags: tuple[str, ...] = ()
    size: int
    """Size in bytes."""
    parts: tuple[FilePart, ...] = ()
    """Parts of the file, in order."""
    created: datetime
    run: str
    """Uid of the run that created it."""
    attempt: int
    expires: datetime | None = None
    """When it expires; None: it is permanent."""
    grouped: bool = False
    """Whether it shares keys with other files of its commit, see `storage.files.groups`."""

    @property
    def permanent(self) -> bool:
        """Whether it is kept until somebody deletes it."""
        return self.expires is None

    def is_there(self, now: datetime) -> bool:
        """Whether it has not expired; an expired file may not be deleted yet, but is not found."""
        return self.expires is None or now < self.expires
