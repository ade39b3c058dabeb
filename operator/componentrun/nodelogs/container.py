"""The files of one container's log in their order, across rotation, compression and deletion.

Files after the read position are held open, so that they can still be read after the kubelet compressed or deleted
them. The kubelet does not count the disk space that they take: `MOST_FILES` and `MOST_BYTES` limit it.

The runtime writes to the old file for a moment after the new one is there. So a file counts as complete when there has
been a newer one for `SETTLED` seconds, in which it has not grown.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.nodelogs.files import LogFile, Name, parse_name
from componentrun.wire.logserver import ANSWER_BYTES, order_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEPT_SECONDS", "MOST_BYTES", "MOST_FILES", "SETTLED", "Answer", "ContainerLog"]

MOST_FILES: Final = 16
MOST_BYTES: Final = 256 * 2**20
SETTLED: Final = 0.5
KEPT_SECONDS: Final = 30.0
"""Seconds that a file is held after it was read: a restarted collector reads again what it had not stored."""
_LONGEST_LINE: Final = 16 * 2**20
_RACY: Final = 100_000_000
"""Nanoseconds. Two changes of a folder this close to each other may leave the same time on it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The content from one position on."""

    file: str = ""
    """Empty if the container has printed nothing yet."""
    offset: int = 0
    data: bytes = b""
    later: int = 0
    missing: int | None = None
    removed: bool = False


class _KnownFile:
    """A known file."""

    def __init__(self, name: Name, text: str, file: LogFile, now: float) -> None:
        self.name, self.text = name, text
        self.id = f"{name.start}-{file.stamp}"
        self.file: LogFile | None = file
        self.gap: int | None = None
        """Bytes missing before it; see `wire.logserver.MISSING`."""
        self.size = file.size()
        self.seen_at = self.grown_at = now
        self.passed_at: float | None = None
        """When the read position passed its end."""
        self.on_disk = True

    def settled(self, now: float) -> bool:
        """Whether it has not grown for a while."""
        size = self.file.size() if self.file is not None else self.size
        if size != self.size:
            self.size, self.grown_at = size, now
        return now - self.grown_at >= SETTLED

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


class ContainerLog:
    """The log of one container, as far as it can be read.

    Attributes:
        asked_at: time of the last request, by the clock of the constructor.
    """

    def __init__(self, folder: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take ownership of the descriptor of the container's folder, unless an error is raised.

        Raises:
            OSError: it can't be read.
            NoLogError: it contains other files than logs.
        """
        self._folder, self._clock = folder, clock
        self._files: list[_KnownFile] = []
        self._floor: Name | None = None
        """This file and older ones were read and are no longer held."""
        self._lost: int | None = None
        """As `_KnownFile.gap`, after the last file."""
        self._listed: tuple[int, bool] = (-1, False)
        """Modification time of the folder at its last listing, and whether every later change must change it."""
        self._removed = False
        self.asked_at = clock()
        self.look()

    def close(self) -> None:
        """Close all files."""
        for log_file in self._files:
            log_file.close()
        os.close(self._folder)

    @property
    def empty(self) -> bool:
        """Whether the log has no line."""
        return not self._files

    @property
    def removed(self) -> bool:
        """Whether the node has deleted the log."""
        return self._removed

    def look(self) -> None:
        """Update the known files. Cheap if nothing has changed.

        Raises:
            OSError, NoLogError: see `__init__`.
        """
        changed_at = os.fstat(self._folder).st_mtime_ns
        if self._listed != (changed_at, True):
            settled = self._list()
            self._listed = changed_at, settled and abs(time.time_ns() - changed_at) > _RACY
        self._let_go()

    def answer(self, file: str, offset: int) -> Answer:
        """Return the content from this position on, or from the first line on if `file` is empty.

        Raises:
            KeyError: neither the file nor a later one exists.
            OSError: it can't be read.
        """
        self.asked_at = now = self._clock()
        if not self._files and not file:
            return Answer(removed=self._removed)
        index, offset, missing = self._find(file, offset)
        while True:
            log_file = self._files[index]
            data = self._read(log_file, offset, last=index == len(self._files) - 1, now=now)
            if data or not self._is_over(index, now):
                break
            index, offset = index + 1, 0
            missing = _plus(missing, self._files[index].gap)
        if not data and index == len(self._files) - 1:
            missing = _plus(missing, self._lost)
        self._pass(index, now)
        return Answer(log_file.id, offset, data, len(self._files) - 1 - index, missing, self._removed)

    def has(self, file: str, offset: int) -> bool:
        """Whether `answer` would return something new. Cheap."""
        index = next((index for index, log_file in enumerate(self._files) if log_file.id == file), None)
        if index is None:
            return bool(self._files) or self._removed
        log_file = self._files[index]
        size = log_file.file.size() if log_file.file is not None else None
        return size is None or size > offset or self._removed or self._is_over(index, self._clock())

    def read_to_its_end(self, file: str, offset: int) -> bool:
        """Whether there is nothing after this position."""
        return not self._files or (self._files[-1].id == file and self._files[-1].size == offset)

    # --- known files

    def _list(self) -> bool:
        """Compare the folder with the known files. Returns whether every file in it was identified."""
        now = self._clock()
        entries = sorted((name, text) for text in self._names() if (name := parse_name(text)) is not None)
        was_listed, overlap, is_complete = bool(self._files) or self._floor is not None, False, True
        new_files: list[_KnownFile] = []
        for log_file in self._files:
            log_file.on_disk = False
        for name, text in entries:
            if self._floor is not None and name <= self._floor:
                overlap = True
                continue
            match = self._identify(name, text, now)
            if match is None:
                is_complete = False
            elif match in self._files:
                overlap, match.on_disk = True, True
            else:
                new_files.append(match)
        self._files += new_files  # new files are newer than known ones
        if new_files and was_listed and not overlap:
            new_files[0].gap = 0  # rotated so often since the last listing that files in between may have been deleted
        self._removed = not entries and was_listed
        self._forget_lost()
        return is_complete

    def _names(self) -> list[str]:
        return os.listdir(self._folder)  # noqa: PTH208 - a descriptor, not a path

    def _identify(self, name: Name, text: str, now: float) -> _KnownFile | None:
        """The known or new file of this name; None if it is empty or deleted."""
        try:
            inode = os.stat(text, dir_fd=self._folder, follow_symlinks=False).st_ino
            for log_file in self._files:
                if log_file.file is not None and log_file.file.inode == inode:
                    log_file.name, log_file.text = name, text
                    return log_file
            file = LogFile.open(self._folder, text)
        except FileNotFoundError:
            return None
        new_file = _KnownFile(name, text, file, now)
        for log_file in self._files:
            if log_file.id == new_file.id:  # a compressed copy of a known file, or a file that was closed
                log_file.name, log_file.text = name, text
                new_file.close()
                return log_file
        if not file.stamp:
            new_file.close()
            return None
        return new_file

    def _forget_lost(self) -> None:
        """Drop files that were closed to save space and have been deleted since."""
        lost, self._lost = self._lost, None
        for log_file in list(self._files):
            if log_file.file is not None or log_file.on_disk:
                log_file.gap, lost = _plus(log_file.gap, lost), None
                continue
            self._files.remove(log_file)
            if log_file.passed_at is None:
                lost = _plus(_plus(lost, log_file.gap), log_file.size or 0)
        self._lost = lost

    # --- reading

    def _find(self, file: str, offset: int) -> tuple[int, int, int | None]:
        """Index of the file, offset to read from, and bytes missing before."""
        if not file:
            return 0, 0, None
        for index, log_file in enumerate(self._files):
            if log_file.id == file:
                return index, offset, None
        for index, log_file in enumerate(self._files):
            if order_of(log_file.id) > order_of(file):
                return index, 0, _plus(0, log_file.gap)
        raise KeyError(file)

    def _read(self, log_file: _KnownFile, offset: int, *, last: bool, now: float) -> bytes:
        if log_file.file is None:
            log_file.file = LogFile.open(self._folder, log_file.text)
            if log_file.id != f"{log_file.name.start}-{log_file.file.stamp}":
                log_file.close()
                raise OSError(f"{log_file.text} was replaced while it was opened")
        data = log_file.file.read(offset, ANSWER_BYTES)
        end = data.rfind(b"\n") + 1
        if end:
            return data[:end]
        while len(data) >= ANSWER_BYTES and b"\n" not in data[-ANSWER_BYTES:] and len(data) < _LONGEST_LINE:
            more = log_file.file.read(offset + len(data), ANSWER_BYTES)
            if not more:
                break
            data += more
        end = data.rfind(b"\n") + 1
        # An unfinished line at the end of a complete file: the machine went down while it was written.
        return data[:end] if end else data if (not last or self._removed) and log_file.settled(now) else b""

    def _is_over(self, index: int, now: float) -> bool:
        """Whether this file is complete: all later lines are in the next one."""
        settled = self._files[index].settled(now)
        return settled and index + 1 < len(self._files) and now - self._files[index + 1].seen_at >= SETTLED

    def _pass(self, current: int, now: float) -> None:
        for index, log_file in enumerate(self._files):
            if index >= current:
                log_file.passed_at = None
            elif log_file.passed_at is None:
                log_file.passed_at = now

    def _let_go(self) -> None:
        """Close files that were read a while ago, and those beyond the limits, newest first."""
        now = self._clock()
        while self._files and (passed_at := self._files[0].passed_at) is not None and now - passed_at > KEPT_SECONDS:
            oldest = self._files.pop(0)
            oldest.close()
            if oldest.on_disk:
                self._floor = oldest.name
        files = size = 0
        for log_file in sorted(self._files, key=lambda log_file: log_file.passed_at is not None):
            if log_file.file is None:
                continue
            log_file.size = log_file.file.size()
            files, size = files + 1, size + (log_file.size or 0)
            if files > 1 and (files > MOST_FILES or size > MOST_BYTES):
                log_file.close()


def _plus(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else first + second
