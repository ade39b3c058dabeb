"""Durations as people write and read them. Without pydantic, so that the command line starts fast."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

__all__ = [
    "DURATION",
    "FOREVER",
    "LONG_DURATION",
    "RETENTION",
    "duration_seconds",
    "duration_text",
    "long_duration_seconds",
    "retention_seconds",
]

DURATION: Final = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
LONG_DURATION: Final = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
FOREVER: Final = "forever"
"""A retention that never ends."""
RETENTION: Final = re.compile(rf"^(?:{FOREVER}|{LONG_DURATION.pattern[1:-1]})$")
_MOST_SECONDS: Final = 1000 * 365 * 24 * 3600
"""Maximum of a duration, so that adding it to a time gives a valid time."""


def duration_seconds(text: str) -> int:
    """Seconds of a `Duration`, at most those of a thousand years.

    Raises:
        ValueError: the text is no duration.
    """
    match = DURATION.match(text)
    if not match or not any(match.groups()):
        raise ValueError(f"`{text}` is no duration: expected hours, minutes and seconds such as `90s`, `15m`, `1h30m`")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return min(hours * 3600 + minutes * 60 + seconds, _MOST_SECONDS)


def long_duration_seconds(text: str) -> int:
    """Seconds of a `LongDuration`, at most those of a thousand years.

    Raises:
        ValueError: the text is no such duration.
    """
    match = LONG_DURATION.match(text)
    if not match or not any(match.groups()):
        raise ValueError(
            f"`{text}` is no duration: expected days, hours, minutes and seconds such as `30d`, `12h`, `90s`"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return min(((days * 24 + hours) * 60 + minutes) * 60 + seconds, _MOST_SECONDS)


def retention_seconds(text: str) -> int | None:
    """Seconds of a retention, at most those of a thousand years; None for `forever`.

    Raises:
        ValueError: the text is neither a `LongDuration` nor `forever`.
    """
    return None if text == FOREVER else long_duration_seconds(text)


def duration_text(value: timedelta | float) -> str:
    """A duration for people: `0.4s`, `3s`, `12s`, `3m05s`, `2h10m`."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 10 and seconds != int(seconds):  # noqa: PLR2004 - below ten seconds a tenth matters to the reader
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
