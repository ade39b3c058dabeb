"""The queues under any sequence of events: their state lives as long as what it is about, and follows from it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from componentrun.api import names
from componentrun.controller.reconcile.queues import Queues
from componentrun.controller.watching.caches import Caches, Key
from componentrun.core.queue.admission import Queue

if TYPE_CHECKING:
    from componentrun.core.queue.entry import Entry

NAMES = st.sampled_from("abcd")
COMPONENT = "loader"
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "component": st.just(COMPONENT),
        "priorityClassName": st.just("vip"),
        "configuration": st.just({"id": "42"}),
        "concurrency": st.sampled_from([{"group": "g"}, {"group": "g", "policy": "Replace"}]),
    },
)


class Events:
    """Objects of one namespace, told to caches as watches tell them."""

    def __init__(self) -> None:
        self.caches = Caches()
        self.looked_at: list[Key] = []
        self.queues = Queues(self.caches, self.looked_at.append)
        self.version = 0
        self.runs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}

    def metadata(self, name: str, uid: str, **more: Any) -> dict[str, Any]:
        self.version += 1
        created = "2026-01-01T00:00:00Z"
        return {
            "namespace": "team", "name": name, "uid": uid, "resourceVersion": str(self.version),
            "creationTimestamp": created, **more,
        }  # fmt: skip

    def create(self, name: str, spec: dict[str, Any]) -> None:
        uid = f"{name}-{self.version}"
        self.runs[name] = {"metadata": self.metadata(name, uid), "spec": {"image": "i", **spec}, "status": {}}
        self.caches.runs.seen(self.runs[name])

    def change(self, name: str, **parts: Any) -> None:
        run = self.runs[name]
        labels = parts.pop("labels", run["metadata"].get("labels", {}))
        run["metadata"] = self.metadata(name, run["metadata"]["uid"], labels=labels)
        for part, change in parts.items():
            run[part] = {**run[part], **change}
        self.caches.runs.seen(run)

    def delete(self, name: str) -> None:
        run = self.runs.pop(name)
        self.caches.runs.gone(Key("team", name), run["metadata"]["uid"])

    def add_pod(self, name: str) -> None:
        uid = self.runs[name]["metadata"]["uid"]
        labels = {names.RUN_LABEL: name, names.RUN_UID_LABEL: uid, names.ATTEMPT_LABEL: "1"}
        pod = {"spec": {}, "status": {"phase": "Pending"}}
        self.pods[uid] = pod | {"metadata": self.metadata(f"{name}-1", f"pod-{uid}", labels=labels)}
        self.caches.pods.seen(self.pods[uid])

    def end_pod(self, uid: str) -> None:
        metadata = self.pods[uid]["metadata"]
        metadata |= self.metadata(metadata["name"], metadata["uid"])
        self.caches.pods.seen(self.pods[uid] | {"status": {"phase": "Succeeded"}})

    def delete_pod(self, uid: str) -> None:
        pod = self.pods.pop(uid)
        pod["metadata"] |= self.metadata(pod["metadata"]["name"], pod["metadata"]["uid"])
        self.caches.pods.deleted(pod)
        name = pod["metadata"]["labels"][names.RUN_LABEL]
        self.caches.pods.absent(Key("team", name), pod["metadata"]["uid"])  # the reconciler asks by name

    def say(self, kind: str, name: str, spec: dict[str, Any] | None) -> None:
        """A Component or a Storage says something else, or is deleted."""
        cache = self.caches.components if kind == "component" else self.caches.storages
        if spec is None:
            key = Key("team", name)
            cache.gone(key, cache.uid(key))
            return
        cache.seen({"metadata": self.metadata(name, f"{name}-{self.version}"), "spec": spec})


class AnyEvents(RuleBasedStateMachine):
    """Runs, pods, labels, Components and Storages change, and runs are tried, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Events()

    @rule(name=NAMES, spec=PARTS)
    def create(self, name: str, spec: dict[str, Any]) -> None:
        """Also where the watch has missed that an earlier run of this name was deleted."""
        self.world.create(name, spec)

    @rule(name=NAMES, label=st.booleans())
    def label(self, name: str, label: bool) -> None:
        if name in self.world.runs:
            self.world.change(name, labels={names.KUEUE_QUEUE_LABEL: "team"} if label else {})

    @rule(name=NAMES, suspend=st.booleans())
    def suspend(self, name: str, suspend: bool) -> None:
        if name in self.world.runs:
            self.world.change(name, spec={"suspend": suspend})

    @rule(name=NAMES, result=st.sampled_from(["refused", "started", "late"]))
    def try_to_start(self, name: str, result: str) -> None:
        """What the reconciler does when it is a run's turn; its event may tell it late."""
        key = Key("team", name)
        if self.world.queues.turn(key).verdict != "start":
            return
        self.world.queues.claim(key, starts=True)
        if result == "refused":
            self.world.queues.quota_full(key, "full")
        elif result == "started" and name in self.world.runs:
            self.world.add_pod(name)
            self.world.change(name, status={"attempts": [{}]})

    @rule(name=NAMES)
    def end(self, name: str) -> None:
        if name in self.world.runs:
            self.world.change(name, status={"phase": "Succeeded"})

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.world.runs:
            self.world.delete(name)

    @rule(index=st.integers(0, 5), gone=st.booleans())
    def end_pod(self, index: int, gone: bool) -> None:
        for uid in sorted(self.world.pods)[index : index + 1]:
            (self.world.delete_pod if gone else self.world.end_pod)(uid)

    @rule(spec=st.sampled_from([None, {}, {"concurrency": {"parallelism": 2}}, {"concurrency": {"policy": "Replace"}}]))
    def say_component(self, spec: dict[str, Any] | None) -> None:
        self.world.say("component", COMPONENT, spec)

    @rule(spec=st.sampled_from([None, {"default": True}, {"default": True, "maxRunning": 1}]))
    def say_storage(self, spec: dict[str, Any] | None) -> None:
        self.world.say("storage", "main", spec)

    @invariant()
    def every_run_has_an_answer(self) -> None:
        for name in "abcd":
            self.world.queues.turn(Key("team", name))
        self.world.queues.counts()

    @invariant()
    def what_is_known_has_an_owner(self) -> None:
        space = self.world.queues._namespaces.get("team")
        if space is None:
            return
        runs = {(name, run["metadata"]["uid"]) for name, run in self.world.runs.items()}
        keeping = {(pod["metadata"]["labels"][names.RUN_LABEL], uid) for uid, pod in self.world.pods.items()}
        assert {(facts.name, facts.order.uid) for facts in space.facts.values()} <= runs | keeping
        assert space.claims <= space.facts.keys()
        assert not space.rejected
        assert space.superseded.keys() <= space.pods.keys() <= keeping
        assert space.defaults.keys() <= {COMPONENT}
        known = {name for name, facts in space.facts.items() if space.entry(facts) is not None}
        assert space.queue._entries.keys() == known | {entry.name for entry in space.superseded.values()}

    @invariant()
    def the_queue_follows_from_what_is_known(self) -> None:
        space = self.world.queues._namespaces.get("team")
        if space is not None:
            fresh = replace(space, facts=dict(space.facts), claims=set(space.claims))
            fresh.derive()
            assert fresh.queue._entries == space.queue._entries
            assert fresh.queue._groups == space.queue._groups

    def teardown(self) -> None:
        """When all is gone, nothing of it is left."""
        for name in list(self.world.runs):
            self.delete(name)
        for uid in list(self.world.pods):
            self.world.delete_pod(uid)
        self.say_component(None)
        assert self.world.queues._namespaces == {}


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


