"""`changedSince` of an input: a moment, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from componentrun.api.common import duration_seconds

__all__ = ["ADAPTIVE", "CHANGED_SINCE", "changed_since"]

ADAPTIVE: Final = "adaptive"
"""Since the last successful run of the same configuration."""

CHANGED_SINCE: Final = re.compile(
    r"^(adaptive|(\d+h)?(\d+m)?(\d+s)?"
    r"|-?\d{1,6} ?(second|minute|hour|day|week)s?"
    r"|\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?)$"
)
"""`adaptive`, a duration of this API (`36h`), one as configurations of old have it (`-2 days`), or a date, perhaps
with a time."""

_AGO: Final = re.compile(r"^-?(\d+) ?(second|minute|hour|day|week)s?$")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


def changed_since(text: str, now: datetime) -> datetime:
    """The moment that is meant; a time without an offset is in UTC. Not for `adaptive`, which is no moment.

    Raises:
        ValueError: the text is none of the forms, or there is no such moment.
    """
    try:
        moment = _moment(text, now)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"`{text}` is neither a time nor a duration; expected one such as `2026-01-31T00:00:00Z`, `36h` or "
            "`-2 days`"
        ) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _moment(text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    if "-" not in text:
        return now - timedelta(seconds=duration_seconds(text))
    return datetime.fromisoformat(text)
