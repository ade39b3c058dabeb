"""Finds events that a receiver can't process although it accepts others. Pure.

A receiver that fails on one event looks like a receiver that is down. Only the other events tell them apart: an event
is poisonous if it failed alone several times, another event was accepted in between, and it failed once more after
that. While nothing else is accepted, the receiver is down, and everything waits in its order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from componentrun.collector.forward.message import Message

__all__ = ["TRIES", "Triage", "Verdict"]

TRIES: Final = 5
"""Number of failed requests with one event alone; fewer if events of the same run were poisonous before."""
_LEAST_TRIES: Final = 2
_MOST_RUNS: Final = 1_000
"""Maximum number of runs whose poisonous events are counted."""

Verdict = Literal["again", "compare", "poisonous"]
"""Retry the event later; first check whether another one is accepted; make it a dead letter."""


@dataclass(slots=True)
class _Failures:
    times: int
    first: int
    """Number of the request that failed first."""


class Triage:
    """Counts failed requests to one receiver, and remembers the last accepted one."""

    def __init__(self) -> None:
        """Start without any state."""
        self._requests = 0
        self._accepted = 0
        """Number of the last accepted request."""
        self._failures: dict[str, _Failures] = {}
        """Failures by the id of the event that was sent alone."""
        self._poisonous: Counter[str] = Counter()
        """Number of poisonous events by run."""

    def accepted(self) -> None:
        """The receiver accepted or refused a request, so it is not down."""
        self._requests += 1
        self._accepted = self._requests

    def failed(self, message: Message) -> Verdict:
        """The receiver failed on a request that held this event alone."""
        self._requests += 1
        failures = self._failures.setdefault(message.event.id, _Failures(0, self._requests))
        failures.times += 1
        if failures.times < self._tries(message.event.run):
            return "again"
        if failures.first >= self._accepted:
            return "compare"
        self._poisonous[message.event.run] += 1
        if len(self._poisonous) > _MOST_RUNS:
            self._poisonous.clear()
        return "poisonous"

    def tries(self, message: Message) -> int:
        """Number of failed requests with this event alone."""
        failures = self._failures.get(message.event.id)
        return 0 if failures is None else failures.times

    def forget(self) -> None:
        """Forget all failures: every event sent so far is accepted or a dead letter."""
        self._failures.clear()

    def _tries(self, run: str) -> int:
        return max(TRIES - self._poisonous[run], _LEAST_TRIES)
