"""The data folder, where nothing is trusted: the component owns it, so every name may be a trap.

Files are reached from a descriptor of the folder, one part of the path after the other, and no link is followed at any
of them; so no path can be changed between a look and an open. What is no regular file is an error that names it.
A second hard link is fine: the folder is a mount of its own, so it can only lead to another file of the component.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FILE", "FOLDER", "Entry", "Folder", "Opened", "disk_error", "refused", "shown"]

FILE: Final = "a regular file"
FOLDER: Final = "a folder"

_KINDS: Final = (
    (stat.S_ISREG, FILE),
    (stat.S_ISDIR, FOLDER),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Opening a pipe would wait for its other end, opening a terminal could make it ours.
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_ENTRIES: Final = 20_000
"""Names in one folder; more would be an attempt to fill the agent's memory, or a mistake."""
_KEPT_FOLDERS: Final = 16
_DOCUMENT_BYTES: Final = 16 * 2**20
"""The largest manifest or state that is read."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder."""

    name: str
    kind: str
    """`FILE`, `FOLDER`, or what else it is, in words."""
    size: int
    """Bytes."""

    @property
    def hidden(self) -> bool:
        """Whether it is what editors, shells and other tools leave: `.DS_Store`, `.part-0.crc`."""
        return self.name.startswith(".") and self.kind in {FILE, FOLDER}


@dataclass(frozen=True, slots=True)
class Opened:
    """A regular file, open for reading."""

    descriptor: int
    size: int
    """Bytes, when it was opened."""

    def read(self, length: int, offset: int) -> bytes:
        """Bytes of the file; fewer than `length` only at its end."""
        return os.pread(self.descriptor, length, offset)


def shown(name: str) -> str:
    """A file name as a message may hold it: bytes that are no UTF-8 and control characters are spelled out."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def disk_error(error: OSError, what: str) -> ComponentRunError:
    """What an error of the file system means: a full disk is the run's to mend, the rest is not."""
    if error.errno in _FULL:
        return UserError(
            f"{what}: no space left in the data folder; give the run (or its Component) a larger data folder",
            Reason.DISK_FULL,
        )
    return PlatformError(f"{what}: {error.strerror or type(error).__name__}")


