"""One response of the log API: which of its lines are new, and what is wrong with it. Pure.

The follower (`follower`) asks, feeds the bytes in as they come and takes new lines out; it marks each in the
container's `Position` when, and only when, it goes into an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.collector.readers.api.lines import KEPT_BYTES, SECOND, Splitter, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.collector.readers.api.lines import RawLine
    from componentrun.collector.readers.api.position import Position, Replay
    from componentrun.collector.readers.line import Line

__all__ = ["BACKWARDS", "BATCH", "Answer", "Gap"]

BATCH: Final = 256
"""Maximum number of lines that are passed on at a time, so that other runs get their turn in between."""

BACKWARDS: Final = SECOND
"""If a line is this much older than an earlier one, the kubelet lost its position, or the node's clock was set back."""
_QUOTED: Final = 300


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines may be missing here."""

    after: int
    """Time of the last line before the gap, in nanoseconds."""
    before: int
    """Time of the first line after the gap."""


class Answer:
    """One response to a log request, from its first byte to its end.

    Attributes:
        fresh: new lines so far.
        gap: set with the first new line where the line that was read last is not in this answer.
        problem: text that is no line of the container: the kubelet's own words. Nothing behind it is read.
        jumped: time of a line that lies far before the ones before it. Nothing behind it is read.
    """

    def __init__(self, position: Position, *, same_file: bool = True) -> None:
        """Begin an answer to a request that was made from `position.floor`.

        Args:
            position: what was read before.
            same_file: whether the container is still the one that was read before; a restarted one begins a new file.
        """
        self.fresh = 0
        self.gap: Gap | None = None
        self.problem = ""
        self.jumped: int | None = None
        self._splitter = Splitter()
        self._replay = position.replay() if position.newest else None
        self._newest_before = position.newest
        self._newest = position.newest
        self._watch_overlap = same_file

    @property
    def over(self) -> bool:
        """Whether the rest of the response is useless."""
        return bool(self.problem) or self.jumped is not None

    def feed(self, chunk: bytes) -> Iterator[list[Line]]:
        """New lines that end in this chunk, in order, in batches.

        Where `gap` is set, it lies before the first line of what was given last.
        """
        raw = self._splitter.feed(chunk)
        for at in range(0, len(raw), BATCH):
            lines = self._judged(raw[at : at + BATCH])
            if lines:
                yield lines
            if self.over:
                return

    def _judged(self, raw: Sequence[RawLine]) -> list[Line]:
        lines = []
        for item in raw:
            line = self._judge(item)
            if line is not None:
                lines.append(line)
            elif self.over:
                break
        return lines

    def last(self) -> Line | None:
        """The new line at the end that has no newline.

        Only of use where nothing can come behind it: else it is the unfinished beginning of a line that comes whole
        the next time.
        """
        raw = None if self.over else self._splitter.tail()
        return None if raw is None else self._judge(raw)

    def _judge(self, raw: RawLine) -> Line | None:
        line = parse(raw)
        if line is None:
            self.problem = _quote(raw)
            return None
        if self._replay is not None and self._was_read(self._replay, line):
            return None
        if line.time > self._newest:
            self._newest = line.time
        elif line.time < self._newest - BACKWARDS:
            self.jumped = line.time
            return None
        self.fresh += 1
        return line

    def _was_read(self, replay: Replay, line: Line) -> bool:
        if replay.takes(line):
            return True
        if not self.fresh and self._watch_overlap and not replay.overlapped:
            self.gap = Gap(self._newest_before, line.time)
        if replay.over(line):
            self._replay = None
        return False


def _quote(raw: RawLine) -> str:
    return raw.data[: min(_QUOTED, KEPT_BYTES)].decode(errors="replace") or "(an empty line)"
