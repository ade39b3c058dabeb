"""Admission queue of a namespace: which queued runs may start.

A run has a place from its start until its component can no longer run. Rules:

- In one concurrency group, as many runs have a place as their `parallelism` allows (defaults to 1). The next ones
  follow in order of creation.
- In one namespace, at most `limit` counted runs have a place. Runs that wait for their group do not block others. Runs
  that their group admits start in order of creation.
- If a ResourceQuota refused a run, later runs of its class wait until it has its pod, and then start one by one.
  Otherwise many small runs would starve a large one. Meanwhile they do not count towards the limit.
- A run with the policy Replace ends older runs of its group, the oldest first, until the group admits it.

Pure: the caller reports every change, and the queue returns which runs to reconcile. Its state is derived only from
runs and pods, so that a restart gives the same result. All state belongs to an entry, and `_take_out` removes it.
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
    """Whether one run may start, and what it waits for."""

    verdict: Literal["start", "wait", "forbidden"] = "start"
    waiting_for: WaitingFor | None = None
    position: int = 0
    """Position in the queue; 1 is the next run."""
    group: str | None = None
    ahead: tuple[str, ...] = ()
    """Names of some of the runs that it waits for."""
    limit: int = 0
    """The namespace's limit, if the run waits for it."""
    quota: str = ""
    """Message of the API server about the quota."""
    replaced_by: str | None = None
    """Name of a newer run of the group that takes this one's place."""
    number: int = 0
    """See `Order.number`."""


START: Final = Turn()
"""The run may start."""


@dataclass(slots=True)
class _Group:
    """The members of one concurrency group, in order."""

    placed: list[Order] = field(default_factory=list)
    waiting: list[Order] = field(default_factory=list)
    replacing: list[Order] = field(default_factory=list)
    """Waiting members with the policy Replace."""
    ready: tuple[Order, ...] = ()
    """The first of `waiting`: members that the group admits."""
    replaced_until: Order | None = None
    """The last member that the newest replacing member replaces, with all before it."""


