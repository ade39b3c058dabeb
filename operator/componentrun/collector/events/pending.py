"""Events that are not in a segment yet, and their order in it. Pure.

Containers are read concurrently, so events do not arrive in the order of their times. Within a segment they are ordered
by time, and those of one source keep the order in which they arrived.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.collector.readers.structure import EventContent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Entry", "PendingEvents", "PlainEvents"]

_LAST: Final = 2**63
"""Behind every time."""
_order: Final = itemgetter(0)


class Entry(NamedTuple):
    """One event."""

    time: int
    what: EventContent
    source: str
    attempt: int | None

    @property
    def amount(self) -> int:
        """Number of events."""
        return 1

    @property
    def latest(self) -> int:
        """Time of the event."""
        return self.time

    def entry(self, _at: int) -> Entry:
        """The event."""
        return self

    def latest_at(self) -> int:
        """Index of the latest event."""
        return 0


class PlainEvents(NamedTuple):
    """Consecutive events of one source that have nothing but a message; type `info`."""

    times: list[int]
    messages: list[str]
    source: str
    attempt: int | None

    @property
    def amount(self) -> int:
        """Number of events."""
        return len(self.times)

    @property
    def latest(self) -> int:
        """The latest time."""
        return max(self.times)

    def entry(self, at: int) -> Entry:
        """The event at this index."""
        return Entry(self.times[at], EventContent("info", self.messages[at]), self.source, self.attempt)

    def latest_at(self) -> int:
        """Index of the first event with the latest time."""
        return self.times.index(self.latest)


class PendingEvents:
    """Pending events, in order of arrival.

    Attributes:
        count: number of events.
    """

    def __init__(self) -> None:
        """Start without events."""
        self.count = 0
        self._parts: list[tuple[int, int, Entry | PlainEvents]] = []
        """Each part with the sort keys of its first and last event: the latest time of the source up to that event."""
        self._latest: dict[str, int] = {}

    def add(self, part: Entry | PlainEvents, *, last: bool = False) -> None:
        """Add a part; `last`: it comes after all others."""
        before = self._latest.get(part.source, 0)
        first = _LAST if last else max(before, part[0] if isinstance(part, Entry) else part.times[0])
        until = max(first, part.latest)
        self._parts.append((first, until, part))
        self._latest[part.source] = until
        self.count += part.amount

    def add_plain(self, time: int, message: str, source: str, attempt: int | None) -> None:
        """Add an event with nothing but a message, to the last part if that is of the same kind and source."""
        order = self._latest[source] = max(self._latest.get(source, 0), time)
        self.count += 1
        if self._parts:
            first, _, before = self._parts[-1]
            if isinstance(before, PlainEvents) and before.source == source and before.attempt == attempt:
                before.times.append(time)
                before.messages.append(message)
                self._parts[-1] = (first, order, before)
                return
        self._parts.append((order, order, PlainEvents([time], [message], source, attempt)))

    def take(self) -> tuple[Entry | PlainEvents, ...]:
        """Remove and return all parts, in order."""
        parts = self._parts
        if any(later[0] < earlier[1] for earlier, later in pairwise(parts)):
            # Events of another source come in between.
            parts = sorted([single for part in parts for single in _singles(*part)], key=_order)
        self.count, self._parts = 0, []
        self._latest.clear()
        return tuple([part for _, _, part in parts])


def _singles(first: int, until: int, part: Entry | PlainEvents) -> Iterator[tuple[int, int, Entry]]:
    if isinstance(part, Entry):
        yield first, until, part
        return
    for at, order in enumerate(accumulate([first, *part.times[1:]], max)):
        yield order, order, part.entry(at)
