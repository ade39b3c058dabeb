"""The files of one container's log in their order, across rotation, compression and deletion.

What is behind the place that is read from is held open, so that it can still be read when the kubelet has compressed
or deleted it. That takes room on the node's disk which the kubelet does not know of: `MOST_FILES` and `MOST_BYTES`
bound it.

The runtime writes to the old file for a moment after the new one is there. So a file counts as complete when there has
been a newer one for `SETTLED` seconds, in which it has not grown.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.nodelogs.files import LogFile, Name, parse_name
from componentrun.process.nodelogs import ANSWER_BYTES, order_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEPT_SECONDS", "MOST_BYTES", "MOST_FILES", "SETTLED", "Answer", "ContainerLog"]

MOST_FILES: Final = 16
MOST_BYTES: Final = 256 * 2**20
SETTLED: Final = 0.5
KEPT_SECONDS: Final = 30.0
"""A file that was read is held for so long: a collector that dies reads again what it had not stored yet."""
_LONGEST_LINE: Final = 16 * 2**20
_RACY: Final = 100_000_000
"""Nanoseconds. Two changes of a folder this close to each other may leave the same time on it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What there is from one place on."""

    file: str = ""
    """Empty: the container has printed nothing yet."""
    offset: int = 0
    data: bytes = b""
    later: int = 0
    missing: int | None = None
    removed: bool = False


class _Held:
    """A file that is known."""

    def __init__(self, name: Name, text: str, file: LogFile, now: float) -> None:
        self.name, self.text = name, text
        self.id = f"{name.start}-{file.stamp}"
        self.file: LogFile | None = file
        self.gap: int | None = None
        """Bytes that are missing before it; see `process.nodelogs.MISSING`."""
        self.size = file.size()
        self.seen_at = self.grown_at = now
        self.passed_at: float | None = None
        """When somebody read beyond it."""
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
        asked_at: when it was asked for last, by the clock that was given.
    """

    def __init__(self, folder: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take over the descriptor of the container's folder, but where it raises.

        Raises:
            OSError: it can't be read.
            NoLogError: it holds something else than logs.
        """
        self._folder, self._clock = folder, clock
        self._files: list[_Held] = []
        self._floor: Name | None = None
        """This file and those before it were read and given up."""
        self._lost: int | None = None
        """As `_Held.gap`, behind the last file."""
        self._listed: tuple[int, bool] = (-1, False)
        """Time of the folder when it was listed, and whether nothing can have changed since without changing it."""
        self._removed = False
        self.asked_at = clock()
        self.look()

    def close(self) -> None:
        """Give everything back."""
        for held in self._files:
            held.close()
        os.close(self._folder)

    @property
    def empty(self) -> bool:
        """Whether there is no line at all."""
        return not self._files

    @property
    def removed(self) -> bool:
        """Whether the node has deleted the log."""
        return self._removed

    def look(self) -> None:
        """Take in what has become of the files. Cheap where nothing has.

        Raises:
            OSError, NoLogError: see `__init__`.
        """
        changed_at = os.fstat(self._folder).st_mtime_ns
        if self._listed != (changed_at, True):
            settled = self._list()
            self._listed = changed_at, settled and abs(time.time_ns() - changed_at) > _RACY
        self._let_go()

    def answer(self, file: str, offset: int) -> Answer:
        """What there is from this place on; from the first line on where the file is empty.

        Raises:
            KeyError: the file is not there any more, and none behind it.
            OSError: it can't be read.
        """
        self.asked_at = now = self._clock()
        if not self._files and not file:
            return Answer(removed=self._removed)
        at, offset, missing = self._find(file, offset)
        while True:
            held = self._files[at]
            data = self._read(held, offset, last=at == len(self._files) - 1, now=now)
            if data or not self._is_over(at, now):
                break
            at, offset = at + 1, 0
            missing = _plus(missing, self._files[at].gap)
        if not data and at == len(self._files) - 1:
            missing = _plus(missing, self._lost)
        self._pass(at, now)
        return Answer(held.id, offset, data, len(self._files) - 1 - at, missing, self._removed)

    def has(self, file: str, offset: int) -> bool:
        """Whether `answer` would have something new to say. Cheap."""
        at = next((at for at, held in enumerate(self._files) if held.id == file), None)
        if at is None:
            return bool(self._files) or self._removed
        held = self._files[at]
        size = held.file.size() if held.file is not None else None
        return size is None or size > offset or self._removed or self._is_over(at, self._clock())

    def read_to_its_end(self, file: str, offset: int) -> bool:
        """Whether nothing is behind this place."""
        return not self._files or (self._files[-1].id == file and self._files[-1].size == offset)

    # --- what is there

    def _list(self) -> bool:
        """Compare the folder with what is known. Returns whether every file in it could be told."""
        now = self._clock()
        listed = sorted((name, text) for text in self._names() if (name := parse_name(text)) is not None)
        known_before, overlap, all_told = bool(self._files) or self._floor is not None, False, True
        fresh: list[_Held] = []
        for held in self._files:
            held.on_disk = False
        for name, text in listed:
            if self._floor is not None and name <= self._floor:
                overlap = True
                continue
            found = self._identify(name, text, now)
            if found is None:
                all_told = False
            elif found in self._files:
                overlap, found.on_disk = True, True
            else:
                fresh.append(found)
        self._files += fresh  # what is new is newer than what is known
        if fresh and known_before and not overlap:
            fresh[0].gap = 0  # rotated so often since the last look that files in between may be gone
        self._removed = not listed and known_before
        self._forget_lost()
        return all_told

    def _names(self) -> list[str]:
        return os.listdir(self._folder)  # noqa: PTH208 - a descriptor, not a path

    def _identify(self, name: Name, text: str, now: float) -> _Held | None:
        """The file of this name, known or new; None where nothing is in it yet or it is gone already."""
        try:
            inode = os.stat(text, dir_fd=self._folder, follow_symlinks=False).st_ino
            for held in self._files:
                if held.file is not None and held.file.inode == inode:
                    held.name, held.text = name, text
                    return held
            file = LogFile.open(self._folder, text)
        except FileNotFoundError:
            return None
        found = _Held(name, text, file, now)
        for held in self._files:
            if held.id == found.id:  # its compressed copy, or one that was closed
                held.name, held.text = name, text
                found.close()
                return held
        if not file.stamp:
            found.close()
            return None
        return found

    def _forget_lost(self) -> None:
        """Files that were closed for want of room and are deleted now."""
        lost, self._lost = self._lost, None
        for held in list(self._files):
            if held.file is not None or held.on_disk:
                held.gap, lost = _plus(held.gap, lost), None
                continue
            self._files.remove(held)
            if held.passed_at is None:
                lost = _plus(_plus(lost, held.gap), held.size or 0)
        self._lost = lost

    # --- what is read

    def _find(self, file: str, offset: int) -> tuple[int, int, int | None]:
        """Index and offset to read from, and what is missing before."""
        if not file:
            return 0, 0, None
        for at, held in enumerate(self._files):
            if held.id == file:
                return at, offset, None
        for at, held in enumerate(self._files):
            if order_of(held.id) > order_of(file):
                return at, 0, _plus(0, held.gap)
        raise KeyError(file)

    def _read(self, held: _Held, offset: int, *, last: bool, now: float) -> bytes:
        if held.file is None:
            held.file = LogFile.open(self._folder, held.text)
            if held.id != f"{held.name.start}-{held.file.stamp}":
                held.close()
                raise OSError(f"{held.text} was replaced while it was opened")
        data = held.file.read(offset, ANSWER_BYTES)
        end = data.rfind(b"\n") + 1
        if end:
            return data[:end]
        while len(data) >= ANSWER_BYTES and b"\n" not in data[-ANSWER_BYTES:] and len(data) < _LONGEST_LINE:
            more = held.file.read(offset + len(data), ANSWER_BYTES)
            if not more:
                break
            data += more
        end = data.rfind(b"\n") + 1
        # An unfinished line at the end of a file that nobody writes any more: the machine went down meanwhile.
        return data[:end] if end else data if (not last or self._removed) and held.settled(now) else b""

    def _is_over(self, at: int, now: float) -> bool:
        """Whether nothing comes behind the end of this file but in the next one."""
        settled = self._files[at].settled(now)
        return settled and at + 1 < len(self._files) and now - self._files[at + 1].seen_at >= SETTLED

    def _pass(self, at: int, now: float) -> None:
        for index, held in enumerate(self._files):
            if index >= at:
                held.passed_at = None
            elif held.passed_at is None:
                held.passed_at = now

    def _let_go(self) -> None:
        """Close what was read a while ago, and what there is no room for; the newest first, as it is deleted last."""
        now = self._clock()
        while self._files and (passed := self._files[0].passed_at) is not None and now - passed > KEPT_SECONDS:
            gone = self._files.pop(0)
            gone.close()
            if gone.on_disk:
                self._floor = gone.name
        files = size = 0
        for held in sorted(self._files, key=lambda held: held.passed_at is not None):
            if held.file is None:
                continue
            held.size = held.file.size()
            files, size = files + 1, size + (held.size or 0)
            if files > 1 and (files > MOST_FILES or size > MOST_BYTES):
                held.close()


def _plus(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
