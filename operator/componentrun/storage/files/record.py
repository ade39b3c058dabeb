"""All that is known of a file of Storage: one document."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from componentrun.storage.store.document import StorageModel

__all__ = ["FILE_FORMAT", "FilePart", "FileRecord"]

FILE_FORMAT: Final = 1


class FilePart(StorageModel):
    """One object that holds a part of a file, or all of it."""

    key: str
    size: int
    """Bytes; never 0."""
    etag: str
    """In quotes, as HTTP carries it."""
    version: str | None = None
    """Of the object, as with a table's slices."""


class FileRecord(StorageModel):
    """All that is known of a file."""

    format: int = FILE_FORMAT
    id: str
    """Sorts as the time at which the file was made."""
    name: str
    """Not unique: a later file of the same name is another file."""
    tags: tuple[str, ...] = ()
    size: int
    """Bytes."""
    parts: tuple[FilePart, ...] = ()
    """One after the other they are the file."""
    created: datetime
    run: str
    """Uid of the run that made it."""
    attempt: int
    expires: datetime | None = None
    """When it is not there any more; None: it is permanent."""
    grouped: bool = False
    """Whether it has keys in common with other files of its commit, see `storage.files.groups`."""

    @property
    def permanent(self) -> bool:
        """Whether it is kept until somebody deletes it."""
        return self.expires is None

    def is_there(self, now: datetime) -> bool:
        """Whether it has not expired yet; one that has may not be deleted yet, but nobody finds it any more."""
        return self.expires is None or now < self.expires
