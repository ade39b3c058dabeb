"""Whose turn it is: rules one by one, and random lives of many runs held against what was promised."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from componentrun.core.queue.admission import FRONT, START, Queue
from componentrun.core.queue.entry import Entry, Order

if TYPE_CHECKING:
    from componentrun.api.common import Policy
    from componentrun.core.queue.admission import Turn


def entry(number: int, group: str | None = "g", **more: Any) -> Entry:
    return Entry(f"run-{number}", Order("2026-01-01T00:00:00Z", number, f"uid-{number}"), group, **more)


def queue_of(*entries: Entry, limit: int | None = None) -> Queue:
    queue = Queue()
    queue.limit = limit
    for one in entries:
        queue.put(one)
    return queue


class TestGroups:
    def test_a_run_that_is_alone_starts(self) -> None:
        assert queue_of(entry(1)).turn("run-1").verdict == "start"

    def test_a_run_that_nobody_knows_starts(self) -> None:
        assert Queue().turn("other") == START

    def test_the_next_one_waits_and_is_told_for_whom(self) -> None:
        turn = queue_of(entry(1, placed=True), entry(3), entry(2)).turn("run-3")
        assert (turn.verdict, turn.waiting_for, turn.position) == ("wait", "ConcurrencyGroup", 2)
        assert (turn.group, turn.ahead) == ("g", ("run-1", "run-2"))

    def test_it_is_looked_at_again_as_soon_as_its_group_has_room(self) -> None:
        queue = queue_of(entry(1, placed=True), entry(2), entry(3))
        assert "run-2" in queue.remove("run-1")
        assert (queue.turn("run-2").verdict, queue.turn("run-3").verdict) == ("start", "wait")

    def test_runs_without_a_group_mind_nobody(self) -> None:
        queue = queue_of(entry(1, None, placed=True), entry(2, None), entry(3, None))
        assert {queue.turn(f"run-{i}").verdict for i in (2, 3)} == {"start"}

    def test_as_many_as_the_component_allows_run_at_a_time(self) -> None:
        queue = queue_of(*(entry(i, parallelism=2) for i in (1, 2, 3)))
        assert [queue.turn(f"run-{i}").verdict for i in (1, 2, 3)] == ["start", "start", "wait"]

    def test_one_that_was_held_back_goes_by_its_creation_when_it_is_released(self) -> None:
        queue = queue_of(entry(9, placed=True), entry(5))
        queue.put(entry(2))
        queue.remove("run-9")
        assert (queue.turn("run-2").verdict, queue.turn("run-5").verdict) == ("start", "wait")

    def test_the_seconds_of_creation_go_before_the_number(self) -> None:
        older = replace(entry(7), order=Order("2025-12-31T23:59:59Z", 7, "u"))
        queue = queue_of(entry(3), older)
        assert (queue.turn("run-7").verdict, queue.turn("run-3").verdict) == ("start", "wait")


class TestForbidAndReplace:
    def test_forbid_ends_where_one_is_there_and_names_it(self) -> None:
        turn = queue_of(entry(1, placed=True), entry(2, policy="Forbid")).turn("run-2")
        assert (turn.verdict, turn.ahead) == ("forbidden", ("run-1",))

    def test_forbid_ends_where_one_waits_that_is_older(self) -> None:
        assert queue_of(entry(1), entry(2, policy="Forbid"), limit=0).turn("run-2").verdict == "forbidden"

    def test_forbid_waits_for_the_namespaces_limit_like_everybody(self) -> None:
        turn = queue_of(entry(1, None, placed=True), entry(2, policy="Forbid"), limit=1).turn("run-2")
        assert (turn.verdict, turn.waiting_for) == ("wait", "MaxRunning")

    def test_replace_ends_all_that_are_older_and_waits_for_their_end(self) -> None:
        queue = queue_of(entry(1, placed=True), entry(2))
        assert queue.put(entry(3, policy="Replace")) >= {"run-1", "run-2"}
        assert [queue.turn(f"run-{i}").replaced_by for i in (1, 2, 3)] == ["run-3", "run-3", None]
        assert queue.turn("run-3").verdict == "wait"
        queue.remove("run-2")
        queue.remove("run-1")
        assert queue.turn("run-3").verdict == "start"

    def test_replace_leaves_those_alone_beside_whom_there_is_room(self) -> None:
        queue = queue_of(*(entry(i, placed=True, parallelism=3) for i in (1, 2, 3)))
        queue.put(entry(4, policy="Replace", parallelism=3))
        assert [queue.turn(f"run-{i}").replaced_by for i in (1, 2, 3)] == ["run-4", None, None]

    def test_the_newest_of_several_that_replace_wins(self) -> None:
        queue = queue_of(entry(1, placed=True), entry(2, policy="Replace"), entry(3, policy="Replace"))
        assert [queue.turn(f"run-{i}").replaced_by for i in (1, 2, 3)] == ["run-3", "run-3", None]

    def test_one_that_replaced_replaces_nobody_once_it_runs(self) -> None:
        queue = queue_of(entry(2, policy="Replace", placed=True), entry(1))
        assert queue.turn("run-1").replaced_by is None
        assert queue.turn("run-1").verdict == "wait"

    @pytest.mark.parametrize("way", [1, -1])
    def test_each_of_a_long_line_that_has_to_make_room_is_looked_at_once(self, way: int) -> None:
        queue, looks, runs = Queue(), 0, 200
        for i in range(1, runs + 1)[::way]:
            looks += len(queue.put(entry(i, policy="Replace")))
        assert [queue.turn(f"run-{i}").replaced_by for i in (1, runs - 1, runs)] == [f"run-{runs}"] * 2 + [None]
        assert looks <= runs

    def test_one_that_is_newer_is_not_replaced(self) -> None:
        queue = queue_of(entry(2, placed=True), entry(1, policy="Replace"))
        assert queue.turn("run-2").replaced_by is None


class TestRoom:
    def test_the_limit_counts_over_groups(self) -> None:
        turn = queue_of(entry(1, "a", placed=True), entry(2, "b"), entry(3, "c"), limit=1).turn("run-3")
        assert (turn.verdict, turn.waiting_for, turn.position, turn.limit) == ("wait", "MaxRunning", 2, 1)

    def test_who_waits_for_its_group_is_in_nobodys_way(self) -> None:
        queue = queue_of(entry(1, "a", placed=True), entry(2, "a"), entry(3, "b"), limit=2)
        assert queue.turn("run-3").verdict == "start"

    def test_one_that_is_not_counted_starts_and_takes_no_room(self) -> None:
        queue = queue_of(entry(1, None, counted=False, placed=True), entry(2, None), limit=1)
        queue.put(entry(3, None, counted=False))
        assert (queue.turn("run-2").verdict, queue.turn("run-3").verdict) == ("start", "start")

    def test_runs_that_a_quota_blocks_take_no_room_in_the_limit(self) -> None:
        queue = queue_of(*(entry(i, None) for i in range(1, 6)), entry(6, None, quota_class="vip"), limit=2)
        queue.quota_full("run-1", "full")
        assert queue.turn("run-6").verdict == "start"
        assert [queue.turn(f"run-{i}").waiting_for for i in (2, 5)] == ["ResourceQuota"] * 2
        assert queue.counts() == {"ConcurrencyGroup": 0, "MaxRunning": 1, "ResourceQuota": 5}

    def test_the_place_of_a_run_that_a_quota_blocks_is_the_one_among_those_it_blocks(self) -> None:
        queue = queue_of(entry(1, None, quota_class="vip"), *(entry(i, None) for i in (2, 3, 4)))
        queue.quota_full("run-2", "full")
        assert [queue.turn(f"run-{i}").position for i in (2, 3, 4)] == [1, 2, 3]

    def test_the_room_that_a_refused_run_took_while_it_was_tried_goes_to_the_next_one(self) -> None:
        queue = queue_of(entry(1, None), entry(2, None), entry(3, None, quota_class="vip"), limit=1)
        queue.put(entry(1, None, placed=True, claimed=True))
        assert queue.turn("run-3").waiting_for == "MaxRunning"
        queue.put(entry(1, None))
        assert "run-3" in queue.quota_full("run-1", "full")
        assert queue.turn("run-3").verdict == "start"

    def test_a_run_that_a_quota_refused_and_kueue_takes_over_stands_in_nobodys_way(self) -> None:
        queue = queue_of(entry(1, None), entry(2, None))
        queue.quota_full("run-1", "full")
        assert "run-2" in queue.put(entry(1, None, counted=False))
        assert queue.turn("run-2").verdict == "start"
        queue.remove("run-1")
        assert queue.refused() == ("run-2",)
        assert queue.turn("run-2").verdict == "start"

    def test_those_behind_one_that_a_quota_refused_wait_for_it(self) -> None:
        queue = queue_of(entry(1, None), entry(2, None), entry(3, None, quota_class="vip"))
        queue.quota_full("run-1", "quota `small` is full")
        assert queue.turn("run-1").verdict == "start", "it tries again"
        turn = queue.turn("run-2")
        assert (turn.waiting_for, turn.ahead, turn.quota) == ("ResourceQuota", ("run-1",), "quota `small` is full")
        assert queue.turn("run-3").verdict == "start", "another priority class has other quotas"

    def test_they_go_on_one_by_one_when_it_has_its_pod(self) -> None:
        queue = queue_of(entry(1, None), entry(2, None), entry(3, None))
        queue.quota_full("run-1", "full")
        queue.put(entry(1, None, placed=True, claimed=True))
        assert queue.turn("run-2").verdict == "wait", "whether it gets it is not known yet"
        assert "run-2" in queue.put(entry(1, None, placed=True))
        assert (queue.turn("run-2").verdict, queue.turn("run-3").verdict) == ("start", "wait")
        queue.put(entry(2, None, placed=True))
        queue.put(entry(3, None, placed=True))
        queue.put(entry(4, None))
        assert queue.turn("run-4").verdict == "start", "the line was empty: nobody has to wait any more"

    @pytest.mark.parametrize("end", ["cancelled", "older"])
    def test_they_go_on_when_it_is_gone_and_an_older_one_takes_its_part(self, end: str) -> None:
        queue = queue_of(entry(1, None), entry(2, None), entry(3, None))
        if end == "cancelled":
            queue.quota_full("run-1", "full")
            assert "run-2" in queue.remove("run-1")
            assert (queue.turn("run-2").verdict, queue.turn("run-3").verdict) == ("start", "wait")
        else:
            queue.quota_full("run-2", "full")
            queue.quota_full("run-1", "full")
            assert queue.refused() == ("run-1",)
            assert queue.turn("run-2").verdict == "wait"

    def test_two_that_are_refused_do_not_bring_each_other_back(self) -> None:
        queue = queue_of(entry(1, None), entry(2, None, quota_class="vip"))
        for number, of in ((1, ""), (2, "vip")):
            trying = entry(number, None, quota_class=of, placed=True, claimed=True)
            assert queue.put(trying) == set()
            assert queue.put(replace(trying, placed=False, claimed=False)) == set()

    def test_the_counts_are_by_what_is_waited_for(self) -> None:
        queue = queue_of(entry(1, placed=True), entry(2), entry(3, None), entry(4, None), limit=1)
        assert queue.counts() == {"ConcurrencyGroup": 1, "MaxRunning": 2, "ResourceQuota": 0}

    def test_a_run_that_joins_the_end_of_a_line_has_nobody_looked_at(self) -> None:
        queue = queue_of(entry(1, placed=True))
        assert queue.put(entry(2)) == set()
        assert queue.put(entry(3)) == set()

    def test_only_the_front_of_a_long_line_is_looked_at(self) -> None:
        queue = queue_of(entry(1, placed=True), *(entry(i) for i in range(2, 1000)))
        assert len(queue.remove("run-1")) <= 2 * FRONT


# Random lives


def named(name: str, at: int, **more: Any) -> Entry:
    return Entry(name, Order("2026", at, name), **more)


def test_one_that_a_quota_refused_and_that_waits_for_its_group_now_stands_in_nobodys_way() -> None:
    queue = Queue()
    queue.put(named("refused", 2, group="g"))
    queue.put(named("other", 3))
    queue.quota_full("refused", "full")
    assert queue.turn("other").verdict == "wait"
    woken = queue.put(named("older", 1, group="g"))  # it was suspended
    woken |= queue.put(named("older", 1, group="g", placed=True, claimed=True))
    woken |= queue.put(named("older", 1, group="g", placed=True))
    assert queue.turn("refused").waiting_for == "ConcurrencyGroup"
    assert queue.turn("other").verdict == "start"
    assert "other" in woken


def test_who_has_to_make_room_because_an_older_run_joined_is_looked_at() -> None:
    queue = Queue()
    for name, at in (("a", 1), ("b", 2)):
        queue.put(named(name, at, group="g", parallelism=2, placed=True))
    queue.put(named("r", 9, group="g", parallelism=2, policy="Replace"))
    assert [queue.turn(name).replaced_by for name in "ab"] == ["r", None]
    woken = queue.put(named("z", 5, group="g", parallelism=2))  # it was suspended
    assert queue.turn("b").replaced_by == "r"
    assert "b" in woken


@dataclass
class Life:
    """Runs that come, start in their turn, end, are cancelled; only those whom the queue names are looked at."""

    limit: int | None
    queue: Queue = field(default_factory=Queue)
    waiting: dict[str, Entry] = field(default_factory=dict)
    running: dict[str, Entry] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    stopping: set[str] = field(default_factory=set)
    full: bool = False
    look: list[str] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.queue.limit = self.limit

    def arrive(self, group: str | None, policy: Policy, parallelism: int, *, counted: bool, priority: str) -> None:
        self.count += 1
        one = entry(
            self.count, None if policy == "Allow" else group, policy=policy, parallelism=parallelism, counted=counted,
            quota_class=priority,
        )  # fmt: skip
        self.waiting[one.name] = one
        self.change(self.queue.put(one), one.name)

    def end(self, number: int) -> None:
        """One that runs ends by itself, or by having been stopped."""
        if self.running:
            name = sorted(self.running)[number % len(self.running)]
            del self.running[name]
            self.ended[name] = "Replaced" if name in self.stopping else "ended"
            self.change(self.queue.remove(name) | set(self.queue.refused()))

    def cancel(self, number: int) -> None:
        if self.waiting:
            name = sorted(self.waiting)[number % len(self.waiting)]
            del self.waiting[name]
            self.ended[name] = "cancelled"
            self.change(self.queue.remove(name))

    def quota(self, *, full: bool) -> None:
        self.full = full
        if not full:
            self.change(set(self.queue.refused()))

    def change(self, names: set[str], *more: str) -> None:
        self.look += [*sorted(names), *more]

    def settle(self) -> None:
        """Look at everybody who was named, until nobody is; the number of steps is bounded."""
        steps = 0
        while self.look:
            steps += 1
            assert steps < 100 * (self.count + 1), "it goes round in circles"
            self.reconcile(self.look.pop(0))
            self.check()
        for name in self.waiting.keys() - set(self.queue.refused()):
            assert self.queue.turn(name).verdict != "start", f"{name} may start and was not looked at"

    def reconcile(self, name: str) -> None:
        turn = self.queue.turn(name)
        if name in self.running and turn.replaced_by is not None:
            self.stopping.add(name)
        if name not in self.waiting:
            return
        if turn.replaced_by is not None or turn.verdict == "forbidden":
            del self.waiting[name]
            self.ended[name] = "Replaced" if turn.replaced_by else "Forbidden"
            self.check_end(name, turn.replaced_by or turn.ahead[0])
            self.change(self.queue.remove(name))
        elif turn.verdict == "start":
            self.start(name)

    def start(self, name: str) -> None:
        one = self.waiting[name]
        self.check_order(one)
        self.change(self.queue.put(replace(one, placed=True, claimed=True)))
        if self.full and not one.quota_class:
            self.change(self.queue.put(one))
            self.change(self.queue.quota_full(name, "full"))
            return
        self.running[name] = self.waiting.pop(name)
        self.change(self.queue.put(replace(one, placed=True)))

    def check(self) -> None:
        """Never more of a group than any of those that run allows, never more of the namespace than its limit."""
        for group in {one.group for one in self.running.values()} - {None}:
            members = sorted((one for one in self.running.values() if one.group == group), key=lambda one: one.order)
            assert len(members) <= max(one.parallelism for one in members)
        if self.limit is not None:
            assert sum(one.counted for one in self.running.values()) <= self.limit

    def check_order(self, one: Entry) -> None:
        """Whoever of its group is older and waits may start, too, or waits for room that this one does not need."""
        for other in self.waiting.values():
            if other.group is not None and other.group == one.group and other.order < one.order:
                turn = self.queue.turn(other.name)
                assert turn.verdict == "start" or waits_for_room_of_others(other, turn, one), (
                    f"{one.name} goes before {other.name}"
                )

    def check_end(self, name: str, by: str) -> None:
        """It ended for a run of its own group that is there."""
        there = {one.name for one in (*self.waiting.values(), *self.running.values())}
        assert by in there
        assert by != name

    def go_on_to_the_end(self) -> None:
        self.quota(full=False)
        self.settle()
        while self.running:
            self.end(0)
            self.settle()


def waits_for_room_of_others(waiting: Entry, turn: Turn, other: Entry) -> bool:
    """It waits for the namespace's limit or for a quota, and the other run needs no room there."""
    if turn.waiting_for == "MaxRunning":
        return not other.counted
    classes = {(one.quota_class, one.counted) for one in (waiting, other)}
    return turn.waiting_for == "ResourceQuota" and len(classes) == 2