def test_after_an_error_the_queue_is_derived_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Events()
    for name in "abc":
        world.create(name, {"configuration": {"id": "42"}})
    put = Queue.put
    with monkeypatch.context() as patch:
        patch.setattr(Queue, "put", lambda queue, entry: (put(queue, entry), 1 / 0))
        with pytest.raises(ZeroDivisionError):
            world.change("a", status={"attempts": [{}]})
    world.looked_at.clear()
    assert [world.queues.turn(Key("team", name)).verdict for name in "abc"] == ["start", "wait", "wait"]
    world.change("a", status={"phase": "Succeeded"})
    assert world.queues.turn(Key("team", "b")).verdict == "start"
    assert Key("team", "b") in world.looked_at


def test_a_run_that_the_queue_can_not_take_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Events()
    put = Queue.put

    def raises(queue: Queue, entry: Entry) -> set[str]:
        if entry.name == "bad":
            raise ZeroDivisionError
        return put(queue, entry)

    with monkeypatch.context() as patch:
        patch.setattr(Queue, "put", raises)
        for name in ("a", "bad", "b"):
            with suppress(ZeroDivisionError):
                world.create(name, {"configuration": {"id": name.strip("d")}})
        world.create("c", {"configuration": {"id": "ba"}})
        world.create("d", {"configuration": {"id": "a"}})
        assert [world.queues.turn(Key("team", name)).verdict for name in "abd"] == ["start", "start", "wait"]
        assert world.queues.turn(Key("team", "c")).ahead == ("bad",), "for all that is known, it runs"
        with pytest.raises(ZeroDivisionError):
            world.queues.turn(Key("team", "bad"))
        world.change("a", status={"phase": "Succeeded"})
        assert world.queues.turn(Key("team", "d")).verdict == "start"
    assert world.queues.turn(Key("team", "bad")).verdict == "start"
    assert world.queues.turn(Key("team", "c")).verdict == "wait"
    for name in ("a", "bad", "b", "c", "d"):
        world.delete(name)
    assert world.queues._namespaces == {}


def test_a_namespace_without_runs_is_forgotten() -> None:
    world = Events()
    world.create("a", {})
    world.say("storage", "main", {"default": True, "maxRunning": 1})
    world.delete("a")
    world.say("storage", "main", {"default": True, "maxRunning": 2})
    world.queues.claim(Key("team", "a"), starts=True)
    assert world.queues._namespaces == {}


def test_a_component_that_is_deleted_is_forgotten() -> None:
    world = Events()
    world.say("component", COMPONENT, {"concurrency": {"parallelism": 2}})
    world.say("component", COMPONENT, None)
    assert world.queues._namespaces == {}
