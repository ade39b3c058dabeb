"""Deletes what programs left, however deep it is and whatever its permissions are.

No program runs meanwhile, so what was looked at does not change; but links may lead anywhere, and are never followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from itertools import count, islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["entries", "is_folder", "remove"]

_AT_ONCE: Final = 10_000
"""Entries that are held in memory: a program may leave any number of files."""
_OWNER: Final = 0o700


def is_folder(path: str) -> bool:
    """Whether this is a folder, and not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder, whatever its permissions are. They must not be deleted while this goes on."""
    _open(folder)
    with os.scandir(folder) as found:
        yield from found


def remove(path: str) -> None:
    """Delete a file, a link, or a folder with all that is in it. A path that does not exist is left alone.

    Folders in folders are moved up before they are emptied, so that neither the depth of the tree nor the length of a
    path matters.

    Raises:
        OSError: something can't be deleted, for example because it belongs to another user.
    """
    if not is_folder(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - pathlib costs ten milliseconds
        return
    unused, numbers = f"{path}/{os.urandom(8).hex()}", count()
    folders = [path]
    while folders:
        folder = folders[-1]
        batch = list(islice(entries(folder), _AT_ONCE))
        if not batch:
            folders.pop()
            os.rmdir(folder)  # noqa: PTH106 - likewise
            continue
        for entry in batch:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)  # noqa: PTH108 - likewise
                continue
            moved = f"{unused}-{next(numbers)}"
            _open(entry.path)  # a folder can be moved only by who may write into it
            os.rename(entry.path, moved)  # noqa: PTH104 - likewise
            folders.append(moved)


def _open(folder: str) -> None:
    """Give the owner all rights to a folder, if this process is the owner."""
    status = os.lstat(folder)
    if status.st_mode & _OWNER != _OWNER and status.st_uid == os.geteuid():
        os.chmod(folder, stat.S_IMODE(status.st_mode) | _OWNER)  # noqa: PTH101 - likewise
