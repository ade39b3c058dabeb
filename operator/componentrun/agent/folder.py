"""The data folder. Its content is not trusted: the component owns it, so every name may be a trap.

Each path is opened one part at a time from a descriptor of the folder, and links are never followed. So a path can't be
swapped between check and open. Anything but a regular file is an error that names it.
A second hard link is harmless: the folder is its own mount, so the link can only lead to another file of the component.
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

__all__ = [
    "FILE",
    "FOLDER",
    "LARGER_DATA_FOLDER",
    "Entry",
    "Folder",
    "Opened",
    "disk_error",
    "kind_of",
    "refused",
    "shown",
]

FILE: Final = "a regular file"
FOLDER: Final = "a folder"
LARGER_DATA_FOLDER: Final = "Give the run (or its Component) a larger data folder."
"""Advice for errors with the reason `DiskFull`."""

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
# Opening a pipe would block until its other end opens; opening a terminal could make it the controlling terminal.
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_ENTRIES: Final = 20_000
"""Maximum entries of one folder. More is a mistake, or an attempt to exhaust the agent's memory."""
_KEPT_FOLDERS: Final = 16
_DOCUMENT_BYTES: Final = 16 * 2**20
"""Maximum size of a manifest or state file that is read."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a folder."""

    name: str
    kind: str
    """`FILE`, `FOLDER`, or another kind in words."""
    size: int
    """Size in bytes."""

    @property
    def hidden(self) -> bool:
        """Whether it is a hidden file, as editors, shells and other tools create: `.DS_Store`, `.part-0.crc`."""
        return self.name.startswith(".") and self.kind in {FILE, FOLDER}


@dataclass(frozen=True, slots=True)
class Opened:
    """A regular file, open for reading."""

    descriptor: int
    size: int
    """Size in bytes when the file was opened."""

    def read(self, length: int, offset: int) -> bytes:
        """Read bytes; returns fewer than `length` only at the end of the file."""
        return os.pread(self.descriptor, length, offset)


