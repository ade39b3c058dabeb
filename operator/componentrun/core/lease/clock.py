"""Estimate the offset between the API servers' time and a local clock, from many readings, some of them wrong. Pure.

Several servers may respond, each with its own clock, and one of these may be wrong by minutes. A reading gives an
interval that contains the offset, because `Date` has whole seconds and a response takes time. As with NTP, the estimate
is the offset that is in the most intervals (Marzullo's algorithm). Each source, which is a connection and so one
server, has one vote, regardless of the number of its responses. If its readings contradict each other, its vote is
split.

In case of doubt, runs end later rather than earlier: of offsets with equal votes, the lowest one is used, and the
estimate decreases immediately. It increases in one step only if this machine's time agrees, or if the estimate is new
and no server disagrees. Otherwise it increases slowly.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TOLERATED", "Agreement", "Estimate", "Interval", "Readings", "agree", "next_estimate"]

TOLERATED: Final = 5.0
"""Seconds. Clocks that differ by less agree. No decision based on the time needs a higher precision."""
SETTLING: Final = 10.0
"""Seconds from the first reading until the estimate may increase. By then, every connection has had a response."""
SLEW_RATE: Final = 0.1
"""Seconds by which a settled estimate increases in one second. The local clock does not jump. If all servers seem to
have jumped forward, either another server responds, or their clock was set: in case of doubt, runs end later."""
_WIDENING: Final = TOLERATED / 4
"""Seconds by which an interval is widened at both limits, so that intervals within half of the tolerance agree."""
_KEPT: Final = 900.0
"""Seconds for which a reading counts. Longer than a watch, which is one response, can last."""
_READINGS: Final = 4
"""Number of newest readings that are kept for each source."""
_SPACING: Final = 5.0
"""Minimum seconds between two readings of a source, because a burst of responses adds no information."""
_SOURCES: Final = 64
"""Maximum number of connections to remember. The least recently used one is forgotten first."""
_EQUAL: Final = 1e-9
"""Sums of weights that differ by less count as equal."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Range of the offset (the server's time minus the local time, in seconds), including both limits."""

    low: float
    high: float

    def agrees_with(self, offset: float) -> bool:
        """Whether the widened interval contains this offset."""
        return self.low - _WIDENING <= offset <= self.high + _WIDENING


@dataclass(frozen=True, slots=True)
class Agreement:
    """The combined result of the readings."""

    offset: float
    """Seconds to add to the local clock."""
    spread: float
    """Minimum seconds by which the readings differ; 0 if one offset fits all of them."""

    @property
    def is_disputed(self) -> bool:
        """Whether servers disagree about the time."""
        return self.spread > TOLERATED


class Readings:
    """The newest readings of each source."""

    def __init__(self) -> None:
        """Start without readings."""
        self._sources: dict[str, deque[tuple[float, Interval]]] = {}

    def is_due(self, source: str, at: float) -> bool:
        """Whether the last reading of this source is old enough for another one to be useful."""
        known = self._sources.get(source)
        return not known or at - known[-1][0] >= _SPACING

    def add(self, source: str, interval: Interval, at: float) -> None:
        """Add a reading.

        Args:
            source: the connection of the reading.
            interval: range of the offset.
            at: seconds on the local clock.
        """
        known = self._sources.pop(source, None) or deque(maxlen=_READINGS)
        known.append((at, interval))
        self._sources[source] = known  # last in the order, because it is the most recent
        while len(self._sources) > _SOURCES:
            del self._sources[next(iter(self._sources))]

    def agreement(self, now: float, own: float) -> Agreement | None:
        """The combined result of all readings that still count; None if there are none.

        Args:
            now: seconds on the local clock.
            own: the offset of this machine's time. It gets a vote only if the servers disagree: if a machine differs
                from all servers, the machine is wrong.
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
    """The middle of the range of offsets with the largest total weight. Of several such ranges, the lowest is used.

    Args:
        votes: at least one interval with its weight; the intervals are widened.
    """
    edges = sorted(
        edge
        for interval, weight in votes
        for edge in ((interval.low - _WIDENING, 0, weight), (interval.high + _WIDENING, 1, -weight))
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
    """The current estimate of the offset."""

    offset: float
    began: float
    """Time of the first reading, in seconds on the local clock."""
    changed: float
    """Time of the last update."""
    is_settled: bool = False
    """Whether the settling time has passed, after which the estimate may increase."""


def next_estimate(before: Estimate | None, agreement: Agreement, now: float, own: float) -> Estimate:
    """The offset to use from now on.

    Args:
        before: the previous estimate; None: there is none.
        agreement: the combined result of the readings.
        now: seconds on the local clock.
        own: the offset of this machine's time.
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
