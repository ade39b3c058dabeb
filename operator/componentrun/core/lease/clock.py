"""How far the API servers' time is from a clock of ours, estimated from many readings, some of them wrong. Pure.

Several servers may answer, each with a clock of its own, and one of them may be minutes off. A reading gives an
interval in which the offset lies, as `Date` has whole seconds and an answer takes its time. As with NTP, the estimate
is the offset that lies in the most intervals (Marzullo's algorithm). Each source, which is a connection and so one
server, has one vote, however often it answers; a source that contradicts itself splits its vote.

Whatever is not certain ends runs later rather than earlier: of offsets with equal votes the lowest counts, the estimate
goes back at once, and it goes forward in one step only when this machine's time agrees, or when the estimate is new and
no server disagrees. Otherwise it goes forward slowly.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TOLERATED", "Agreement", "Estimate", "Interval", "Readings", "agree", "next_estimate"]

TOLERATED: Final = 5.0
"""Seconds. Clocks that differ by less agree: nothing that is decided by the time needs more."""
SETTLING: Final = 10.0
"""Seconds from the first reading until the estimate may go forward: by then every connection has answered."""
SLEW_RATE: Final = 0.1
"""Seconds by which a settled estimate goes forward in one second. Our clock does not jump, so where all servers seem to
have jumped forward, another server answers, or their clock was set: in doubt runs end later."""
_KEPT: Final = 900.0
"""Seconds for which a reading counts: longer than a watch, which is one answer, goes on."""
_READINGS: Final = 4
"""Of each source, the newest ones."""
_SPACING: Final = 5.0
"""Seconds between two readings of a source: a burst of answers says no more than one."""
_SOURCES: Final = 64
"""Connections that are known at the same time; the one that was not heard for the longest time goes first."""
_EQUAL: Final = 1e-9
"""Sums of weights that differ by less are equal."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The offset (their time less ours, in seconds) is not below `low` and not above `high`."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the readings say together."""

    offset: float
    """Seconds to add to our clock."""
    spread: float
    """Seconds by which the readings differ at least; 0 where one offset fits all of them."""

    @property
    def is_disputed(self) -> bool:
        """Whether servers disagree about the time."""
        return self.spread > TOLERATED


class Readings:
    """The newest readings of each source."""

    def __init__(self) -> None:
        """There are none yet."""
        self._sources: dict[str, deque[tuple[float, Interval]]] = {}

    def is_due(self, source: str, at: float) -> bool:
        """Whether another reading of this source says more than what is known of it."""
        known = self._sources.get(source)
        return not known or at - known[-1][0] >= _SPACING

    def add(self, source: str, interval: Interval, at: float) -> None:
        """Take in a reading.

        Args:
            source: the connection it came over.
            interval: in which the offset lies.
            at: seconds on our clock.
        """
        known = self._sources.pop(source, None) or deque(maxlen=_READINGS)
        known.append((at, interval))
        self._sources[source] = known  # behind all others: heard last
        while len(self._sources) > _SOURCES:
            del self._sources[next(iter(self._sources))]

    def agreement(self, now: float, own: float) -> Agreement | None:
        """What all readings that still count say together; None where there are none.

        Args:
            now: seconds on our clock.
            own: the offset of this machine's time. It is one clock more, with a vote where servers disagree, and only
                there: a machine that differs from all servers is wrong.
        """
        votes: list[tuple[Interval, float]] = []
        for readings in self._sources.values():
            fresh = [interval for at, interval in readings if now - at < _KEPT]
            votes += [(interval, 1 / len(fresh)) for interval in fresh]
        if not votes:
            return None
        spread = max(0.0, max(item.low for item, _ in votes) - min(item.high for item, _ in votes))
        if spread > TOLERATED:
            votes.append((Interval(own, own), 1.0))
        return Agreement(agree(votes), spread)


def agree(votes: Iterable[tuple[Interval, float]]) -> float:
    """The middle of the offsets on which the most weight agrees; of several such places the lowest.

    Args:
        votes: intervals and their weights, at least one. Each is widened so that what is within half of the tolerance
            agrees.
    """
    edges = sorted(
        edge
        for interval, weight in votes
        for edge in ((interval.low - TOLERATED / 4, 0, weight), (interval.high + TOLERATED / 4, 1, -weight))
    )
    weight, best, low, high, is_open = 0.0, 0.0, 0.0, 0.0, False
    for position, _, change in edges:
        weight += change
        if change > 0 and weight > best + _EQUAL:
            best, low, is_open = weight, position, True
        elif change < 0 and is_open:
            high, is_open = position, False
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """The offset that is used."""

    offset: float
    began: float
    """When the first reading came, in seconds on our clock."""
    changed: float
    """When it was looked at last."""
    is_settled: bool = False
    """Whether it has gone forward as far as the first readings said."""


def next_estimate(before: Estimate | None, agreement: Agreement, now: float, own: float) -> Estimate:
    """The offset to use from now on.

    Args:
        before: the one until now; None: there is none.
        agreement: what the readings say.
        now: seconds on our clock.
        own: the offset of this machine's time, which is used until there is another.
    """
    if before is None:
        return Estimate(min(own, agreement.offset), now, now)
    is_settled = before.is_settled or now - before.began >= SETTLING
    is_first = is_settled and not before.is_settled and not agreement.is_disputed
    if is_first or abs(own - agreement.offset) <= TOLERATED:
        offset = agreement.offset
    else:
        slew = SLEW_RATE * (now - before.changed) if is_settled else 0.0
        offset = min(agreement.offset, before.offset + slew)
    return replace(before, offset=offset, changed=now, is_settled=is_settled)
