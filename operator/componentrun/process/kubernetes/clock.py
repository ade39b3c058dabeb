"""The time as the API servers have it.

What is decided by the time (a timeout, a pod that does not start) compares the operator's clock with times that the API
server and the kubelets wrote. Machines of a cluster agree with each other more often than one of them is right, so a
clock that differs from the API servers' by more than a few seconds is corrected by the `Date` of their answers: an
operator whose clock is ten minutes ahead must not end a run that has just begun, and no more must one API server whose
clock is ahead of the others'. How the answers are weighed is in `core.lease.clock`.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from componentrun.core.lease.clock import TOLERATED, Agreement, Estimate, Interval, Readings, next_estimate

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ApiClock"]

_log = logging.getLogger(__name__)

_WHOLE_SECOND: Final = 1.0
"""`Date` is cut off to the second, so it was up to this much later."""
_SLOW_SECONDS: Final = 2.0
"""An answer that took longer says too little about now."""


def _local() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=8)
def _parsed(date: str) -> float | None:
    """A time of a header, in seconds since 1970; None where it is none. Many answers come within the same second."""
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return None
    return None if there.tzinfo is None else there.timestamp()


class ApiClock:
    """This machine's clock, corrected where it differs from the API servers'.

    Attributes:
        ticks: seconds that nobody sets; offsets are measured from them, so that setting this machine's clock moves
            nothing that was learned.
        spread: seconds by which the API servers' clocks differ from each other.
    """

    def __init__(self, local: Callable[[], datetime] = _local, ticks: Callable[[], float] = time.monotonic) -> None:
        """Nothing is corrected yet."""
        self._local = local
        self.ticks = ticks
        self.spread = 0.0
        self._readings = Readings()
        self._estimate: Estimate | None = None
        self._told_ahead = 0.0
        self._is_disputed = False

    def now(self) -> datetime:
        """The time; of both clocks the API servers' where they differ."""
        local = self._local()
        ahead = self._ahead(local)
        return local if ahead == 0.0 else datetime.fromtimestamp(local.timestamp() - ahead, UTC)

    @property
    def ahead(self) -> float:
        """Seconds that are taken off this machine's time; negative: put on."""
        return self._ahead(self._local())

    def answered(self, date: str, asked_at: float, source: str = "") -> None:
        """Learn from an answer.

        Args:
            date: its `Date` header; one that can't be read says nothing.
            asked_at: `ticks` when the question was sent.
            source: the connection; those with one connection are answered by one server.
        """
        now = self.ticks()
        if now - asked_at > _SLOW_SECONDS or not self._readings.is_due(source, now):
            return
        there = _parsed(date)
        if there is None:
            return
        self._readings.add(source, Interval(there - now, there + _WHOLE_SECOND - asked_at), now)
        own = self._local().timestamp() - now
        agreement = self._readings.agreement(now, own)
        if agreement is not None:
            self._estimate = next_estimate(self._estimate, agreement, now, own)
            self.spread = agreement.spread
            self._tell(agreement)

    def _ahead(self, local: datetime) -> float:
        if self._estimate is None:
            return 0.0
        ahead = local.timestamp() - self.ticks() - self._estimate.offset
        return ahead if abs(ahead) > TOLERATED else 0.0

    def _tell(self, agreement: Agreement) -> None:
        """Say what has changed."""
        ahead = self.ahead
        # While it goes forward slowly, not at every step.
        if abs(ahead - self._told_ahead) > max(TOLERATED, abs(self._told_ahead) / 2):
            self._told_ahead = ahead
            _log.warning(
                "the clock of this machine is %.0f s ahead of the API servers' (negative: behind); "
                "the API servers' time is used. Have all machines' clocks set",
                ahead,
            )
        if agreement.is_disputed == self._is_disputed:
            return
        self._is_disputed = agreement.is_disputed
        if agreement.is_disputed:
            _log.warning(
                "the clocks of the API servers differ by at least %.0f s; the time that most of them agree on is used, "
                "in doubt the one that ends runs later. Have the clocks of all API servers set",
                agreement.spread,
            )
        else:
            _log.info("the clocks of the API servers agree again")
