"""One file of a container's log, held open: what was in it can be read whatever becomes of its name."""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from dataclasses import dataclass
from typing import Final, Self

from componentrun.errors import PlatformError

__all__ = ["LogFile", "Name", "NoLogError", "parse_name"]

_NAME: Final = re.compile(r"(\d{1,9})\.log(?:\.(\d[\d-]{0,30}))?(\.gz)?", re.ASCII)
_CURRENT: Final = "~"
"""Sorts behind every time."""
_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.:+Z-]{1,17}) ")
_STAMP_BYTES: Final = 40
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NoLogError(PlatformError):
    """The file is none that a container runtime writes in the form of CRI."""


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """What a file's name says; sorts from the oldest to the newest."""

    start: int
    """Which start of the container wrote it, from 0."""
    rotated: str
    """When it was rotated, as the kubelet writes it; `~` for the one that is written."""


def parse_name(text: str) -> Name | None:
    """`0.log`, `0.log.20261124-074633` and `0.log.20261124-074633.gz`; None for anything else, e.g. `.tmp`."""
    match = _NAME.fullmatch(text)
    if match is None or (match[3] and not match[2]):
        return None
    return Name(int(match[1]), match[2] or _CURRENT)


class LogFile:
    """An open file.

    Attributes:
        inode: its number; nobody else has it while the file is open.
        stamp: time of its first line as it stands there; empty while it has none.
    """

    def __init__(self, descriptor: int, *, compressed: bool) -> None:
        """Take over this descriptor. See `open`."""
        self._raw = os.fdopen(descriptor, "rb", buffering=0)
        self.inode = os.fstat(descriptor).st_ino
        self._content = gzip.GzipFile(fileobj=self._raw) if compressed else None
        self._end: int | None = None
        """Bytes of the content of a compressed file; None: not known before it was read."""
        self.stamp = ""

    @classmethod
    def open(cls, folder: int, name: str) -> Self:
        """Open a file of this folder (a descriptor).

        Raises:
            OSError: it is not there, or can't be read.
            NoLogError: it is no regular file, e.g. a link out of the folder, or holds something else.
        """
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=folder)
        except OSError as error:
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise NoLogError(f"{name} is a link; the container runtime does not write logs as CRI asks") from error
            raise
        made = cls(descriptor, compressed=name.endswith(".gz"))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NoLogError(f"{name} is no regular file")  # noqa: TRY301 - closed below
            made.stamp = _stamp_of(made.read(0, _STAMP_BYTES), name)
        except BaseException:
            made.close()
            raise
        return made

    def size(self) -> int | None:
        """Bytes of its content now; None: of a compressed file that was not read to its end."""
        return os.fstat(self._raw.fileno()).st_size if self._content is None else self._end

    def read(self, offset: int, limit: int) -> bytes:
        """Content from there on; empty at its end."""
        if self._content is None:
            return os.pread(self._raw.fileno(), limit, offset)
        if self._end is not None and offset >= self._end:
            return b""
        try:
            self._content.seek(offset)
            data = self._content.read(limit)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise OSError(f"the compressed log can't be read: {error}") from error
        if len(data) < limit:
            self._end = self._content.tell()
        return data

    def close(self) -> None:
        """Give it back."""
        self._raw.close()


def _stamp_of(head: bytes, name: str) -> str:
    """The time of the first line; empty where that is not there yet."""
    match = _STAMP.match(head)
    if match is not None:
        return match[1].decode("ascii")
    if len(head) < _STAMP_BYTES and b" " not in head:
        return ""
    raise NoLogError(f"{name} does not begin with a time: the container runtime does not write logs as CRI asks")
