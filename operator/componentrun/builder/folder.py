"""The content of a folder as entries of a layer. Links are never followed."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import IO, TYPE_CHECKING, Final

from componentrun.core.builds.layer import Entry
from componentrun.core.builds.paths import check_name, link_target, special_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["entries_of"]

_KINDS: Final = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def entries_of(folder: Path, below: str = "", *, without: str = "") -> Iterator[Entry]:
    """The files, folders and links of a folder.

    Args:
        folder: the folder of the code.
        below: a folder in it whose content is wanted, with this folder itself; empty: everything.
        without: a folder in it that is left out with its content; empty: none.

    Raises:
        BuildError: a name can't be used, or something is neither a file nor a folder nor a link.
        OSError: the folder can't be read.
    """
    if below:
        yield Entry(below, "folder")
    pending = [below]
    while pending:
        parent = pending.pop()
        with os.scandir(os.fsencode(folder / parent)) as found:
            for item in found:
                name = check_name(item.name, parent)
                path = f"{parent}/{name}" if parent else name
                if path == without:
                    continue
                entry = _entry(folder, path, item)
                if entry.kind == "folder":
                    pending.append(path)
                yield entry


def _entry(folder: Path, path: str, item: os.DirEntry[bytes]) -> Entry:
    status = item.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        return Entry(path, "folder")
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, "link", target=link_target(path, os.readlink(item.path)))  # noqa: PTH115 - as bytes
    if stat.S_ISREG(status.st_mode):
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        return Entry(path, "file", is_executable, status.st_size, partial(_open, folder / path))
    kind = next((kind for matches, kind in _KINDS if matches(status.st_mode)), "no file")
    raise special_file(path, kind)


def _open(path: Path) -> IO[bytes]:
    """Open a file, unless it was replaced by a link meanwhile."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
