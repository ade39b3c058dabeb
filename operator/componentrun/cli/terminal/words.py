"""Numbers and times for people. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from componentrun.api.durations import duration_text

__all__ = ["age", "clean", "clock", "count", "duration", "first_line", "moment", "on_one_line", "size", "stamp"]

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_TWO: Final = 2
_KILO: Final = 1000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def duration(start: datetime | None, end: datetime | None, now: datetime) -> str:
    """Time from `start` to `end`, or to now if it has not ended; a dash if it has not started."""
    return "-" if start is None else duration_text(max(0.0, ((end or now) - start).total_seconds()))


def age(time: datetime | None, now: datetime) -> str:
    """How long ago in one or two units: `12s`, `5m`, `3h20m`, `2d4h`, `40d`."""
    if time is None:
        return "-"
    seconds = max(0, int((now - time).total_seconds()))
    if seconds < _TWO * _MINUTE:
        return f"{seconds}s"
    if seconds < _TWO * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < _TWO * _DAY:
        return _pair(seconds, _HOUR, "h", _MINUTE, "m")
    return _pair(seconds, _DAY, "d", _HOUR, "h") if seconds < 10 * _DAY else f"{seconds // _DAY}d"


def _pair(seconds: int, unit: int, letter: str, smaller: int, small_letter: str) -> str:
    remainder = seconds % unit // smaller
    return f"{seconds // unit}{letter}" + (f"{remainder}{small_letter}" if remainder else "")


def moment(time: datetime | None, now: datetime) -> str:
    """A point in time and its age: `2026-11-24 08:40:18 UTC (5m ago)`."""
    return "-" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({age(time, now)} ago)"


def clock(time: datetime) -> str:
    """The time of day of an event, to the millisecond, in UTC."""
    return f"{time.astimezone(UTC):%H:%M:%S.%f}"[:-3]


def stamp(time: datetime) -> str:
    """Day and time of an event, to the millisecond, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


def size(number: int | None) -> str:
    """Bytes with a unit: `832 B`, `12.3 kB`, `1.2 GB`; a dash if unknown."""
    if number is None:
        return "-"
    if number < _KILO:
        return f"{number} B"
    value = float(number)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= _KILO
        if value < 999.95 or unit == "TB":  # noqa: PLR2004 - what would be shown as 1000.0
            return f"{value:.1f} {unit}"
    raise AssertionError(number)


def count(number: int | None, noun: str = "") -> str:
    """A number with thousands separators, and its noun: `1,000 rows`, `1 row`."""
    if number is None:
        return f"? {noun}s" if noun else "-"
    plural = "s" if number != 1 else ""
    return f"{number:,}" + (f" {noun}{plural}" if noun else "")


def first_line(text: str) -> str:
    """The first line, with `...` if there are more."""
    line, mark, others = text.partition("\n")
    return f"{line} ..." if mark and others.strip() else line


def on_one_line(text: str) -> str:
    """Escape line breaks, which would break the columns of a table."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def clean(text: str) -> str:
    """Escape control characters, so that text of others can't steer the terminal."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)
