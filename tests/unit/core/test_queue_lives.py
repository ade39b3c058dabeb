"""The queue under any sequence of changes: nothing of a run outlives it, and answers follow from the runs there."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from componentrun.core.queue.admission import Queue
from componentrun.core.queue.entry import Entry, Order

NAMES = st.sampled_from("abcdef")
ENTRIES = st.builds(
    Entry,
    name=NAMES,
    order=st.builds(Order, created=st.just("2026"), number=st.integers(1, 9), uid=st.just("")),
    group=st.sampled_from([None, "g", "h"]),
    policy=st.sampled_from(["Queue", "Forbid", "Replace"]),
    parallelism=st.integers(1, 2),
    counted=st.booleans(),
    quota_class=st.sampled_from(["", "vip"]),
)


class AnyChanges(RuleBasedStateMachine):
    """Runs are created, edited, tried, refused, started, deleted and created anew; the limit changes."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()
        self.entries: dict[str, Entry] = {}

    def put(self, entry: Entry) -> None:
        self.check(self.queue.put(entry), entry.name)
        self.entries[entry.name] = entry

    def check(self, moved: set[str], name: str) -> None:
        assert moved <= self.entries.keys() - {name}, "only runs that are there are looked at again"

    @rule(entry=ENTRIES, state=st.sampled_from(["waiting", "claimed", "placed"]))
    def change(self, entry: Entry, state: str) -> None:
        """A run is new, or any part of it changes: its labels, its Component, its pod, or another run has its name."""
        order = entry.order._replace(uid=entry.name)  # no two runs have one uid
        self.put(replace(entry, order=order, placed=state != "waiting", claimed=state == "claimed"))

    @rule(name=NAMES, counted=st.booleans())
    def label(self, name: str, counted: bool) -> None:
        """A run is given the label of a queue that is not ours, or loses it."""
        if name in self.entries:
            self.put(replace(self.entries[name], counted=counted))

    @rule(name=NAMES)
    def refuse(self, name: str) -> None:
        """A run is tried, and a quota has no room for its pod."""
        entry = self.entries.get(name)
        if entry is None or (entry.placed and not entry.claimed) or self.queue.turn(name).verdict != "start":
            return
        self.put(replace(entry, placed=True, claimed=True))
        self.put(replace(entry, placed=False, claimed=False))
        self.check(self.queue.quota_full(name, "full"), name)

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        entry = self.entries.get(name)
        if entry is not None and self.queue.turn(name).verdict == "start":
            self.put(replace(entry, placed=True, claimed=False))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        moved = self.queue.remove(name)
        self.entries.pop(name, None)
        self.check(moved, name)

    @rule(limit=st.sampled_from([None, 1, 2]))
    def limit(self, limit: int | None) -> None:
        self.queue.limit = limit

    @invariant()
    def every_answer_names_runs_that_are_there(self) -> None:
        there = self.entries.keys()
        for name in there:
            turn = self.queue.turn(name)
            assert {*turn.ahead, *([turn.replaced_by] if turn.replaced_by else [])} <= there
            assert turn.position >= int(turn.waiting_for is not None)
        assert {*self.queue.refused(), *self.queue.front()} <= there

    @invariant()
    def all_that_wait_are_counted_once(self) -> None:
        waiting = sum(not entry.placed for entry in self.entries.values())
        assert sum(self.queue.counts().values()) == waiting

    @invariant()
    def a_run_that_nothing_is_in_the_way_of_may_start(self) -> None:
        """Of those that wait for room alone, the oldest of each class may start where the limit allows one more."""
        if any(entry.claimed for entry in self.entries.values()):
            return
        running = sum(entry.placed and entry.counted for entry in self.entries.values())
        turns = {name: self.queue.turn(name) for name, entry in self.entries.items() if not entry.placed}
        grouped = {name for name, turn in turns.items() if turn.waiting_for == "ConcurrencyGroup"}
        for name in turns.keys() - grouped:
            entry = self.entries[name]
            older = [one for one in turns.keys() - grouped if self.entries[one].order < entry.order]
            full = entry.counted and self.queue.limit is not None and running >= self.queue.limit
            if not older and not full:
                assert turns[name].verdict == "start"

    def teardown(self) -> None:
        """When the last run is gone, nothing of them is left."""
        for name in list(self.entries):
            self.remove(name)
        self.queue.limit = None
        assert vars(self.queue._room) == vars(Queue()._room)
        assert vars(self.queue) == vars(Queue()) | {"_room": self.queue._room}


TestAnyChanges = AnyChanges.TestCase
TestAnyChanges.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
