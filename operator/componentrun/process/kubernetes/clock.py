"""The time of the API servers.

Decisions by time (a timeout, a pod that does not start) compare the operator's clock with times that the API
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
"""`Date` is truncated to the second: the time was up to this much later."""
_RENEW_SECONDS: Final = 5.0
"""Seconds after which the estimate is computed again even if responses confirm it."""
_SLOW_SECONDS: Final = 2.0
"""Ignore responses that took longer: they say too little about the current time."""


def _local() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=8)
def _parsed(date: str) -> float | None:
    """The time of a header in seconds since 1970; None if malformed. Cached: many responses have the same second."""
    try:
        time_of_server = parsedate_to_datetime(date)
    except ValueError:
        return None
    return None if time_of_server.tzinfo is None else time_of_server.timestamp()


class ApiClock:
    """This machine's clock, corrected if it differs from the API servers'.

    Attributes:
        ticks: monotonic clock in seconds; offsets are measured from it, so that setting this machine's clock does not
            invalidate them.
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
        """The current time: by the API servers if the clocks differ, else by this machine."""
        local = self._local()
        ahead = self._ahead(local)
        return local if ahead == 0.0 else datetime.fromtimestamp(local.timestamp() - ahead, UTC)

    @property
    def ahead(self) -> float:
        """Seconds by which this machine's clock is ahead and corrected; negative if it is behind."""
        return self._ahead(self._local())

    def answered(self, date: str, asked_at: float, source: str = "") -> None:
        """Update the estimate from a response.

        Args:
            date: its `Date` header; ignored if it is malformed.
            asked_at: `ticks` when the request was sent.
            source: the connection, which leads to one server.
        """
        now = self.ticks()
        if now - asked_at > _SLOW_SECONDS or not self._readings.is_due(source, now):
            return
        time_of_server = _parsed(date)
        if time_of_server is None:
            return
        interval = Interval(time_of_server - now, time_of_server + _WHOLE_SECOND - asked_at)
        self._readings.add(source, interval, now)
        if self._is_confirmed(interval, now):
            return
        own = self._local().timestamp() - now
        agreement = self._readings.agreement(now, own)
        if agreement is not None:
            self._estimate = next_estimate(self._estimate, agreement, now, own)
            self.spread = agreement.spread
            self._tell(agreement)

    def _is_confirmed(self, interval: Interval, now: float) -> bool:
        """Whether a reading confirms a recent estimate, so that weighing all readings again would change nothing."""
        known = self._estimate
        if known is None or not known.is_settled or now - known.changed >= _RENEW_SECONDS:
            return False
        return interval.agrees_with(known.offset)

    def _ahead(self, local: datetime) -> float:
        if self._estimate is None:
            return 0.0
        ahead = local.timestamp() - self.ticks() - self._estimate.offset
        return ahead if abs(ahead) > TOLERATED else 0.0

    def _tell(self, agreement: Agreement) -> None:
        """Log what has changed."""
        ahead = self.ahead
        # Do not log every step of a slow drift.
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
