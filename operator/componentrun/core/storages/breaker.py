"""Circuit breaker of one store: whether another operation may start now. Pure: the caller passes the time.

    closed      Operations start immediately. Several in a row without a response open the breaker.
    open        No operation starts until `retry_at`. The pause doubles with each failed probe.
    half-open   One operation is the probe. If it succeeds, the breaker closes; if not, it opens again.

An operation whose end says nothing about the store (such as a run that names a missing table) is not counted.
Operations that started before the breaker last opened or closed say nothing about the current state and are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

__all__ = ["Breaker", "BreakerSettings", "Evidence", "Operation"]

State = Literal["closed", "open", "half-open"]
_MOST_DOUBLINGS: Final = 30


class Evidence(Enum):
    """What the end of an operation says about its store."""

    ANSWERED = "answered"
    NO_ANSWER = "no answer"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens, and how long it stays open."""

    failures: int = 3
    """Number of operations in a row without a response that open the breaker."""
    first_pause: float = 1.0
    """Seconds from the opening to the first probe."""
    longest_pause: float = 30.0
    """Maximum seconds between probes."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that has started."""

    period: int
    """How often the breaker had opened or closed before the operation started."""
    is_probe: bool = False


class Breaker:
    """A circuit breaker; see the module. Times are seconds on any monotonic clock."""

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        """Create a closed breaker."""
        self._settings = settings or BreakerSettings()
        self._failures = 0
        self._pauses = 0
        self._period = 0
        self._probing = False
        self._retry_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the store is considered unresponsive. True also while it is probed."""
        return self._retry_at is not None

    @property
    def is_fresh(self) -> bool:
        """Whether the breaker is closed and no operation has failed since the last successful one."""
        return not self.is_open and self._failures == 0

    @property
    def state(self) -> State:
        """The state of the breaker."""
        if not self.is_open:
            return "closed"
        return "half-open" if self._probing else "open"

    @property
    def retry_at(self) -> float | None:
        """When the next probe may start; None while the breaker is closed or half-open."""
        return None if self._probing else self._retry_at

    def admits(self, now: float) -> bool:
        """Whether an operation may start now."""
        return self._retry_at is None or (not self._probing and now >= self._retry_at)

    def begin(self, now: float) -> Operation:
        """Register the start of an operation. The caller must pass the result to `end`.

        Raises:
            ValueError: no operation may start now.
        """
        if not self.admits(now):
            raise ValueError(f"the breaker is {self.state}")
        self._probing = self.is_open
        return Operation(self._period, self._probing)

    def end(self, operation: Operation, evidence: Evidence, now: float) -> bool:
        """Register the end of an operation; return whether the breaker opened or closed as a result."""
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
