"""Splits the bytes of the node's log files into lines. Pure.

A line of a file is a time, a space, the stream, a space, `F` or `P`, a space, text. `P`: the text goes on in the next
line of the same stream, which may be in the next file. The runtime cuts at 16 KiB, at a rotation, and at the end of
what a container prints where that does not end with a newline; so a part that nothing follows is a line when the
container ends, or begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.collector.readers.api.lines import KEPT_BYTES, SECOND, nanoseconds_of
from componentrun.collector.readers.line import Cursor, Line
from componentrun.wire.logserver import order_of, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BATCH", "CriReader"]

BATCH: Final = 256
"""Maximum number of lines that are passed on at a time, so that other runs get their turn in between."""
_STREAMS: Final = {b"stdout": "stdout", b"stderr": "stderr"}
_SCALE: Final = tuple(10 ** (9 - digits) for digits in range(10))
_FRACTION: Final = 20
"""Where it begins in a time, behind the point."""
_DIGITS: Final = len(_SCALE)


class _Parts:
    """A line of which only parts were read so far."""

    __slots__ = ("begun", "size", "text", "time", "written_over")

    def __init__(self, time: int, begun: tuple[str, int]) -> None:
        self.time, self.begun = time, begun
        self.text, self.size, self.written_over = b"", 0, False

    def add(self, part: bytes) -> None:
        """Of a line longer than is kept: its beginning, or what was written last over a progress bar."""
        self.size += len(part)
        if len(self.text) >= KEPT_BYTES and b"\r" not in part and not self.written_over:
            return
        text = self.text + part
        if len(text) > KEPT_BYTES and b"\r" in text:
            ends = text.endswith(b"\r")
            _, over, last = text.rstrip(b"\r").rpartition(b"\r")
            text = over + last + (b"\r" if ends else b"")
            self.written_over = True
        self.text = text[:KEPT_BYTES]


class CriReader:
    """Splits the responses of a log server into lines.

    Attributes:
        file: the file that is read.
        asked: offset in it after all received bytes, where the next request begins.
        odd: number of lines that were not in the CRI format, and were skipped.
    """

    def __init__(self, cursor: Cursor) -> None:
        """Continue at this cursor: the first request begins at `cursor.start`."""
        self.file, self.asked = cursor.start
        self.odd = 0
        self._end = self.asked
        """Offset behind the last whole line of the file."""
        self._tail = b""
        self._open: dict[str, _Parts] = {}
        """Unfinished lines by stream."""
        self._until = (cursor.file, cursor.offset) if cursor.first is not None else None
        """Lines that are finished up to there were read before."""
        self._second, self._base = b"", 0

    def begin(self, file: str, offset: int) -> list[Line]:
        """Start a response. Returns unfinished lines that will not be finished."""
        given: list[Line] = []
        if file == self.file and offset == self.asked:
            return given
        self.odd += bool(self._tail)
        before, self.file = self.file, file
        self._tail, self.asked, self._end = b"", offset, offset
        if before and start_of(file) != start_of(before):
            given = self._finish_all()
        if self._until is not None and file != self._until[0]:
            # The order of names fails where a node's clock was set back.
            beyond = before == self._until[0] or order_of(file) > order_of(self._until[0])
            self._until = None if beyond else self._until
        return given

    def feed(self, chunk: bytes) -> Iterator[list[Line]]:
        """The lines that end in this chunk, in batches."""
        self.asked += len(chunk)
        raw = (self._tail + chunk).split(b"\n")
        self._tail = raw.pop()
        for at in range(0, len(raw), BATCH):
            lines = self._lines(raw[at : at + BATCH])
            if lines:
                yield lines

    def rest(self) -> list[Line]:
        """The unfinished lines, when no more bytes arrive."""
        return self._finish_all()

    def _lines(self, raw: list[bytes]) -> list[Line]:
        lines: list[Line] = []
        file, end, second, base = self.file, self._end, self._second, self._base
        plain = not self._open and self._until is None
        for data in raw:
            size = len(data)
            begun, end = end, end + size + 1
            try:
                stamp, name, tag, text = data.split(b" ", 3)
                stream = _STREAMS[name]
            except (ValueError, KeyError):
                self.odd += 1
                continue
            fraction = stamp[_FRACTION:-1]
            digits = len(fraction)
            if (  # nearly every line
                plain
                and tag == b"F"
                and stamp[:_FRACTION] == second
                and stamp[-1:] == b"Z"
                and fraction.isdigit()
                and digits < _DIGITS
                and size <= KEPT_BYTES
            ):
                lines.append(Line(base + int(fraction) * _SCALE[digits], text, size, b"", stream, (file, end)))
                continue
            self._end = end
            line = self._slowly(stamp, tag, text, begun, stream)
            if line is not None:
                lines.append(line)
            second, base = self._second, self._base
            plain = not self._open and self._until is None
        self._end = end
        return lines

    def _slowly(self, stamp: bytes, tag: bytes, text: bytes, begun: int, stream: str) -> Line | None:
        """Take a line or a part. Returns the line if it is finished and was not read before."""
        time = nanoseconds_of(stamp)
        if time is None:
            self.odd += 1
            return None
        if stamp[-1:] == b"Z":
            self._second, self._base = stamp[:_FRACTION], time // SECOND * SECOND
        parts = self._open.get(stream)
        if parts is None:
            parts = self._open[stream] = _Parts(time, (self.file, begun))
        parts.add(text)
        if tag[:1] != b"F":
            return None
        del self._open[stream]
        return self._line(parts.time, parts.text, parts.size, stream)

    def _line(self, time: int, text: bytes, size: int, stream: str) -> Line | None:
        """The line that ends here, unless it was read before."""
        if self._until is not None:
            if self.file != self._until[0] or self._end <= self._until[1]:
                return None
            self._until = None
        first = min((parts.begun for parts in self._open.values()), key=_order, default=None) if self._open else None
        return Line(time, text[:KEPT_BYTES], size, b"", stream, Cursor(self.file, self._end, first))

    def _finish_all(self) -> list[Line]:
        """End all unfinished lines. They share a cursor, so the caller has to take them in one step."""
        self._until = None
        found = sorted(self._open.items(), key=lambda item: _order(item[1].begun))
        self._open = {}
        cursor = Cursor(self.file, self._end)
        return [Line(parts.time, parts.text, parts.size, b"", stream, cursor) for stream, parts in found]


def _order(cursor: tuple[str, int]) -> tuple[tuple[int, str, str], int]:
    return order_of(cursor[0]), cursor[1]
