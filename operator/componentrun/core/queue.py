"""Whose turn it is: the runs of one namespace that wait for their start, and those that have a place.

A run has a place from the moment it is started until its component can't run any more. Rules:

- Of one concurrency group, as many have a place as its runs' `parallelism` says (1 where nothing is said); the next
  ones follow in order of creation.
- Of one namespace, at most `limit` counted runs have a place. Runs that wait for their group don't stand in the way of
  others; those whose group has room go in order of creation.
- Where a ResourceQuota refused a run, those that were created after it wait until it has its pod, and then go one by
  one: many small ones would keep a large one out for ever.
- A run that replaces ends older ones of its group, the oldest first, until there is room for it.

Pure: it is told of every change and says which runs to look at again. It is derived from runs and pods alone, so that
after a restart the same comes out.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.common import Policy
    from componentrun.api.componentrun import WaitingFor

__all__ = ["FRONT", "START", "Entry", "Order", "Queue", "Turn"]

FRONT: Final = 4
"""So many at the front of a line are looked at when it moves: they start, or are told their new place."""
_NAMED: Final = 3
"""So many runs in the way are named."""


class Order(NamedTuple):
    """By which runs stand in line. The API server tells whole seconds, so a number goes before chance."""

    created: str
    """metadata.creationTimestamp."""
    number: int
    """The run's resource version when it was seen first."""
    uid: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What counts about a run."""

    name: str
    order: Order
    group: str | None = None
    """Concurrency group; None: it minds nobody."""
    policy: Policy = "Queue"
    parallelism: int = 1
    """How many of its group may have a place for this one to get one, too."""
    placed: bool = False
    """Whether it has a place; it waits for one where not."""
    claimed: bool = False
    """It has a place because it is being started; whether that succeeds is not known yet."""
    counted: bool = True
    """Whether it counts towards the namespace's limit."""
    quota_class: str = ""
    """Runs of one class meet the same quotas."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer for one run."""

    verdict: Literal["start", "wait", "forbidden"] = "start"
    waiting_for: WaitingFor | None = None
    position: int = 0
    """1 for the next one."""
    group: str | None = None
    ahead: tuple[str, ...] = ()
    """Some of the runs that it waits for."""
    limit: int = 0
    """The namespace's limit, where it waits for that."""
    quota: str = ""
    """What the API server said of the quota."""
    replaced_by: str | None = None
    """A newer run of the group takes this one's place; whether it waits or runs."""
    number: int = 0
    """See `Order.number`."""


START: Final = Turn()
"""Nothing is in the way."""


@dataclass(slots=True)
class _Group:
    """The members of one concurrency group, in order."""

    placed: list[Order] = field(default_factory=list)
    waiting: list[Order] = field(default_factory=list)
    replacing: list[Order] = field(default_factory=list)
    """Those who wait and replace."""
    ready: tuple[Order, ...] = ()
    """Those who wait and for whom the group has room."""


@dataclass(frozen=True, slots=True)
class _Full:
    """A quota refused this run."""

    order: Order
    said: str


