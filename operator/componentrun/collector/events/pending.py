"""Events that wait for their segment, and the order in which they will stand in it. Pure.

Containers are read side by side, so what came first is not always said first: within a segment events stand in the
order of their times, and those of one source in the order in which it gave them.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.collector.readers.structure import Said

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Entry", "Plain", "Waiting"]

_LAST: Final = 2**63
"""Behind every time."""
_place: Final = itemgetter(0)


class Entry(NamedTuple):
    """One event."""

    time: int
    what: Said
    source: str
    attempt: int | None

    @property
    def amount(self) -> int:
        """How many events it is."""
        return 1

    @property
    def latest(self) -> int:
        """Its time."""
        return self.time

    def entry(self, _at: int) -> Entry:
        """The only one."""
        return self

    def latest_at(self) -> int:
        """Which of its events is the latest."""
        return 0


class Plain(NamedTuple):
    """Events of one source, one behind the other, that say nothing but their message; type `info`."""

    times: list[int]
    messages: list[str]
    source: str
    attempt: int | None

    @property
    def amount(self) -> int:
        """How many events it is."""
        return len(self.times)

    @property
    def latest(self) -> int:
        """The latest time."""
        return max(self.times)

    def entry(self, at: int) -> Entry:
        """One of them."""
        return Entry(self.times[at], Said("info", self.messages[at]), self.source, self.attempt)

    def latest_at(self) -> int:
        """Which of them is the (first) latest."""
        return self.times.index(self.latest)


class Waiting:
    """Events in the order in which they came.

    Attributes:
        count: how many there are.
    """

    def __init__(self) -> None:
        """None waits."""
        self.count = 0
        self._parts: list[tuple[int, int, Entry | Plain]] = []
        """With the places of the first and of the last event of each. An event's place is its time, or that of a later
        one before it from the same source."""
        self._latest: dict[str, int] = {}

    def add(self, part: Entry | Plain, *, last: bool = False) -> None:
        """The next event or events; `last`: nothing may stand behind it."""
        before = self._latest.get(part.source, 0)
        first = _LAST if last else max(before, part[0] if isinstance(part, Entry) else part.times[0])
        until = max(first, part.latest)
        self._parts.append((first, until, part))
        self._latest[part.source] = until
        self.count += part.amount

    def add_plain(self, time: int, message: str, source: str, attempt: int | None) -> None:
        """The next event, which says nothing but its message; joined to those before it, where these are such, too."""
        place = self._latest[source] = max(self._latest.get(source, 0), time)
        self.count += 1
        if self._parts:
            first, _, before = self._parts[-1]
            if isinstance(before, Plain) and before.source == source and before.attempt == attempt:
                before.times.append(time)
                before.messages.append(message)
                self._parts[-1] = (first, place, before)
                return
        self._parts.append((place, place, Plain([time], [message], source, attempt)))

    def take(self) -> tuple[Entry | Plain, ...]:
        """Take all out, in their order."""
        parts = self._parts
        if any(later[0] < earlier[1] for earlier, later in pairwise(parts)):
            # Another source has said something in between.
            parts = sorted([single for part in parts for single in _singles(*part)], key=_place)
        self.count, self._parts = 0, []
        self._latest.clear()
        return tuple([part for _, _, part in parts])


def _singles(first: int, until: int, part: Entry | Plain) -> Iterator[tuple[int, int, Entry]]:
    if isinstance(part, Entry):
        yield first, until, part
        return
    for at, place in enumerate(accumulate([first, *part.times[1:]], max)):
        yield place, place, part.entry(at)
