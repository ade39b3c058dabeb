"""Admission of runs that wait only for capacity: the limit of their namespace, and its ResourceQuotas.

`core.queue.admission` adds a run when its concurrency group admits it, and discards it when it changes or is removed.
All state belongs to runs that were added. The state of a full class is dropped with its last run.

Runs of one class (priority class, and whether they are counted) are subject to the same quotas. When a quota refuses
one of them, the class is full: its runs are admitted one by one, in order, until none waits or is being started. A run
of a full class has no pod, so it does not count towards the limit for runs of other classes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from componentrun.core.queue.entry import Entry, Order

__all__ = ["QuotaWait", "Room", "discard"]


class _Class(NamedTuple):
    """The attributes of a run that decide which quotas apply."""

    priority: str
    counted: bool


@dataclass(slots=True)
class _FullClass:
    """A class with a run whose pod a quota has refused."""

    message: str
    """Message of the API server."""
    line: list[Order]
    """All runs of the class that wait for capacity or are being started, in order."""


@dataclass(frozen=True, slots=True)
class QuotaWait:
    """Position of a run among those of its full class."""

    position: int
    """1 for the run that may be started."""
    first: Order
    """The run that may be started."""
    message: str
    """Message of the API server about the quota."""


class Room:
    """The runs of one namespace that wait for capacity, are being started, or have a place."""

    def __init__(self) -> None:
        """Start empty and without a limit."""
        self.limit: int | None = None
        self._running = 0
        self._pending: dict[Order, Entry] = {}
        """Runs that wait for capacity, or are being started."""
        self._lines: dict[bool, list[Order]] = {True: [], False: []}
        """Runs that wait for capacity and whose class is not full, by whether they are counted."""
        self._full: dict[_Class, _FullClass] = {}

    def add(self, entry: Entry) -> None:
        """Add a run that has a place, or waits only for capacity."""
        if entry.placed:
            self._running += entry.counted
            if not entry.claimed:
                return
        self._pending[entry.order] = entry
        full = self._full.get(_class_of(entry))
        if full is not None:
            insort(full.line, entry.order)
        elif not entry.placed:
            insort(self._lines[entry.counted], entry.order)

    def discard(self, entry: Entry) -> None:
        """Undo `add`. A waiting run that was never added is ignored."""
        if entry.placed:
            self._running -= entry.counted
        if self._pending.pop(entry.order, None) is None:
            return
        full = self._full.get(_class_of(entry))
        discard(self._lines[entry.counted] if full is None else full.line, entry.order)

    def heads(self) -> set[Order]:
        """The first run of each full class."""
        return {full.line[0] for full in self._full.values()}

    def settle(self, heads: set[Order]) -> set[Order]:
        """Drop full classes without runs, after each change; return first runs that are not in `heads`."""
        for key in [key for key, full in self._full.items() if not full.line]:
            del self._full[key]
        return self.heads() - heads

    def refuse(self, entry: Entry, message: str) -> None:
        """Mark the class of this run as full, because a quota refused its pod."""
        key = _class_of(entry)
        if key in self._full:
            self._full[key].message = message
            return
        line = sorted(order for order, pending in self._pending.items() if _class_of(pending) == key)
        if line:
            self._full[key] = _FullClass(message, line)
            line_of_class = self._lines[entry.counted]
            line_of_class[:] = [order for order in line_of_class if _class_of(self._pending[order]) != key]

    def quota_wait(self, entry: Entry) -> QuotaWait | None:
        """The position of a run in its class; None if the class is not full."""
        full = self._full.get(_class_of(entry))
        return None if full is None else QuotaWait(bisect_left(full.line, entry.order) + 1, full.line[0], full.message)

    def rank(self, entry: Entry) -> int:
        """Number of runs ahead of this one for the limit; runs of full classes do not count."""
        return bisect_left(self._lines[entry.counted], entry.order)

    def is_over_limit(self, entry: Entry) -> bool:
        """Whether the limit does not admit this run yet."""
        return entry.counted and self.limit is not None and self._running + self.rank(entry) >= self.limit

    def front(self, count: int) -> list[Order]:
        """The next runs whose class is not full: up to `count` counted ones, and up to `count` others."""
        return [*self._lines[True][:count], *self._lines[False][:count]]

    def waiting_heads(self) -> list[Order]:
        """The first run of each full class, unless it is being started."""
        return [order for order in self.heads() if not self._pending[order].claimed]

    def counts(self) -> tuple[int, int]:
        """Number of runs that wait for the limit, and for a quota."""
        count = sum(not entry.placed for entry in self._pending.values())
        limited = sum(len(line) for line in self._lines.values())
        return limited, count - limited


def discard(line: list[Order], order: Order) -> None:
    """Remove an order from a sorted list, if it contains it."""
    i = bisect_left(line, order)
    if i < len(line) and line[i] == order:
        del line[i]


def _class_of(entry: Entry) -> _Class:
    return _Class(entry.quota_class, entry.counted)