class Queue:
    """The queue of one namespace."""

    def __init__(self) -> None:
        """Start empty and without a limit."""
        self._entries: dict[str, Entry] = {}
        self._names: dict[Order, str] = {}
        self._groups: dict[str, _Group] = {}
        self._room = Room()

    def __len__(self) -> int:
        """Number of runs that wait or have a place."""
        return len(self._entries)

    @property
    def limit(self) -> int | None:
        """Maximum number of counted runs that have a place; None for no limit."""
        return self._room.limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        self._room.limit = limit

    def put(self, entry: Entry) -> set[str]:
        """Add or update a run. Returns the other runs to reconcile."""
        old = self._entries.get(entry.name)
        if old == entry:
            return set()
        affected: set[str] = set()
        if old is not None and _line_of(old) != _line_of(entry):
            affected |= self.remove(entry.name)
        heads = self._room.heads()
        if entry.name in self._entries:
            self._take_out(self._entries[entry.name])
        self._put_in(entry)
        affected |= self._settle(entry.group) | self._named(self._room.settle(heads))
        # Appending to the queue, or a start that failed, changes no other run's position. If a failed start triggered
        # the others, two runs that a quota refuses would trigger each other forever.
        is_trying = entry.claimed or (old is not None and old.claimed and not entry.placed)
        if old is not None and not is_trying:
            affected |= self._front(entry.group)
        return affected - {entry.name}

    def remove(self, name: str) -> set[str]:
        """Remove a run. Returns the other runs to reconcile."""
        entry = self._entries.get(name)
        if entry is None:
            return set()
        heads = self._room.heads()
        self._take_out(entry)
        affected = self._settle(entry.group) | self._named(self._room.settle(heads))
        return affected | self._front(entry.group) | self.front()

    def turn(self, name: str) -> Turn:
        """Whether this run may start, or what it waits for. An unknown run may start."""
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

    def quota_full(self, name: str, message: str) -> set[str]:
        """Record that a ResourceQuota refused the run's pod. Returns the other runs to reconcile."""
        entry = self._entries.get(name)
        if entry is None or entry.placed:
            return set()  # another attempt of a run that already has a place delays no other run
        self._room.refuse(entry, message)
        # Its share of the limit is free again. Runs of full classes are not returned: a quota would refuse them.
        return set() if self.limit is None else self._named(self._room.front(FRONT)) - {name}

    def refused(self) -> tuple[str, ...]:
        """The first run of each class that waits for a quota."""
        return self._list(sorted(self._room.waiting_heads()))

    def in_order(self, names: Iterable[str]) -> list[str]:
        """The runs in queue order."""
        entries = [self._entries[name] for name in names if name in self._entries]
        return [entry.name for entry in sorted(entries, key=lambda entry: entry.order)]

    def front(self) -> set[str]:
        """The next runs of the namespace, and the first run of each class that a quota refused."""
        return self._named((*self._room.front(FRONT), *self._room.waiting_heads()))

    def counts(self) -> dict[WaitingFor, int]:
        """Number of waiting runs by what they wait for."""
        in_groups = sum(len(group.waiting) - len(group.ready) for group in self._groups.values())
        for_limit, for_quotas = self._room.counts()
        return {"ConcurrencyGroup": in_groups, "MaxRunning": for_limit, "ResourceQuota": for_quotas}

    def _admission(self, entry: Entry, turn: Turn) -> Turn:
        """The turn of a run that its group admits. A quota or the limit may delay it."""
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
        """The newest replacing run, if the group has no room for it in addition to this run and all between them."""
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
        """Undo `_put_in` and the changes of `_settle` for the entry."""
        del self._entries[entry.name]
        del self._names[entry.order]
        self._room.discard(entry)
        group = self._groups.get(entry.group or "")
        if group is not None:
            for line in (group.placed, group.waiting, group.replacing):
                discard(line, entry.order)
            group.ready = tuple(order for order in group.ready if order != entry.order)

    def _settle(self, name: str | None) -> set[str]:
        """Recompute which members a group admits and which are replaced. Returns those newly admitted or replaced."""
        group = self._groups.get(name or "")
        if name is None or group is None:
            return set()
        if not group.placed and not group.waiting:
            del self._groups[name]
            return set()
        old_ready, group.ready = set(group.ready), tuple(self._with_room(group))
        for order in old_ready.difference(group.ready):
            self._room.discard(self._entries[self._names[order]])
        admitted = [order for order in group.ready if order not in old_ready]
        for order in admitted:
            self._room.add(self._entries[self._names[order]])
        return self._named(admitted) | self._newly_replaced(group)

    def _with_room(self, group: _Group) -> Iterable[Order]:
        """Members from the front of the queue, up to the first that the group does not admit."""
        for i, order in enumerate(group.waiting):
            if len(group.placed) + i >= self._entries[self._names[order]].parallelism:
                return
            yield order

    def _newly_replaced(self, group: _Group) -> set[str]:
        """Members that are newly replaced."""
        old_until, replaced_until = group.replaced_until, self._last_replaced(group)
        group.replaced_until = replaced_until
        if replaced_until is None or (old_until is not None and replaced_until <= old_until):
            return set()
        affected: set[str] = set()
        for line in (group.placed, group.waiting):
            begin = 0 if old_until is None else bisect_right(line, old_until)
            affected |= self._named(line[begin : bisect_right(line, replaced_until)])
        return affected

    def _last_replaced(self, group: _Group) -> Order | None:
        """The newest replaced member. The members after it may run together with the replacing one."""
        if not group.replacing:
            return None
        newest = group.replacing[-1]
        parallelism = self._entries[self._names[newest]].parallelism
        ends = [(line, bisect_left(line, newest)) for line in (group.placed, group.waiting)]
        older = sorted(order for line, end in ends for order in line[max(end - parallelism, 0) : end])
        return older[-parallelism] if len(older) >= parallelism else None

    def _front(self, group: str | None) -> set[str]:
        """Runs whose position a change in this group may have changed."""
        members = self._groups.get(group or "")
        waiting = members.waiting[:FRONT] if members is not None else []
        return self._named((*self._room.front(FRONT), *waiting))

    def _list(self, orders: Iterable[Order]) -> tuple[str, ...]:
        return tuple(self._names[order] for order in orders)

    def _named(self, orders: Iterable[Order]) -> set[str]:
        return set(self._list(orders))


def _line_of(entry: Entry) -> tuple[object, ...]:
    """The attributes that determine a run's queues and position; if they change, it is removed and added again."""
    return entry.order, entry.group, entry.counted, entry.quota_class
