"""Files of a run: which go in, what becomes of those that come out, what the status says of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from componentrun.api.common import ApiModel, StatusModel

__all__ = ["MOST_SHOWN_FILES", "FileStatus", "FilesStatus", "InputFile", "OutputFileMapping"]

MOST_SHOWN_FILES: Final = 100
"""Files that a status names; all are counted."""

FileId = Annotated[str, Field(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$", max_length=26)]
StoredName = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]+$", min_length=1, max_length=180)]
Tag = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", min_length=1, max_length=180)]
Tags = Annotated[tuple[Tag, ...], Field(max_length=50)]


class InputFile(ApiModel):
    """Files for the component to read. All that is said must hold; of several that fit, the newest go in."""

    id: FileId | None = None
    """The file of this id, and no other; goes with nothing else."""
    name: StoredName | None = None
    """Files of exactly this name."""
    glob: StoredName | None = None
    """Files whose names match: `*` anything, `?` one character, `[abc]` one of these."""
    tags: Tags = ()
    """Files that have all of these tags."""
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    """At most so many, the newest; with `name` 1, else 100 where not given."""
    optional: bool | None = None
    """Whether it is no error that nothing fits. Where not given: an error with `id` and `name`, none with others."""


class OutputFileMapping(ApiModel):
    """What becomes of files that the component writes below /data/out/files."""

    source: StoredName
    """Name of a file, or a pattern of names: `*.pdf`. A file follows the first line that fits it."""
    tags: Tags | None = None
    """Tags in Storage; the file's manifest decides where not given."""
    permanent: bool | None = None
    """Keep it until somebody deletes it, instead of 15 days; the file's manifest decides where not given."""
    optional: bool = False
    """Whether it is no error that there is no such file."""


class FileStatus(StatusModel):
    """One file that went in or came out."""

    id: str
    """Its id in Storage."""
    name: str
    """Its name."""
    bytes: int
    """Its size."""


class FilesStatus(StatusModel):
    """Files that went in or came out."""

    count: int
    """How many."""
    bytes: int
    """Bytes of all of them."""
    files: tuple[FileStatus, ...] = ()
    """The first 100."""