POLICIES: list[Policy] = ["Queue", "Queue", "Queue", "Forbid", "Replace", "Allow"]
STEPS = st.one_of(
    st.tuples(
        st.just("arrive"), st.sampled_from(["a", "b", None]), st.sampled_from(POLICIES), st.integers(1, 2),
        st.sampled_from([True, True, True, False]), st.sampled_from(["", "", "vip"]),
    ),
    st.tuples(st.sampled_from(["end", "cancel"]), st.integers(0, 20)),
    st.tuples(st.just("quota"), st.booleans()),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@example(  # one that a quota holds back, and a younger one of its group that Kueue lets in
    None,
    [
        ("quota", True),
        ("arrive", "a", "Queue", 2, True, ""),
        ("arrive", "a", "Queue", 2, True, ""),
        ("arrive", "a", "Replace", 2, False, ""),
    ],
)
@given(st.sampled_from([None, 1, 2, 5]), st.lists(STEPS, max_size=40))
def test_each_has_its_turn_in_order_and_nobody_waits_for_ever(limit: int | None, steps: list[tuple[Any, ...]]) -> None:
    life = Life(limit)
    for kind, *how in steps:
        if kind == "arrive":
            group, policy, parallelism, counted, priority = how
            life.arrive(group, policy, parallelism, counted=counted, priority=priority)
        elif kind == "quota":
            life.quota(full=how[0])
        else:
            getattr(life, kind)(how[0])
        life.settle()
    life.go_on_to_the_end()
    assert not life.waiting, "it was never looked at, or never let in"
    assert len(life.queue) == 0
    assert len(life.ended) == life.count


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([None, 1, 2]), st.lists(STEPS, max_size=30), st.randoms(use_true_random=False))
def test_a_restarted_operator_comes_to_the_same_answers(
    limit: int | None, steps: list[tuple[Any, ...]], random: Any
) -> None:
    """What is known then is who runs and who waits, in any order; whom a quota refuses is found anew."""
    life = Life(limit)
    for kind, *how in steps:
        if kind == "arrive":
            group, policy, parallelism, counted, priority = how
            life.arrive(group, policy, parallelism, counted=counted, priority=priority)
        elif kind != "quota":
            getattr(life, kind)(how[0])
        life.settle()
    known = [*life.waiting.values(), *(replace(one, placed=True) for one in life.running.values())]
    random.shuffle(known)
    fresh = queue_of(*known, limit=limit)
    for one in known:
        assert fresh.turn(one.name) == life.queue.turn(one.name)
    assert fresh.counts() == life.queue.counts()