def shown(name: str) -> str:
    """A file name as messages show it: control characters and bytes that are not UTF-8 are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def disk_error(error: OSError, subject: str) -> ComponentRunError:
    """Convert an error of the file system: a full disk is a user error, everything else a platform error."""
    if error.errno in _FULL:
        return UserError(f"{subject}: no space left in the data folder", Reason.DISK_FULL, advice=LARGER_DATA_FOLDER)
    return PlatformError(f"{subject}: {error.strerror or type(error).__name__}")


class Folder:
    """A folder that belongs to the component; a context manager that closes it.

    Args:
        path: mount path; the path itself is trusted.
    """

    def __init__(self, path: str) -> None:
        """Open the folder."""
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PlatformError(f"the data folder {path} can't be opened: {error.strerror}") from error
        self._made: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all descriptors."""
        for descriptor in (self._root, *self._made.values()):
            os.close(descriptor)

    def free_bytes(self) -> int:
        """Number of bytes that can still be written."""
        filesystem = os.fstatvfs(self._root)
        return filesystem.f_bavail * filesystem.f_frsize

    def entries(self, path: str) -> list[Entry]:
        """Entries of a folder, sorted by name; empty if the folder does not exist.

        Raises:
            UserError: (OutputInvalid) a part of the path is a link or not a folder, or there are too many entries.
        """
        entries: list[Entry] = []
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._folder(path))
            except FileNotFoundError:
                return []
            for item in stack.enter_context(os.scandir(descriptor)):
                try:
                    status = item.stat(follow_symlinks=False)
                except PermissionError as error:
                    # A folder with read but without search permission lists names and nothing else.
                    raise _unreadable(path, os.fstat(descriptor).st_mode) from error
                if len(entries) >= _MOST_ENTRIES:
                    raise UserError(
                        f"{shown(path)}: more than {_MOST_ENTRIES} files; expected at most that many",
                        Reason.OUTPUT_INVALID,
                    )
                entries.append(Entry(item.name, kind_of(status.st_mode), status.st_size))
        return sorted(entries, key=lambda entry: entry.name)

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[Opened]:
        """Open a regular file for reading.

        Raises:
            FileNotFoundError: the file does not exist.
            UserError: (OutputInvalid) not a regular file, a part of its path is not a folder, or not readable.
        """
        folder, _, name = path.rpartition("/")
        with self._known(folder) as parent:
            descriptor = _open_below(parent, name, _READ_FLAGS, path)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise refused(path, kind_of(status.st_mode))
            yield Opened(descriptor, status.st_size)
        finally:
            os.close(descriptor)

    def document(self, path: str) -> bytes:
        """Read a small file, such as a manifest or a state.

        Raises:
            FileNotFoundError: the file does not exist.
            UserError: (OutputInvalid) see `open`; or the file is too large.
        """
        with self.open(path) as file:
            if file.size > _DOCUMENT_BYTES:
                raise UserError(
                    f"{shown(path)}: {file.size} bytes; expected at most {_DOCUMENT_BYTES}", Reason.OUTPUT_INVALID
                )
            return file.read(file.size, 0)

    def create(self, path: str, mode: int = 0o644) -> int:
        """Create or truncate a file, and create its parent folders. The caller closes the returned descriptor.

        Raises:
            UserError: (DiskFull) no space left; (OutputInvalid) a part of the path is a link or not a folder.
            PlatformError: (Internal) it can't be created.
        """
        folder, _, name = path.rpartition("/")
        try:
            return os.open(name, _WRITE_FLAGS, mode, dir_fd=self._parent(folder))
        except OSError as error:
            raise disk_error(error, shown(path)) from error

    def make(self, path: str) -> None:
        """Create a folder and its parents unless they exist. Raises the errors of `create`."""
        try:
            with self._folder(path, create=True):
                pass
        except OSError as error:
            raise disk_error(error, shown(path)) from error

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Write a small file. Raises the errors of `create`."""
        with open(self.create(path, mode), "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            try:
                file.write(content)
                file.flush()
            except OSError as error:
                raise disk_error(error, shown(path)) from error

    def replace(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Replace a small file by a new one with this content. Raises the errors of `create`."""
        folder, _, name = path.rpartition("/")
        self.write(f"{path}.new", content, mode)
        try:
            parent = self._parent(folder)
            os.rename(f"{name}.new", name, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError as error:
            raise disk_error(error, shown(path)) from error

    def write_json(self, path: str, document: dict[str, Any]) -> None:
        """Write a small JSON document. Raises the errors of `create`."""
        self.write(path, json.dumps(document, ensure_ascii=False).encode())

    def take(self, source: str, path: str) -> None:
        """Move a file of the same volume to its path in the folder. Raises the errors of `create`."""
        folder, _, name = path.rpartition("/")
        try:
            os.rename(source, name, dst_dir_fd=self._parent(folder))
        except OSError as error:
            raise disk_error(error, shown(path)) from error

    def _parent(self, path: str) -> int:
        """Descriptor of a folder to write into, created if necessary. Kept open: many files share few folders."""
        with self._lock:
            if path not in self._made:
                with self._folder(path, create=True) as descriptor:
                    self._made[path] = os.dup(descriptor)
            return self._made[path]

    @contextlib.contextmanager
    def _known(self, path: str) -> Iterator[int]:
        """Descriptor of a folder to read from. The first few stay open: one folder may contain thousands of files."""
        with self._lock:
            kept = self._made.get(path)
            if kept is None and len(self._made) < _KEPT_FOLDERS:
                with self._folder(path) as descriptor:
                    kept = self._made[path] = os.dup(descriptor)
        if kept is not None:
            yield kept
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
    """Open a name without following links; if it is of another kind, the error says which."""
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
            raise refused(path, kind_of(mode)) from error
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise _unreadable(path, mode) from error
        raise PlatformError(f"{shown(path)}: {error.strerror}") from error


def _unreadable(path: str, mode: int) -> UserError:
    allowed = stat.S_IMODE(mode) & 0o777
    return UserError(f"{shown(path)}: may not be read (its mode is {allowed:04o})", Reason.OUTPUT_INVALID)


def kind_of(mode: int) -> str:
    """The kind of an entry in words, by its mode."""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "something unknown")


def refused(path: str, kind: str) -> UserError:
    """The error for an entry of the data folder that is not of the expected kind."""
    expected = FOLDER if kind == FILE else FILE
    return UserError(f"{shown(path)}: found {kind}, expected {expected}; links are not followed", Reason.OUTPUT_INVALID)
