"""How far the log of one container was read, and how to continue exactly there. Pure.

The log API can only start at a whole second, inclusive, and lines of stdout and stderr overtake each other by
milliseconds. So a resumed request starts one second before the second of the newest timestamp, and the lines that
were seen since then are taken off again: a multiset of digests of whole lines, timestamp included ("rule B",
measured: 50 drops, no line lost, none twice).

A container may print more lines in those seconds than a checkpoint should hold. Beyond `EXACT_LINES` the oldest lines
are folded into a number: of the lines up to their newest timestamp, that many are taken as seen. That is safe while
no unseen line is older than `EXACT_LINES` seen ones. The worst overtaking that was measured is 6 ms, in which the
fastest log that was measured (46,000 lines/s) brings 290 lines.

Digests are kept as bytes, not as objects: at most about 15 KiB for a position and 10 KiB for a replay (see
`tests/unit/collector/test_memory.py`).
"""

from __future__ import annotations

import base64
import sys
from array import array
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Self

from componentrun.collector.readers.api.lines import DIGEST_SIZE, PART_BYTES, SECOND, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from componentrun.collector.readers.line import Line

__all__ = ["EXACT_LINES", "SLACK", "Position", "Replay"]

EXACT_LINES: Final = 1024
_STRETCH_BYTES: Final = 32 * DIGEST_SIZE
_ALL: Final = 2**53
SLACK: Final = SECOND
"""How far before the second of the newest line a resumed request starts."""


@dataclass(frozen=True, slots=True)
class _Fragments:
    """What the kubelet may send of a long line whose first parts are older than the start of a resumed request.

    It is the line's tail, stamped with the time of a later part.
    """

    marks: tuple[bytes, ...]
    """Digests of the texts that may come."""
    begun: int
    """Time of the line's first part."""
    ended: int = 0
    """Time of the line behind it, which is not before its last part; 0: there is none yet."""

    @classmethod
    def of(cls, line: Line) -> Self:
        return cls(tuple(digest(line.text[at:]) for at in range(PART_BYTES, len(line.text), PART_BYTES)), line.time)

    def to_json(self) -> dict[str, Any]:
        return {"marks": _text(b"".join(self.marks)), "begun": self.begun, "ended": self.ended}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        marks = tuple(bytes(mark) for mark in _marks(base64.b64decode(document["marks"])))
        return cls(marks, int(document["begun"]), int(document["ended"]))


class _Stretch:
    """Digests of a few consecutive lines of one second, in the order of reading."""

    __slots__ = ("digests", "newest")

    def __init__(self, newest: int, digests: bytes) -> None:
        self.newest = newest
        """Time of the newest line."""
        self.digests = bytearray(digests)

    def __len__(self) -> int:
        """How many lines."""
        return len(self.digests) // DIGEST_SIZE


