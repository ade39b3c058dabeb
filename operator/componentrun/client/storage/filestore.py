"""The interface to the files of a Storage. `fileobjects.ObjectFiles` implements it.

Every method raises only errors of `componentrun.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from componentrun.client.storage.progress import Progress

__all__ = ["FileInfo", "FileStore"]


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file of Storage."""

    id: str
    name: str
    tags: tuple[str, ...]
    bytes: int
    created: datetime
    expires: datetime | None
    """None: it is permanent."""
    run: str
    """Uid of the run, or what else made it."""


class FileStore(Protocol):
    """The files of one Storage."""

    def put(
        self,
        path: Path,
        *,
        name: str | None,
        tags: Sequence[str],
        permanent: bool,
        progress: Progress,
    ) -> FileInfo:
        """Store a local file."""

    def find(self, *, name: str | None, glob: str | None, tags: Sequence[str], limit: int | None) -> list[FileInfo]:
        """The newest files that fit, newest first."""

    def need(self, file: str) -> FileInfo:
        """The file of this id, or else the newest one of this name."""

    def get(self, file: str, target: IO[bytes], progress: Progress) -> FileInfo:
        """Write the bytes of a file, by its id."""

    def change(self, file: str, *, add: Sequence[str], remove: Sequence[str], permanent: bool) -> FileInfo:
        """Change the tags of a file, by its id, or keep it until it is deleted."""

    def remove(self, file: str) -> None:
        """Delete a file, by its id."""
