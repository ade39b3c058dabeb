"""File mappings of a run: which files it reads, tags and retention of those it publishes, and both in its status."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from componentrun.api.common import ApiModel, StatusModel

__all__ = ["MOST_SHOWN_FILES", "FileStatus", "FilesStatus", "InputFile", "OutputFileMapping"]

MOST_SHOWN_FILES: Final = 100
"""Maximum number of files that a status lists; all are counted."""

FileId = Annotated[str, Field(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$", max_length=26)]
StoredName = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]+$", min_length=1, max_length=180)]
Tag = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", min_length=1, max_length=180)]
Tags = Annotated[tuple[Tag, ...], Field(max_length=50)]


class InputFile(ApiModel):
    """Files that the component reads. A file must match every field that is set; the newest matches are delivered."""

    id: FileId | None = None
    """Id of a single file. Excludes all other fields except `optional`."""
    name: StoredName | None = None
    """Exact name of the files."""
    glob: StoredName | None = None
    """Pattern for the names of the files: `*` matches any characters, `?` one character, `[abc]` one of these."""
    tags: Tags = ()
    """Tags that a file must have, all of them."""
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Maximum number of files to deliver, newest first. Defaults to 1 with `name`, else to 100."""
    optional: bool | None = None
    """Whether it is allowed that no file matches. Defaults to false with `id` or `name`, else to true."""


class OutputFileMapping(ApiModel):
    """Tags and retention of files that the component writes below /data/out/files."""

    source: StoredName
    """Name of a file, or a pattern such as `*.pdf`. The first matching entry applies to a file."""
    tags: Tags | None = None
    """Tags of the file. Defaults to the file's manifest, or none."""
    permanent: bool | None = None
    """Whether the file is kept until it is deleted, instead of for 15 days. Defaults to the file's manifest, or
    false."""
    optional: bool = False
    """Whether it is allowed that no file matches."""


class FileStatus(StatusModel):
    """One file that was read or published."""

    id: str
    """Id of the file."""
    name: str
    """Name of the file."""
    bytes: int
    """Size in bytes."""


class FilesStatus(StatusModel):
    """Files that were read or published."""

    count: int
    """Number of files."""
    bytes: int
    """Total size in bytes."""
    files: tuple[FileStatus, ...] = ()
    """The first 100 files."""
