"""Whose turn it is: by examples, and by random keys against the promises of fairness."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.work.flows import Flows
from componentrun.process.fairqueue import FairQueue, Flow


def flow_of(key: str) -> Flow:
    """The first letter is the namespace, the second the Storage."""
    return Flow(key[0], key[1])


def drain(queue: FairQueue[str]) -> list[str]:
    return list(itertools.takewhile(lambda key: key is not None, iter(queue.pop, object())))  # type: ignore[arg-type]


def filled(keys: list[str], workers: int | None = None) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue(flow_of, workers)
    for key in keys:
        queue.push(key)
    return queue


def test_namespaces_take_turns_however_many_keys_one_has() -> None:
    assert drain(filled(["ax1", "ax2", "ax3", "ax4", "bx1", "cx1", "bx2"])) == [
        "ax1", "bx1", "cx1", "ax2", "bx2", "ax3", "ax4",
    ]  # fmt: skip


def test_so_do_the_storages_of_a_namespace() -> None:
    assert drain(filled(["ax1", "ax2", "ax3", "ay1", "ay2", "bz1"])) == ["ax1", "bz1", "ay1", "ax2", "ay2", "ax3"]


@pytest.mark.parametrize(("workers", "shares"), [(1, [1]), (2, [1, 1]), (64, [32, 16, 8, 4, 2, 1, 1]), (3, [2, 1])])
def test_each_namespace_gets_half_of_what_the_others_left(workers: int, shares: list[int]) -> None:
    queue: FairQueue[str] = FairQueue(flow_of, workers)
    got = []
    for namespace in "abcdefgh"[: len(shares)]:
        for number in range(workers):
            queue.push(f"{namespace}x{number}")
        got.append(len([key for key in drain(queue) if key[0] == namespace]))
    assert got == shares


def test_a_worker_that_is_given_back_is_the_next_ones() -> None:
    queue = filled(["ax1", "ax2", "bx1"], workers=2)
    assert drain(queue) == ["ax1", "bx1"]
    queue.release("ax1")
    queue.release("ax1")
    assert drain(queue) == ["ax2"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=40))
def test_while_two_wait_neither_gets_two_turns_more_than_the_other(flows: list[tuple[str, str]]) -> None:
    keys = [f"{namespace}{storage}{number}" for number, (namespace, storage) in enumerate(flows)]
    out = drain(filled(keys))
    assert sorted(out) == sorted(keys)
    for level in (1, 2):  # namespaces, and the Storages within each
        left = Counter(key[:level] for key in keys)
        turns: Counter[str] = Counter()
        for key in out:
            turns[key[:level]] += 1
            left[key[:level]] -= 1
            rivals = [name for name, count in left.items() if count and name[: level - 1] == key[: level - 1]]
            assert all(turns[name] >= turns[key[:level]] - 1 for name in rivals)
    for flow in {key[:2] for key in keys}:
        assert [key for key in out if key[:2] == flow] == [key for key in keys if key[:2] == flow]


class FairQueueAgainstModel(RuleBasedStateMachine):
    """Under any order of calls: no key is lost, and nobody who may have a worker waits while one is free."""

    WORKERS = 5

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[str] = FairQueue(flow_of, self.WORKERS)
        self.waiting: set[str] = set()
        self.held: set[str] = set()
        self.numbers = itertools.count()
        self.passed_over: Counter[str] = Counter()

    @rule(namespace=st.sampled_from("abc"), storage=st.sampled_from("xy"))
    def push(self, namespace: str, storage: str) -> None:
        key = f"{namespace}{storage}{next(self.numbers)}"
        self.queue.push(key)
        self.waiting.add(key)

    def entitled(self) -> set[str]:
        free, held = self.WORKERS - len(self.held), Counter(key[0] for key in self.held)
        return {key[0] for key in self.waiting if held[key[0]] < free}

    @rule()
    def pop(self) -> None:
        entitled = self.entitled()
        key = self.queue.pop()
        assert (key is None) == (not entitled)
        if key is None:
            return
        assert key in self.waiting
        assert key[0] in entitled
        self.waiting.discard(key)
        self.held.add(key)
        for namespace in entitled - {key[0]}:
            self.passed_over[namespace] += 1
            assert self.passed_over[namespace] <= 2 * self.WORKERS, f"{namespace} starves"
        self.passed_over[key[0]] = 0

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.held.discard(key)
        self.queue.release(key)

    @invariant()
    def as_many_wait(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert len(self.held) <= self.WORKERS

    @invariant()
    def nothing_is_kept_of_those_that_are_through(self) -> None:
        assert set(self.queue._waiting) == {key[0] for key in self.waiting}
        assert set(self.queue._held) == {key[0] for key in self.held}


FairQueueAgainstModel.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestFairQueueAgainstModel = FairQueueAgainstModel.TestCase


def test_the_flow_of_a_run_is_its_namespace_and_the_storage_that_it_names() -> None:
    caches = Caches()
    flows = Flows(caches.runs)
    for number, (name, spec) in enumerate({"one": {"storage": "lake"}, "two": {}}.items(), start=1):
        metadata = {"namespace": "team", "name": name, "uid": name, "resourceVersion": str(number)}
        caches.runs.seen({"metadata": metadata, "spec": spec})
    assert flows.of(Key("team", "one")) == Flow("team", "lake")
    assert flows.of(Key("team", "two")) == flows.of(Key("team", "unknown")) == Flow("team", "")
    for name in ("one", "two"):
        caches.runs.gone(Key("team", name), name)
    assert len(flows) == 0
