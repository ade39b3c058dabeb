"""Splits the bytes of a log response into lines. Pure.

A line is a timestamp, one space, text, newline. Nothing else ends a line: components print carriage returns, NEL and
NUL, and all of them belong to the text. What does not start with a timestamp is not the container's: the kubelet
reports its own errors as text with HTTP 200.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.collector.readers.line import Line

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = [
    "DIGEST_SIZE",
    "KEPT_BYTES",
    "PART_BYTES",
    "SECOND",
    "RawLine",
    "Splitter",
    "digest",
    "nanoseconds_of",
    "parse",
    "stamp_of",
    "stamps_of",
]

SECOND: Final = 1_000_000_000
"""Nanoseconds."""
DIGEST_SIZE: Final = 8
KEPT_BYTES: Final = 256 * 1024
"""Maximum that is kept of a line. A message is truncated far below it; the digest is always of the whole line."""
PART_BYTES: Final = 16 * 1024
"""containerd stores longer lines in parts of this size."""

_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_SECONDS: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_LONGEST_CHARACTER: Final = 4
_UTC_LENGTH: Final = 30
"""Length of a timestamp with nine fractional digits."""


class RawLine(NamedTuple):
    """A line as it was received, without its newline."""

    data: bytes
    """At most `KEPT_BYTES` of it."""
    size: int
    """Bytes of the whole line."""
    digest: bytes
    """Digest of the whole line, including its timestamp."""


def digest(data: bytes) -> bytes:
    """Digest that represents a line in positions and checkpoints."""
    return hashlib.blake2b(data, digest_size=DIGEST_SIZE).digest()


class Splitter:
    """Splits a stream of chunks into lines; keeps at most `KEPT_BYTES` of the unfinished line.

    Of a longer one it holds the beginning; where it is written over with carriage returns, as a progress bar is that
    goes on for hours, its timestamp and what was written last.
    """

    def __init__(self) -> None:
        """Start at the beginning of a line."""
        self._tail = b""
        self._size = 0
        self._long: hashlib.blake2b | None = None
        """Set while the unfinished line is longer than what is kept of it."""
        self._written_over = False
        """What is kept is the last state of a line that is written over."""

    def feed(self, chunk: bytes) -> list[RawLine]:
        """The lines that end in this chunk."""
        parts = chunk.split(b"\n")
        self._add(parts[0])
        if len(parts) == 1:
            return []
        lines = [self._take(), *map(_whole, parts[1:-1])]
        self._add(parts[-1])
        return lines

    def tail(self) -> RawLine | None:
        """Remove and return the line at the end that has no newline; None if there is none."""
        return self._take() if self._size else None

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._long is not None:
            self._long.update(part)
            if b"\r" in part or self._written_over:
                self._write_over(part)
            return
        self._tail += part
        if len(self._tail) > KEPT_BYTES:
            self._long = hashlib.blake2b(self._tail, digest_size=DIGEST_SIZE)
            whole, self._tail = self._tail, _kept(self._tail)
            if b"\r" in whole:
                self._write_over(whole[_UTC_LENGTH + 1 :])

    def _write_over(self, part: bytes) -> None:
        """Keep what is not written over yet: behind the last carriage return with something behind it."""
        stamp, state = self._tail[: _UTC_LENGTH + 1], self._tail[_UTC_LENGTH + 1 :] if self._written_over else b""
        ends = part.endswith(b"\r")
        _, over, last = (state + part).rstrip(b"\r").rpartition(b"\r")
        self._tail = _kept(stamp + over + last + (b"\r" if ends else b""))
        self._written_over = True

    def _take(self) -> RawLine:
        mark = digest(self._tail) if self._long is None else self._long.digest()
        line = RawLine(self._tail, self._size, mark)
        self._tail, self._size, self._long, self._written_over = b"", 0, None, False
        return line


def _whole(part: bytes) -> RawLine:
    return RawLine(_kept(part), len(part), digest(part))


def _kept(data: bytes) -> bytes:
    """The kept part of a line, which ends between two UTF-8 characters."""
    if len(data) <= KEPT_BYTES:
        return data
    end = KEPT_BYTES
    while end > KEPT_BYTES - _LONGEST_CHARACTER and data[end] & 0xC0 == 0x80:  # noqa: PLR2004 - goes on a character
        end -= 1
    return data[:end]


def parse(raw: RawLine) -> Line | None:
    """Parse a raw line; None if it does not start with a timestamp and a space."""
    data, size, mark = raw
    if data[29:31] == b"Z " and data[19:20] == b".":
        fraction = data[20:29]
        seconds = _seconds(data[:19], b"Z")
        if seconds is not None and fraction.isdigit():
            return Line(seconds * SECOND + int(fraction), data[31:], size, mark)
    return _parse_slowly(raw)


def _parse_slowly(raw: RawLine) -> Line | None:
    """Parse a timestamp with another time zone than UTC, or without nine fractional digits."""
    stamp, space, text = raw.data.partition(b" ")
    time = nanoseconds_of(stamp) if space else None
    return None if time is None else Line(time, text, raw.size, raw.digest)


def nanoseconds_of(stamp: bytes) -> int | None:
    """Nanoseconds since 1970 (UTC) of a log's timestamp; None if it is invalid."""
    match = _STAMP.fullmatch(stamp)
    seconds = None if match is None else _seconds(match[1], match[3])
    if match is None or seconds is None:
        return None
    return seconds * SECOND + int((match[2] or b"0").ljust(9, b"0"))


@lru_cache(maxsize=1024)
def _seconds(text: bytes, zone: bytes) -> int | None:
    if _SECONDS.fullmatch(text) is None:
        return None
    try:
        return int(datetime.fromisoformat((text + zone.replace(b"Z", b"+00:00")).decode("ascii")).timestamp())
    except ValueError:
        return None  # e.g. month 13: what looks like a timestamp is somebody's text


def stamp_of(nanoseconds: int) -> str:
    """The time as in events: UTC, nine fractional digits."""
    seconds, fraction = divmod(nanoseconds, SECOND)
    return f"{_second_text(seconds)}.{fraction:09}Z"


def stamps_of(times: Sequence[int]) -> list[str]:
    """`stamp_of` for each time; there must be at least one."""
    second = times[0] // SECOND
    base = second * SECOND
    if min(times) < base or max(times) >= base + SECOND:
        return [stamp_of(time) for time in times]
    begin = f"{_second_text(second)}."
    return [f"{begin}{time - base:09}Z" for time in times]


@lru_cache(maxsize=1024)
def _second_text(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
