"""Circuit breaker of one store: whether another operation on it may begin now. Pure: the caller brings the time.

    closed      Operations begin as they come. Several in a row that got no answer open it.
    open        None begins until `retry_at`; the pause doubles with each probe that fails.
    half-open   One operation is the probe. If it gets through, the breaker closes; if not, it opens again.

An operation that ended without telling anything about the store (a run that names a missing table) counts as neither.
Operations that began before the breaker opened or closed last say nothing about the present and are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

__all__ = ["Breaker", "BreakerSettings", "Evidence", "Operation"]

State = Literal["closed", "open", "half-open"]
_MOST_DOUBLINGS: Final = 30


class Evidence(Enum):
    """What an operation that has ended says about its store."""

    ANSWERED = "answered"
    NO_ANSWER = "no answer"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens, and how long it stays open."""

    failures: int = 3
    """Operations in a row without an answer that open it."""
    first_pause: float = 1.0
    """Seconds from its opening to the first probe."""
    longest_pause: float = 30.0
    """Seconds between probes at most."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation that has begun."""

    period: int
    """How often the breaker had opened or closed by then."""
    is_probe: bool = False


class Breaker:
    """See the module. Times are seconds on any clock that only goes forward."""

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        """Closed."""
        self._settings = settings or BreakerSettings()
        self._failures = 0
        self._pauses = 0
        self._period = 0
        self._probing = False
        self._retry_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the store counts as one that does not respond, also while it is probed."""
        return self._retry_at is not None

    @property
    def is_fresh(self) -> bool:
        """Whether it is closed and no operation failed since the last one that got through."""
        return not self.is_open and self._failures == 0

    @property
    def state(self) -> State:
        """The state, in the usual words."""
        if not self.is_open:
            return "closed"
        return "half-open" if self._probing else "open"

    @property
    def retry_at(self) -> float | None:
        """When the next probe may begin; None while it is closed or probed."""
        return None if self._probing else self._retry_at

    def admits(self, now: float) -> bool:
        """Whether an operation may begin now."""
        return self._retry_at is None or (not self._probing and now >= self._retry_at)

    def begin(self, now: float) -> Operation:
        """Count an operation in; `end` must be called with it.

        Raises:
            ValueError: it is not admitted.
        """
        if not self.admits(now):
            raise ValueError(f"the breaker is {self.state}")
        self._probing = self.is_open
        return Operation(self._period, self._probing)

    def end(self, operation: Operation, evidence: Evidence, now: float) -> bool:
        """Count an operation out; whether the breaker opened or closed by that."""
        if operation.period != self._period:
            return False
        if operation.is_probe:
            self._probing = False
        if evidence is Evidence.ANSWERED:
            return self._answered()
        if evidence is Evidence.NO_ANSWER:
            return self._failed(now)
        return False

    def _answered(self) -> bool:
        was_open = self.is_open
        self._failures = self._pauses = 0
        self._retry_at = None
        self._period += was_open
        return was_open

    def _failed(self, now: float) -> bool:
        was_open = self.is_open
        self._failures += 1
        if not was_open and self._failures < self._settings.failures:
            return False
        pause = self._settings.first_pause * 2.0 ** min(self._pauses, _MOST_DOUBLINGS)
        self._retry_at = now + min(pause, self._settings.longest_pause)
        self._pauses += 1
        self._period += not was_open
        return not was_open
