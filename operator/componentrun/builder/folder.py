"""The content of a folder as entries of a layer. Links are never followed."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Final

from componentrun.core.builds.layer import MOST_BYTES, MOST_ENTRIES, Entry, too_large, too_many
from componentrun.core.builds.paths import check_name, link_target, special_file, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["entries_of"]

_LEFT_BY_COMMANDS: Final = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG})
"""Errors of paths that the commands of the build can cause. Others are those of a disk."""
_KINDS: Final = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def entries_of(
    folder: Path, below: str = "", *, without: str = "", most_bytes: int = MOST_BYTES, most_entries: int = MOST_ENTRIES
) -> Iterator[Entry]:
    """The files, folders and links of a folder.

    Args:
        folder: the folder of the code.
        below: a folder in it whose content is wanted, with this folder itself; empty: everything.
        without: a folder in it that is left out with its content; empty: none.
        most_bytes: limit for the sum of the sizes of all files.
        most_entries: limit for the number of entries.

    Raises:
        BuildError: a name can't be used, something is neither a file nor a folder nor a link, or can't be read, or a
            limit is exceeded.
        OSError: the disk fails.
    """
    total = 0
    for count, entry in enumerate(_found(folder, below, without), 1):
        total += entry.size
        if total > most_bytes:
            raise too_large(entry.path, total, most_bytes)
        if count > most_entries:
            raise too_many(most_entries)
        yield entry


def _found(folder: Path, below: str, without: str) -> Iterator[Entry]:
    if below:
        yield Entry(below, "folder")
    pending = [below]
    while pending:
        parent = pending.pop()
        with _scan(folder, parent) as found:
            for item in found:
                name = check_name(item.name, parent)
                path = f"{parent}/{name}" if parent else name
                if path == without:
                    continue
                with _readable(path):
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
        return Entry(path, "file", is_executable, status.st_size, partial(_open, folder, path))
    kind = next((kind for matches, kind in _KINDS if matches(status.st_mode)), "no file")
    raise special_file(path, kind)


def _open(folder: Path, path: str) -> IO[bytes]:
    """Open a file, unless it was replaced by a link meanwhile."""
    with _readable(path):
        return os.fdopen(os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _scan(folder: Path, path: str) -> AbstractContextManager[Iterator[os.DirEntry[bytes]]]:
    with _readable(path):
        return os.scandir(os.fsencode(folder / path))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Name the path that the commands left without permission to read it, or too long for the system's calls."""
    try:
        yield
    except OSError as error:
        if error.errno not in _LEFT_BY_COMMANDS:
            raise
        raise unreadable(path or ".", os.strerror(error.errno)) from error