class _Recent:
    """Digests of the lines that were read last, in the order in which they were read."""

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque()
        self._count = 0

    def add(self, lines: Sequence[Line]) -> None:
        """Add lines that were read."""
        for second, some in groupby(lines, key=_second):
            together = list(some)
            self._add(second, [line.time for line in together], b"".join([line.digest for line in together]))

    def _add(self, second: int, times: Sequence[int], digests: bytes) -> None:
        self._count += len(times)
        last = self._stretches[-1] if self._stretches else None
        at = 0
        if last is not None and last.newest // SECOND == second:
            at = max(0, _STRETCH_BYTES - len(last.digests))
            last.digests += digests[:at]
            last.newest = max([last.newest, *times[: at // DIGEST_SIZE]])
        for begin in range(at, len(digests), _STRETCH_BYTES):
            end = begin + _STRETCH_BYTES
            newest = max(times[begin // DIGEST_SIZE : end // DIGEST_SIZE])
            self._stretches.append(_Stretch(newest, digests[begin:end]))

    def drop_before(self, floor: int) -> None:
        """Forget lines older than this second."""
        while self._stretches and self._stretches[0].newest < floor:
            self._count -= len(self._stretches.popleft())

    def fold(self, most: int) -> tuple[int, int]:
        """Forget the oldest lines beyond a maximum; returns their number and their newest time."""
        folded, until = 0, 0
        while self._count - len(self._stretches[0] if self._stretches else ()) >= max(most, 1):
            stretch = self._stretches.popleft()
            self._count -= len(stretch)
            folded, until = folded + len(stretch), max(until, stretch.newest)
        return folded, until

    def holds(self, mark: bytes) -> bool:
        """Whether the line of this digest is among them."""
        return any(mark in _marks(stretch.digests) for stretch in reversed(self._stretches))

    def to_bytes(self) -> bytes:
        """All digests."""
        return b"".join([stretch.digests for stretch in self._stretches])

    @classmethod
    def from_bytes(cls, digests: bytes, time: int) -> Self:
        """Of lines of which only the time of the newest is known."""
        self = cls()
        self._add(time // SECOND, [time] * (len(digests) // DIGEST_SIZE), digests)
        return self


def _second(line: Line) -> int:
    return line.time // SECOND


class Position:
    """How far one container's log was read into events."""

    def __init__(self) -> None:
        """Start without lines."""
        self.newest = 0
        """Newest timestamp; 0 if nothing was read."""
        self.lines = 0
        """Number of lines that were read."""
        self._recent = _Recent()
        self._highest = 0
        """As `newest`, but never set back."""
        self._folded = 0
        self._folded_until = 0
        self._fragments: _Fragments | None = None

    @property
    def floor(self) -> int:
        """Where a resumed request starts: a whole second."""
        return self.newest // SECOND * SECOND - SLACK if self.newest else 0

    def add(self, lines: Iterable[Line]) -> None:
        """Move behind these lines, which are in the order of the log."""
        lines = list(lines)
        self.lines += len(lines)
        self._recent.add(lines)
        self.newest = max(self.newest, max([line.time for line in lines], default=0))
        if self._fragments is not None or max([line.size for line in lines], default=0) > PART_BYTES:
            self._note_fragments(lines)
        self._highest = max(self._highest, self.newest)
        self._trim()

    def _note_fragments(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if line.size > PART_BYTES:
                self._fragments = _Fragments.of(line)
            elif self._fragments is not None and not self._fragments.ended:
                self._fragments = replace(self._fragments, ended=line.time)

    def rebase(self, time: int) -> None:
        """Continue from `time`, to which the node's clock was set back. Lines that were read stay known."""
        self.newest = time

    def has_read(self, line: Line) -> bool:
        """Whether this line, the last one of the log, was read. It may be the last part of a long line."""
        if self._fragments is not None and digest(line.text) in self._fragments.marks:
            return True
        return self._recent.holds(line.digest) or line.time <= self._folded_until

    def replay(self) -> Replay:
        """A filter for the response to a resumed request, which skips lines that were read before."""
        fragments = self._fragments
        marks = fragments.marks if fragments is not None and fragments.begun < self.floor else ()
        return Replay(self._highest, self._recent.to_bytes(), (self._folded, self._folded_until), marks)

    def _trim(self) -> None:
        floor = self.floor
        self._recent.drop_before(floor)
        folded, until = self._recent.fold(EXACT_LINES)
        self._folded, self._folded_until = self._folded + folded, max(self._folded_until, until)
        if self._folded and self._folded_until < floor:
            self._folded, self._folded_until = 0, 0
        if self._fragments is not None and 0 < self._fragments.ended < floor:
            self._fragments = None

    @classmethod
    def behind(cls, time: int, lines: int) -> Self:
        """A position after a line of which only the time is known: all lines up to it count as read."""
        self = cls()
        self.newest = self._highest = self._folded_until = time
        self.lines = lines
        self._folded = _ALL if time else 0
        return self

    def to_json(self) -> dict[str, Any]:
        """The document for the checkpoint."""
        document: dict[str, Any] = {
            "newest": self.newest,
            "lines": self.lines,
            "recent": _text(self._recent.to_bytes()),
        }
        if self._folded:
            document |= {"folded": self._folded, "foldedUntil": self._folded_until}
        if self._highest != self.newest:
            document["highest"] = self._highest
        if self._fragments is not None:
            document["fragments"] = self._fragments.to_json()
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read the document of a checkpoint. It lacks times of single lines, so they are forgotten a little later."""
        self = cls()
        self.newest, self.lines = int(document["newest"]), int(document["lines"])
        self._recent = _Recent.from_bytes(base64.b64decode(document["recent"]), self.newest)
        self._folded, self._folded_until = int(document.get("folded", 0)), int(document.get("foldedUntil", 0))
        self._highest = int(document.get("highest", self.newest))
        if "fragments" in document:
            self._fragments = _Fragments.from_json(document["fragments"])
        return self


class Replay:
    """Skips the lines of one response that were read before.

    Attributes:
        overlapped: whether the answer held the line that was read last. Lines stand in the file in the order they were
            read, so a new line before that one means that another file is read: the log was rotated in between.
    """

    def __init__(self, highest: int, recent: bytes, folded: tuple[int, int], fragments: tuple[bytes, ...]) -> None:
        """See `Position.replay`."""
        self._seen = array("Q", sorted(array("Q", recent)))
        self._taken = bytearray(len(self._seen))
        """1 for each of them that was skipped."""
        self._left = len(self._seen)
        self._last = recent[-DIGEST_SIZE:] or None
        self._folded, self._folded_until = folded
        self._fragments = frozenset(fragments)
        self._until = highest + SLACK
        self.overlapped = self._last is None

    def takes(self, line: Line) -> bool:
        """Whether this line was read before. Each line that was read is skipped once."""
        if self._left and self._take(line.digest):
            return True
        if self._folded and line.time <= self._folded_until:
            self._folded -= 1
            return True
        return bool(self._fragments) and digest(line.text) in self._fragments

    def over(self, line: Line) -> bool:
        """Whether no line after this one can have been read before, so that the replay is not needed any more."""
        return line.time > self._until or not (self._left or self._folded or self._fragments)

    def _take(self, mark: bytes) -> bool:
        number = int.from_bytes(mark, sys.byteorder)
        at = bisect_left(self._seen, number)
        while at < len(self._seen) and self._seen[at] == number:
            if not self._taken[at]:
                self._taken[at] = 1
                self._left -= 1
                self.overlapped = self.overlapped or mark == self._last
                return True
            at += 1
        return False


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _marks(data: bytes | bytearray) -> list[bytes | bytearray]:
    return [data[at : at + DIGEST_SIZE] for at in range(0, len(data), DIGEST_SIZE)]
