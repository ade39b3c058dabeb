"""Admission queue of a namespace: which queued runs may start.

A run has a place from the moment it is started until its component can't run any more. Rules:

- Of one concurrency group, as many have a place as its runs' `parallelism` says (1 where nothing is said); the next
  ones follow in order of creation.
- Of one namespace, at most `limit` counted runs have a place. Runs that wait for their group don't stand in the way of
  others; those whose group has room go in order of creation.
- Where a ResourceQuota refused a run, those of its class that were created after it wait until it has its pod, and then
  go one by one: many small ones would keep a large one out for ever. They take no room in the limit meanwhile.
- A run that replaces ends older ones of its group, the oldest first, until there is room for it.

Pure: it is told of every change and says which runs to look at again. It is derived from runs and pods alone, so that
after a restart the same comes out. All state belongs to an entry: `_take_out` removes it, whatever changes about a run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from componentrun.core.queue.room import Room, discard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.componentrun import WaitingFor
    from componentrun.core.queue.entry import Entry, Order

__all__ = ["FRONT", "START", "Queue", "Turn"]

FRONT: Final = 4
"""Number of runs at the head of the queue to re-evaluate when it advances: they start, or report their new position."""
_NAMED: Final = 3
"""Number of runs ahead that `status.queue` names."""


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
    """Those who wait and for whom the group has room: the first of `waiting`."""
    replaced_until: Order | None = None
    """The last member that has to make room for the newest of those who replace; with it, all before it."""


class Queue:
    """The queue of one namespace."""

    def __init__(self) -> None:
        """Nobody is there, and there is no limit."""
        self._entries: dict[str, Entry] = {}
        self._names: dict[Order, str] = {}
        self._groups: dict[str, _Group] = {}
        self._room = Room()

    def __len__(self) -> int:
        """How many wait or have a place."""
        return len(self._entries)

    @property
    def limit(self) -> int | None:
        """How many counted runs may have a place; None: any number."""
        return self._room.limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        self._room.limit = limit

    def put(self, entry: Entry) -> set[str]:
        """A run is there, or has changed. Which others to look at again."""
        before = self._entries.get(entry.name)
        if before == entry:
            return set()
        moved: set[str] = set()
        if before is not None and _line_of(before) != _line_of(entry):
            moved |= self.remove(entry.name)
        heads = self._room.heads()
        if entry.name in self._entries:
            self._take_out(self._entries[entry.name])
        self._put_in(entry)
        moved |= self._settle(entry.group) | self._named(self._room.settle(heads))
        # Appending to the queue, or a start that failed, changes no other run's position. If a failed start woke the
        # others, two runs that a quota refuses would wake each other for ever.
        trying = entry.claimed or (before is not None and before.claimed and not entry.placed)
        if before is not None and not trying:
            moved |= self._front(entry.group)
        return moved - {entry.name}

    def remove(self, name: str) -> set[str]:
        """A run neither waits nor has a place any more. Which others to look at again."""
        entry = self._entries.get(name)
        if entry is None:
            return set()
        heads = self._room.heads()
        self._take_out(entry)
        moved = self._settle(entry.group) | self._named(self._room.settle(heads))
        return moved | self._front(entry.group) | self.front()

    def turn(self, name: str) -> Turn:
        """Whether this run may start, or what it waits for. A run that is not known here minds nobody."""
        entry = self._entries.get(name)
        if entry is None:
            return START
        group = None if entry.group is None else self._groups[entry.group]
        turn = Turn(group=entry.group, replaced_by=self._replaced_by(entry, group), number=entry.order.number)
        if entry.placed:
            return turn
        if group is not None:
            place = bisect_left(group.waiting, entry.order)
            if place >= len(group.ready):
                ahead = (*group.placed[:_NAMED], *group.waiting[: min(place, _NAMED)])[:_NAMED]
                verdict: Literal["wait", "forbidden"] = "forbidden" if entry.policy == "Forbid" else "wait"
                return replace(
                    turn, verdict=verdict, waiting_for="ConcurrencyGroup", position=place + 1, ahead=self._list(ahead)
                )
        return self._admission(entry, turn)

    def quota_full(self, name: str, said: str) -> set[str]:
        """A ResourceQuota refused the pod of this run: those behind it need not try. Which others to look at again."""
        entry = self._entries.get(name)
        if entry is None or entry.placed:
            return set()  # another attempt of a run that has its place holds nobody up
        self._room.refuse(entry, said)
        # While it was tried, it took room in the limit that is free again; those of full classes would be refused, too.
        return set() if self.limit is None else self._named(self._room.front(FRONT)) - {name}

    def refused(self) -> tuple[str, ...]:
        """The runs that wait for a quota, of each class the first."""
        return self._list(sorted(self._room.waiting_heads()))

    def in_order(self, names: Iterable[str]) -> list[str]:
        """The runs as they stand in line."""
        known = [self._entries[name] for name in names if name in self._entries]
        return [entry.name for entry in sorted(known, key=lambda entry: entry.order)]

    def front(self) -> set[str]:
        """Those who are next in the namespace, and of each class that a quota refused, who may try."""
        return self._named((*self._room.front(FRONT), *self._room.waiting_heads()))

    def counts(self) -> dict[WaitingFor, int]:
        """How many wait for what."""
        in_groups = sum(len(group.waiting) - len(group.ready) for group in self._groups.values())
        for_limit, for_quotas = self._room.counts()
        return {"ConcurrencyGroup": in_groups, "MaxRunning": for_limit, "ResourceQuota": for_quotas}

    def _admission(self, entry: Entry, turn: Turn) -> Turn:
        """The answer for a run whose group is no hindrance; a quota or the limit may be."""
        quota = self._room.quota_wait(entry)
        if quota is not None and quota.position > 1:
            return replace(
                turn, verdict="wait", waiting_for="ResourceQuota", position=quota.position,
                ahead=self._list([quota.first]), quota=quota.message,
            )  # fmt: skip
        position = self._room.rank(entry) + 1
        if self._room.is_over_limit(entry):
            return replace(
                turn, verdict="wait", waiting_for="MaxRunning", position=position, limit=self._room.limit or 0
            )
        return replace(turn, position=position if quota is None else quota.position)

    def _replaced_by(self, entry: Entry, group: _Group | None) -> str | None:
        """The newest run that replaces, where there is no room for it beside this one and all between them."""
        if group is None or group.replaced_until is None or entry.order > group.replaced_until:
            return None
        return self._names[group.replacing[-1]]

    def _put_in(self, entry: Entry) -> None:
        self._entries[entry.name] = entry
        self._names[entry.order] = entry.name
        if entry.placed or entry.group is None:
            self._room.add(entry)
        if entry.group is None:
            return
        group = self._groups.setdefault(entry.group, _Group())
        insort(group.placed if entry.placed else group.waiting, entry.order)
        if entry.policy == "Replace" and not entry.placed:
            insort(group.replacing, entry.order)

    def _take_out(self, entry: Entry) -> None:
        """Undo `_put_in`, and what `_settle` made of the entry."""
        del self._entries[entry.name]
        del self._names[entry.order]
        self._room.discard(entry)
        group = self._groups.get(entry.group or "")
        if group is not None:
            for line in (group.placed, group.waiting, group.replacing):
                discard(line, entry.order)
            group.ready = tuple(order for order in group.ready if order != entry.order)

    def _settle(self, name: str | None) -> set[str]:
        """Find out anew for whom a group has room, and who has to make room. Those for whom that is new."""
        group = self._groups.get(name or "")
        if name is None or group is None:
            return set()
        if not group.placed and not group.waiting:
            del self._groups[name]
            return set()
        before, group.ready = set(group.ready), tuple(self._with_room(group))
        for order in before.difference(group.ready):
            self._room.discard(self._entries[self._names[order]])
        moved = [order for order in group.ready if order not in before]
        for order in moved:
            self._room.add(self._entries[self._names[order]])
        return self._named(moved) | self._newly_replaced(group)

    def _with_room(self, group: _Group) -> Iterable[Order]:
        """From the front of the line, until there is one for whom there is no room."""
        for i, order in enumerate(group.waiting):
            if len(group.placed) + i >= self._entries[self._names[order]].parallelism:
                return
            yield order

    def _newly_replaced(self, group: _Group) -> set[str]:
        """Those who have to make room and had not before."""
        before, until = group.replaced_until, self._last_replaced(group)
        group.replaced_until = until
        if until is None or (before is not None and until <= before):
            return set()
        moved: set[str] = set()
        for line in (group.placed, group.waiting):
            begin = 0 if before is None else bisect_right(line, before)
            moved |= self._named(line[begin : bisect_right(line, until)])
        return moved

    def _last_replaced(self, group: _Group) -> Order | None:
        """The newest of those who have to make room: behind it there are as many as may run beside who replaces."""
        if not group.replacing:
            return None
        newest = group.replacing[-1]
        beside = self._entries[self._names[newest]].parallelism
        ends = [(line, bisect_left(line, newest)) for line in (group.placed, group.waiting)]
        older = sorted(order for line, end in ends for order in line[max(end - beside, 0) : end])
        return older[-beside] if len(older) >= beside else None

    def _front(self, group: str | None) -> set[str]:
        """Whose place a change in this group may have moved."""
        members = self._groups.get(group or "")
        waiting = members.waiting[:FRONT] if members is not None else []
        return self._named((*self._room.front(FRONT), *waiting))

    def _list(self, orders: Iterable[Order]) -> tuple[str, ...]:
        return tuple(self._names[order] for order in orders)

    def _named(self, orders: Iterable[Order]) -> set[str]:
        return set(self._list(orders))


def _line_of(entry: Entry) -> tuple[object, ...]:
    """What decides in which lines a run stands, and where: another one leaves them all and joins anew."""
    return entry.order, entry.group, entry.counted, entry.quota_class
