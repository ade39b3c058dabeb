"""The time as the API server has it.

What is decided by the time (a timeout, a pod that does not start) compares the operator's clock with times that the API
server and the kubelets wrote. Machines of a cluster agree with each other more often than one of them is right, so a
clock that differs from the API server's by more than a few seconds is corrected by the `Date` of its answers: an
operator whose clock is ten minutes ahead must not end a run that has just begun.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ApiClock"]

_log = logging.getLogger(__name__)

_TOLERATED: Final = timedelta(seconds=5)
"""Less is not corrected: `Date` has whole seconds, and an answer takes its time."""
_WHOLE_SECOND: Final = timedelta(seconds=0.5)
"""`Date` is cut off to the second, so this is how much later it was on average."""
_SLOW_SECONDS: Final = 2.0
"""An answer that took longer says too little about now."""


def _local() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=2)
def _parsed(date: str) -> datetime | None:
    """A time of a header; None where it is none. Many answers come within the same second."""
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return None
    return None if there.tzinfo is None else there


class ApiClock:
    """This machine's clock, corrected where it differs from the API server's."""

    def __init__(self, local: Callable[[], datetime] = _local, ticks: Callable[[], float] = time.monotonic) -> None:
        """Nothing is corrected yet. `ticks` are seconds that are not set by anybody, to time an answer."""
        self._local = local
        self.ticks = ticks
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The time; of both clocks the API server's where they differ."""
        return self._local() - self._ahead

    def answered(self, date: str, asked_at: float) -> None:
        """Learn from an answer.

        Args:
            date: its `Date` header; one that can't be read says nothing.
            asked_at: `ticks` when the question was sent.
        """
        if self.ticks() - asked_at > _SLOW_SECONDS:
            return
        there = _parsed(date)
        if there is None:
            return
        ahead = self._local() - (there + _WHOLE_SECOND)
        if abs(ahead - self._ahead) <= _TOLERATED:
            return
        self._ahead = ahead if abs(ahead) > _TOLERATED else timedelta()
        _log.warning(
            "the clock of this machine is %.0f s ahead of the API server's (negative: behind); "
            "the API server's time is used. Have both machines' clocks set",
            ahead.total_seconds(),
        )