class Folder:
    """A folder that belongs to the component; a context manager that lets it go.

    Args:
        path: where it is mounted; itself trusted.
    """

    def __init__(self, path: str) -> None:
        """Open it."""
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PlatformError(f"the data folder {path} can't be opened: {error.strerror}") from error
        self._made: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        for descriptor in (self._root, *self._made.values()):
            os.close(descriptor)

    def free_bytes(self) -> int:
        """What can still be written to it."""
        found = os.fstatvfs(self._root)
        return found.f_bavail * found.f_frsize

    def entries(self, path: str) -> list[Entry]:
        """Names below a folder, sorted; empty where it is not there.

        Raises:
            UserError: (OutputInvalid) a part of the path is a link or no folder, or there are too many names.
        """
        found: list[Entry] = []
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._folder(path))
            except FileNotFoundError:
                return []
            for item in stack.enter_context(os.scandir(descriptor)):
                try:
                    status = item.stat(follow_symlinks=False)
                except PermissionError as error:
                    # A folder that may be read but not searched gives names, and nothing else.
                    raise _unreadable(path, os.fstat(descriptor).st_mode) from error
                if len(found) >= _MOST_ENTRIES:
                    raise UserError(
                        f"{shown(path)}: more than {_MOST_ENTRIES} files; expected at most that many",
                        Reason.OUTPUT_INVALID,
                    )
                found.append(Entry(item.name, _kind(status.st_mode), status.st_size))
        return sorted(found, key=lambda entry: entry.name)

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[Opened]:
        """Open a regular file for reading.

        Raises:
            FileNotFoundError: it is not there.
            UserError: (OutputInvalid) it, or a part of its path, is something else, or may not be read.
        """
        folder, _, name = path.rpartition("/")
        with self._known(folder) as parent:
            descriptor = _open_below(parent, name, _READ_FLAGS, path)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise refused(path, _kind(status.st_mode))
            yield Opened(descriptor, status.st_size)
        finally:
            os.close(descriptor)

    def document(self, path: str) -> bytes:
        """Content of a small file: a manifest, a state.

        Raises:
            FileNotFoundError: it is not there.
            UserError: (OutputInvalid) as `open`, or it is too large for what it should be.
        """
        with self.open(path) as file:
            if file.size > _DOCUMENT_BYTES:
                raise UserError(
                    f"{shown(path)}: {file.size} bytes; expected at most {_DOCUMENT_BYTES}", Reason.OUTPUT_INVALID
                )
            return file.read(file.size, 0)

    def create(self, path: str, mode: int = 0o644) -> int:
        """Make a file (or empty the one that is there), and the folders above it; the descriptor is the caller's.

        Raises:
            UserError: (DiskFull) no space left; (OutputInvalid) a part of the path is a link or no folder.
            PlatformError: (Internal) it can't be made.
        """
        folder, _, name = path.rpartition("/")
        try:
            return os.open(name, _WRITE_FLAGS, mode, dir_fd=self._parent(folder))
        except OSError as error:
            raise disk_error(error, shown(path)) from error

    def make(self, path: str) -> None:
        """Make a folder and those above it, unless they are there. Raises as `create` does."""
        try:
            with self._folder(path, create=True):
                pass
        except OSError as error:
            raise disk_error(error, shown(path)) from error

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Write a small file. Raises as `create` does."""
        with open(self.create(path, mode), "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            try:
                file.write(content)
                file.flush()
            except OSError as error:
                raise disk_error(error, shown(path)) from error

    def write_json(self, path: str, document: dict[str, Any]) -> None:
        """Write a small document. Raises as `create` does."""
        self.write(path, json.dumps(document, ensure_ascii=False).encode())

    def take(self, source: str, path: str) -> None:
        """Move a file of the same volume to its place. Raises as `create` does."""
        folder, _, name = path.rpartition("/")
        try:
            os.rename(source, name, dst_dir_fd=self._parent(folder))
        except OSError as error:
            raise disk_error(error, shown(path)) from error

    def _parent(self, path: str) -> int:
        """A folder to write into, made if need be. Kept open, because thousands of files go into the same few."""
        with self._lock:
            if path not in self._made:
                with self._folder(path, create=True) as descriptor:
                    self._made[path] = os.dup(descriptor)
            return self._made[path]

    @contextlib.contextmanager
    def _known(self, path: str) -> Iterator[int]:
        """A folder to read from. The first few are kept open, because thousands of files may be in one of them."""
        with self._lock:
            known = self._made.get(path)
            if known is None and len(self._made) < _KEPT_FOLDERS:
                with self._folder(path) as descriptor:
                    known = self._made[path] = os.dup(descriptor)
        if known is not None:
            yield known
            return
        with self._folder(path) as descriptor:
            yield descriptor

    @contextlib.contextmanager
    def _folder(self, path: str, *, create: bool = False) -> Iterator[int]:
        descriptor = os.dup(self._root)
        try:
            walked = ""
            for part in path.split("/") if path else ():
                walked = f"{walked}/{part}" if walked else part
                if part in {"", ".", ".."}:
                    raise UserError(f"{shown(path)}: leads out of the data folder", Reason.OUTPUT_INVALID)
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                below = _open_below(descriptor, part, _DIRECTORY_FLAGS, walked)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _open_below(parent: int, name: str, flags: int, path: str) -> int:
    """Open a name, never through a link; what it is instead is told where it is something else."""
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        try:
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except PermissionError as unsearchable:
            raise _unreadable(path.rpartition("/")[0], os.fstat(parent).st_mode) from unsearchable
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ENODEV}:
            raise refused(path, _kind(mode)) from error
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise _unreadable(path, mode) from error
        raise PlatformError(f"{shown(path)}: {error.strerror}") from error


def _unreadable(path: str, mode: int) -> UserError:
    allowed = stat.S_IMODE(mode) & 0o777
    return UserError(f"{shown(path)}: may not be read (its mode is {allowed:04o})", Reason.OUTPUT_INVALID)


def _kind(mode: int) -> str:
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "something unknown")


def refused(path: str, kind: str) -> UserError:
    """The error for a name in the data folder that is not what it should be."""
    expected = FOLDER if kind == FILE else FILE
    return UserError(f"{shown(path)}: found {kind}, expected {expected}; links are not followed", Reason.OUTPUT_INVALID)
