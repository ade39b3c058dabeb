"""One file of a container's log, held open, so that it can be read after it is renamed or deleted."""

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
"""Sorts after every time."""
_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.:+Z-]{1,17}) ")
_STAMP_BYTES: Final = 40
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NoLogError(PlatformError):
    """The file is not a log in the CRI format."""


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """The parts of a file's name; sorts from oldest to newest."""

    start: int
    """Number of the container's start that wrote it, from 0."""
    rotated: str
    """When it was rotated, as the kubelet writes it; `~` for the current file."""


def parse_name(text: str) -> Name | None:
    """Parse `0.log`, `0.log.20261124-074633` or `0.log.20261124-074633.gz`; None for other names, such as `.tmp`."""
    match = _NAME.fullmatch(text)
    if match is None or (match[3] and not match[2]):
        return None
    return Name(int(match[1]), match[2] or _CURRENT)


class LogFile:
    """An open file.

    Attributes:
        inode: its number, which no other file gets while this one is open.
        stamp: timestamp of its first line; empty if there is none yet.
    """

    def __init__(self, descriptor: int, *, compressed: bool) -> None:
        """Take ownership of this descriptor. See `open`."""
        self._raw = os.fdopen(descriptor, "rb", buffering=0)
        self.inode = os.fstat(descriptor).st_ino
        self._content = gzip.GzipFile(fileobj=self._raw) if compressed else None
        self._end: int | None = None
        """Size of the content of a compressed file in bytes; None until it was read to the end."""
        self.stamp = ""

    @classmethod
    def open(cls, folder: int, name: str) -> Self:
        """Open a file of this folder (a descriptor).

        Raises:
            OSError: it does not exist or can't be read.
            NoLogError: it is not a regular file, such as a link, or not a log.
        """
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=folder)
        except OSError as error:
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise NoLogError(
                    f"{name} is a link; the container runtime does not write logs in the CRI format"
                ) from error
            raise
        file = cls(descriptor, compressed=name.endswith(".gz"))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NoLogError(f"{name} is not a regular file")  # noqa: TRY301 - closed below
            file.stamp = _stamp_of(file.read(0, _STAMP_BYTES), name)
        except BaseException:
            file.close()
            raise
        return file

    def size(self) -> int | None:
        """Current size of its content in bytes; None for a compressed file that was not read to the end."""
        return os.fstat(self._raw.fileno()).st_size if self._content is None else self._end

    def read(self, offset: int, limit: int) -> bytes:
        """Content from this offset on; empty at the end."""
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
        """Close the file."""
        self._raw.close()


def _stamp_of(head: bytes, name: str) -> str:
    """The timestamp of the first line; empty if it is not complete yet."""
    match = _STAMP.match(head)
    if match is not None:
        return match[1].decode("ascii")
    if len(head) < _STAMP_BYTES and b" " not in head:
        return ""
    raise NoLogError(f"{name} does not begin with a time: the container runtime does not write logs in the CRI format")