class Queue:
    """The queue of one namespace."""

    def __init__(self) -> None:
        """Nobody is there, and there is no limit."""
        self.limit: int | None = None
        self._entries: dict[str, Entry] = {}
        self._names: dict[Order, str] = {}
        self._groups: dict[str, _Group] = {}
        self._ready: list[Order] = []  # counted ones that wait for nothing but the limit or a quota
        self._apart: list[Order] = []  # the same, of those that are not counted
        self._running = 0
        self._full: dict[tuple[str, bool], _Full] = {}

    def __len__(self) -> int:
        """How many wait or have a place."""
        return len(self._entries)

    def put(self, entry: Entry) -> set[str]:
        """A run is there, or has changed. Which others to look at again."""
        before = self._entries.get(entry.name)
        if before == entry:
            return set()
        moved: set[str] = set()
        if before is not None and before.group != entry.group:
            moved |= self.remove(entry.name)
        elif before is not None:
            self._take_out(before)
        self._entries[entry.name] = entry
        self._names[entry.order] = entry.name
        if entry.placed:
            self._running += entry.counted
            moved |= set() if entry.claimed else self._clear(entry)
        group = None if entry.group is None else self._groups.setdefault(entry.group, _Group())
        if group is not None:
            insort(group.placed if entry.placed else group.waiting, entry.order)
            if entry.policy == "Replace" and not entry.placed:
                insort(group.replacing, entry.order)
                moved |= self._older(group, entry)
            elif before is None and group.replacing and entry.order < group.replacing[-1]:
                moved |= self._older(group, entry)  # one more for whom a run that replaces has no room
        moved |= self._settle(entry)
        # One that joined the end of a line has moved nobody, and one that is tried, or was in vain, nobody yet: if it
        # had, two that are refused would bring each other back for ever.
        trying = entry.claimed or (before is not None and before.claimed and not entry.placed)
        return (moved if before is None or trying else moved | self._front(group)) - {entry.name}

    def remove(self, name: str) -> set[str]:
        """A run neither waits nor has a place any more. Which others to look at again."""
        entry = self._entries.get(name)
        if entry is None:
            return set()
        self._take_out(entry)
        moved = self._clear(entry) | self._settle(entry)
        return (moved | self._front(self._groups.get(entry.group or ""))) - {name}

    def turn(self, name: str) -> Turn:
        """Whether this run may start, or what it waits for. A run that is not known here minds nobody."""
        entry = self._entries.get(name)
        if entry is None:
            return START
        group = None if entry.group is None else self._groups[entry.group]
        replaced_by = self._replaced_by(entry, group)
        number = entry.order.number
        if entry.placed:
            return Turn(group=entry.group, replaced_by=replaced_by, number=number)
        if group is not None and entry.order not in group.ready:
            position = bisect_left(group.waiting, entry.order)
            ahead = (*group.placed, *group.waiting[:position])[:_NAMED]
            return Turn(
                "forbidden" if entry.policy == "Forbid" else "wait", "ConcurrencyGroup", position + 1, entry.group,
                self._named(ahead), replaced_by=replaced_by, number=number,
            )  # fmt: skip
        return self._room(entry, replaced_by)

    def quota_full(self, name: str, said: str) -> None:
        """A ResourceQuota refused the pod of this run: those behind it need not try."""
        entry = self._entries.get(name)
        if entry is None or entry.placed:
            return  # another attempt of a run that has its place holds nobody up
        known = self._full.get(_quota_class(entry))
        if known is None or entry.order <= known.order:
            self._full[_quota_class(entry)] = _Full(entry.order, said)

    def refused(self) -> tuple[str, ...]:
        """The runs that wait for a quota, of each class the first."""
        return self._named(full.order for full in self._full.values())

    def in_order(self, names: Iterable[str]) -> list[str]:
        """The runs as they stand in line."""
        known = [self._entries[name] for name in names if name in self._entries]
        return [entry.name for entry in sorted(known, key=lambda entry: entry.order)]

    def front(self) -> set[str]:
        """Those who are next in the namespace."""
        return set(self._named((*self._ready[:FRONT], *self._apart[:FRONT])))

    def counts(self) -> dict[WaitingFor, int]:
        """How many wait for what."""
        in_groups = sum(len(group.waiting) - len(group.ready) for group in self._groups.values())
        for_room = len(self._ready) + len(self._apart)
        if self._full:
            return {"ConcurrencyGroup": in_groups, "ResourceQuota": for_room}
        return {"ConcurrencyGroup": in_groups, "MaxRunning": for_room}

    def _room(self, entry: Entry, replaced_by: str | None) -> Turn:
        """The group is no hindrance; a quota or the limit may be."""
        rank = bisect_left(self._ready if entry.counted else self._apart, entry.order)
        number = entry.order.number
        if entry.counted and self.limit is not None and self._running + rank >= self.limit:
            return Turn(
                "wait", "MaxRunning", rank + 1, entry.group, limit=self.limit, replaced_by=replaced_by, number=number
            )
        full = self._full.get(_quota_class(entry))
        if full is not None and full.order < entry.order:
            return Turn(
                "wait", "ResourceQuota", rank + 1, entry.group, self._named([full.order]), quota=full.said,
                replaced_by=replaced_by, number=number,
            )  # fmt: skip
        return Turn(group=entry.group, replaced_by=replaced_by, number=number, position=rank + 1)

    def _replaced_by(self, entry: Entry, group: _Group | None) -> str | None:
        """The newest run that replaces, where there would be no room for it beside this one and all between them."""
        if group is None or not group.replacing or group.replacing[-1] <= entry.order:
            return None
        newest = group.replacing[-1]
        between = sum(
            bisect_left(line, newest) - bisect_left(line, entry.order) for line in (group.placed, group.waiting)
        )
        name = self._names[newest]
        return name if between >= self._entries[name].parallelism else None

    def _take_out(self, entry: Entry) -> None:
        del self._entries[entry.name]
        del self._names[entry.order]
        if entry.placed:
            self._running -= entry.counted
        self._not_ready(entry.order)
        group = self._groups.get(entry.group or "")
        if group is not None:
            for line in (group.placed, group.waiting, group.replacing):
                _discard(line, entry.order)
            group.ready = tuple(order for order in group.ready if order != entry.order)

    def _clear(self, entry: Entry) -> set[str]:
        """A run that a quota refused has its pod, or is gone: the next one may try."""
        key = _quota_class(entry)
        full = self._full.get(key)
        if full is None or full.order != entry.order:
            return set()
        line = self._ready if entry.counted else self._apart
        following = (order for order in line if _quota_class(self._entries[self._names[order]]) == key)
        order = next(following, None)
        if order is None:
            del self._full[key]
            return set()
        self._full[key] = _Full(order, full.said)
        return {self._names[order]}

    def _settle(self, entry: Entry) -> set[str]:
        """Find out anew for whom the entry's group has room. Those for whom it newly has."""
        if entry.group is None:
            waits = entry.name in self._entries and not entry.placed
            return self._make_ready([entry.order] if waits else [])
        group = self._groups.get(entry.group)
        if group is None:
            return set()
        if not group.placed and not group.waiting:
            del self._groups[entry.group]
            return set()
        before = group.ready
        group.ready = tuple(self._with_room(group))
        moved: set[str] = set()
        for order in before:
            if order not in group.ready:
                self._not_ready(order)
                moved |= self._clear(self._entries[self._names[order]])  # nobody waits for one that waits for its group
        return moved | self._make_ready([order for order in group.ready if order not in before])

    def _with_room(self, group: _Group) -> Iterable[Order]:
        """From the front of the line, until there is one for whom there is no room."""
        for i, order in enumerate(group.waiting):
            if len(group.placed) + i >= self._entries[self._names[order]].parallelism:
                return
            yield order

    def _make_ready(self, orders: list[Order]) -> set[str]:
        for order in orders:
            insort(self._ready if self._entries[self._names[order]].counted else self._apart, order)
        return set(self._named(orders))

    def _not_ready(self, order: Order) -> None:
        for line in (self._ready, self._apart):
            _discard(line, order)

    def _older(self, group: _Group, entry: Entry) -> set[str]:
        """Members of a group that are older than this one."""
        return set(
            self._named(
                order for line in (group.placed, group.waiting) for order in line[: bisect_left(line, entry.order)]
            )
        )

    def _front(self, group: _Group | None) -> set[str]:
        """Whom a change in this group may move."""
        return self.front() | (set(self._named(group.waiting[:FRONT])) if group is not None else set())

    def _named(self, orders: Iterable[Order]) -> tuple[str, ...]:
        return tuple(self._names[order] for order in orders)


def _quota_class(entry: Entry) -> tuple[str, bool]:
    """Runs of one class meet the same quotas; those that are not counted go their own way."""
    return entry.quota_class, entry.counted


def _discard(line: list[Order], order: Order) -> None:
    i = bisect_left(line, order)
    if i < len(line) and line[i] == order:
        del line[i]
