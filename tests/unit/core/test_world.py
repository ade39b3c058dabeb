"""Random lives of one run in a small world: whatever happens, it ends, once, and publishes only what it may.

The world holds one run object and the pods of its attempts. A strategy chooses what happens next (the pod gets on,
dies, vanishes; somebody cancels, suspends, drains, or takes a label from the pod, so that the watch says DELETED of it;
the operator is away, misses an event, dies between two actions, sees an old pod); after each step the plan is asked and
its actions are carried out, perhaps only some of them. A pod whose object was removed by force, or whose node is away,
may still start its component: nobody sees that, and it counts. A pod starts nothing before it has its Secret. Left out:
the store, the network, other runs.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from componentrun.api import names
from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, EventsStatus
from componentrun.core.lifecycle import status as statuses
from componentrun.core.lifecycle.actions import (
    DeletePod,
    DeleteRun,
    GiveGrants,
    KubernetesEvent,
    LookAtPod,
    Publish,
    StartAttempt,
    WriteStatus,
)
from componentrun.core.lifecycle.observed import Observed
from componentrun.core.lifecycle.plan import plan
from componentrun.core.limits import Limits
from componentrun.core.podstatus.reading import read_pod
from componentrun.core.request.resolve import resolve
from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.reasons import RETRIED_IF_NAMED
from tests.unit.core.make import NOW, SAVED_OUT, STAGED_IN, STAGED_OUT, make_pod, make_run

STEPS = [
    "nothing", *["get on"] * 9, "fail", "oom", "evict", "vanish", "vanish unseen", "vanish unknown", "drain", "freeze",
    "cancel", "suspend", "resume", "miss", "deliver", "hide", "hide", "pull error", "registry away", "unschedulable",
]  # fmt: skip
FAULTS = [
    *["none"] * 9,
    "away",
    "away",
    "crash",
    "crash before the secret",
    "secret transient",
    "start transient",
    "start user",
    "publish transient",
    "publish user",
    "old pod",
]
PAUSES = [0.2, 0.2, 1, 1, 1, 7, 31, 65, 700, 4000]
"""Seconds between two steps: within a second, within a grace period, beyond a timeout."""
MUST_END_WITHIN = 300
STARTED = [("nothing", "none", 0.2), ("get on", "none", 0.2)]
RUNNING = [*STARTED, ("get on", "none", 0.2), ("get on", "none", 1.0)]
BEGINNINGS: list[list[tuple[str, str, float]]] = [
    [],
    [],
    [("cancel", "none", 0.2)],
    [*STARTED, ("fail", "none", 0.2)],
    [*STARTED, ("fail", "away", 0.2)],
    [*STARTED, ("fail", "none", 0.2), ("nothing", "none", 31)],
    [*RUNNING, ("get on", "none", 0.2), ("get on", "away", 0.2)],
    [*RUNNING, ("get on", "none", 0.2), ("get on", "away", 0.2), ("cancel", "none", 0.2)],
    [*RUNNING, ("nothing", "none", 4000), ("nothing", "none", 0.2)],
    [*RUNNING, ("freeze", "none", 4000)],
    [*RUNNING, ("evict", "none", 0.2)],
    [*STARTED, ("vanish unknown", "none", 0.2)],
]
"""Where a life begins, so that what comes late in it is not seldom: an attempt that another one follows, a timeout."""
EVERYTHING = sorted(RETRIED_IF_NAMED)
AFTER_START = [[], [], EVERYTHING, ["Evicted"], ["Timeout", "ApplicationError"]]


class World:
    """One run and its pod, and what was done to them."""

    def __init__(self, write_always: bool, limit: int, after_start: list[str]) -> None:
        self.write_always = write_always
        tables = [{"source": "a.csv", "destination": "out.c-main.a", "writeAlways": write_always}]
        retry = {"limit": limit, "afterStart": after_start}
        self.run: ComponentRun = make_run(output={"tables": tables}, ttlAfterFinished="1h", retry=retry)
        self.now: datetime = NOW
        self.pod: dict[str, Any] | None = None
        self.replaced: list[dict[str, Any]] = []
        """Pods of earlier attempts that are still there."""
        self.last_seen: dict[str, Any] | None = None
        self.old: dict[str, Any] | None = None
        self.gone = False
        self.missed = False
        self.hidden = False
        """The pod is there, and no watch tells of it."""
        self.confirmed = False
        """The API server was asked for the pod, and has it no more."""
        self.frozen: set[str] = set()
        self.made: list[int] = []
        self.looks = 0
        """So often a pod was asked for."""
        self.given: dict[str, int] = {}
        """Pods that have their Secret, with their attempt."""
        self.remembered: set[str] = set()
        """Those of which the operator knows that."""
        self.started: set[int] = set()
        """Attempts whose component has run, whether anybody saw it or not."""
        self.run_deleted = False
        self.published: list[Publish] = []
        self.phases: list[str | None] = [None]
        self.wake_at: datetime | None = None
        self.cancelled_in_time = False

    # What the cluster does

    def happen(self, step: str) -> None:
        spec = self.run.spec
        if step == "cancel":
            self.cancelled_in_time |= not statuses.is_terminal(self.run.status)
            self.run = self.run.model_copy(update={"spec": spec.model_copy(update={"cancel": True})})
        elif step in {"suspend", "resume"}:
            self.run = self.run.model_copy(update={"spec": spec.model_copy(update={"suspend": step == "suspend"})})
        elif step == "deliver":
            ended = [a for a in self.run.status.attempts if a.completion_time is not None]
            events = EventsStatus(
                count=3, attempts=len(ended), delivered=statuses.is_terminal(self.run.status)
            )  # fmt: skip
            self._set_status(self.run.status.model_copy(update={"events": events}))
        elif step == "miss":
            self.last_seen = None
        elif step == "hide" and self.pod is not None:
            self.hidden, self.last_seen = True, copy.deepcopy(self.pod)
        elif step == "freeze" and self.pod is not None:
            self.frozen.add(uid_of(self.pod))
        elif self.pod is not None and uid_of(self.pod) not in self.frozen:
            self._pod_step(step, self.pod)
        self._haunt()
        self._stop_what_was_told()

    def _haunt(self) -> None:
        """What can't be seen: a node that is away starts the component all the same."""
        for pod in [*self.replaced, *([self.pod] if self.pod is not None else [])]:
            ended = [c["state"].get("terminated", {}).get("exitCode", 0) for c in containers_of(pod)]
            alive = uid_of(pod) in self.given and pod["status"]["phase"] not in {"Succeeded", "Failed"}
            if uid_of(pod) in self.frozen and alive and not any(ended):
                self.started.add(number_of(pod))

    def _pod_step(self, step: str, pod: dict[str, Any]) -> None:
        if step != "vanish unseen":
            self.old = copy.deepcopy(pod)
        if step in {"vanish", "vanish unseen", "vanish unknown"}:
            on_a_node = "nodeName" in pod["spec"] and pod["status"]["phase"] not in {"Succeeded", "Failed"}
            if on_a_node and uid_of(pod) in self.given and not self._failed_stage_in():
                self.started.add(number_of(pod))  # the kubelet was not asked, and may be faster
            self._remove()
            self.missed = step == "vanish unseen"
            self.last_seen = self.old if self.missed and self.old else self.last_seen
            if step == "vanish unknown":
                self.last_seen = None  # as for an operator that was started after that
        elif step == "evict":
            pod["status"] |= {
                "phase": "Failed",
                "reason": "Evicted",
                "message": "The node was low on resource: memory.",
            }
        elif step == "drain" and "deletionTimestamp" not in pod["metadata"]:
            self._tell(pod, 600)
        elif step == "unschedulable" and not self._state("component"):
            pod["spec"].pop("nodeName", None)
        elif step in {"get on", "fail", "oom", "pull error", "registry away"}:
            self._get_on(step)

    def _get_on(self, step: str) -> None:
        """The next container starts or ends."""
        if "terminated" in self._state("stage-out") or self._pod_phase() in {"Succeeded", "Failed"}:
            return
        if not self._may_start():
            return
        if not self._state("stage-out"):
            self._set("stage-out", {"running": {"startedAt": self._time()}})
            self._set("stage-in", {"running": {"startedAt": self._time()}})
            self._set("component", {"waiting": {"reason": "PodInitializing"}})
        elif "running" in self._state("stage-in"):
            self._end("stage-in", step, STAGED_IN)
        elif "waiting" in self._state("component"):
            if step in {"pull error", "registry away"}:
                why = "x: not found" if step == "pull error" else "x: i/o timeout"
                self._set("component", {"waiting": {"reason": "ImagePullBackOff", "message": why}})
            elif self._state("stage-in").get("terminated", {}).get("exitCode") == 0:
                self._set("component", {"running": {"startedAt": self._time()}})
                self.started.add(self.made[-1])
        elif "running" in self._state("component"):
            self._end("component", step, "")
        else:
            self._end("stage-out", step, SAVED_OUT if self.write_always else STAGED_OUT)
            code = self._state("component")["terminated"]["exitCode"]
            if self.pod is not None:
                self.pod["status"]["phase"] = "Succeeded" if code == 0 else "Failed"

    def _may_start(self) -> bool:
        """The pod gets a node, where it has none, and can begin once it has its Secret."""
        if self.pod is None:
            return False
        self.pod["spec"]["nodeName"] = "node-a"
        return uid_of(self.pod) in self.given

    def _end(self, name: str, step: str, message: str) -> None:
        code = {"fail": 1, "oom": 137}.get(step, 0)
        self._set(name, {"terminated": {
            "exitCode": code, "reason": "OOMKilled" if step == "oom" else "", "message": message if code == 0 else "",
            "startedAt": self._time(), "finishedAt": self._time(),
        }})  # fmt: skip

    def _failed_stage_in(self) -> bool:
        return bool(self._state("stage-in").get("terminated", {}).get("exitCode"))

    def _stop_what_was_told(self) -> None:
        """A pod whose grace period is over is killed and removed, unless its node is away."""
        self.replaced = [pod for pod in self.replaced if not self._is_through(pod)]
        if self.pod is not None and self._is_through(self.pod):
            self.pod["status"]["phase"] = "Failed"
            for container in containers_of(self.pod):
                if "running" in container["state"]:
                    container["state"] = {"terminated": {"exitCode": 137, "finishedAt": self._time()}}
            self._remove()

    def _is_through(self, pod: dict[str, Any]) -> bool:
        ends = pod["metadata"].get("deletionTimestamp")
        return ends is not None and uid_of(pod) not in self.frozen and self._time() >= ends

    def _tell(self, pod: dict[str, Any], grace: int) -> None:
        pod["metadata"]["deletionTimestamp"] = (self.now + timedelta(seconds=grace)).strftime("%Y-%m-%dT%H:%M:%SZ")
        pod["metadata"]["deletionGracePeriodSeconds"] = grace
        pod["metadata"]["generation"] = 2
        pod["status"].setdefault("observedGeneration", 1 if uid_of(pod) in self.frozen else 2)

    def _remove(self) -> None:
        if not self.hidden:
            self.last_seen = self.pod
        self.pod, self.gone, self.hidden, self.confirmed = None, True, False, False

    def _state(self, name: str) -> dict[str, Any]:
        if self.pod is None:
            return {}
        status = self.pod["status"]
        found = [c for c in status["initContainerStatuses"] + status["containerStatuses"] if c["name"] == name]
        return found[0]["state"] if found else {}

    def _set(self, name: str, state: dict[str, Any]) -> None:
        assert self.pod is not None
        field = "containerStatuses" if name == "component" else "initContainerStatuses"
        others = [c for c in self.pod["status"][field] if c["name"] != name]
        self.pod["status"][field] = [*others, {"name": name, "state": state}]

    def _pod_phase(self) -> str:
        return self.pod["status"]["phase"] if self.pod is not None else ""

    def _time(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def goes_on(self) -> bool:
        """Reconcile, and let time pass until the run is looked at again; False once it is deleted.

        It is looked at when the plan said so, when a pod changes, and once when it has ended; what the operator itself
        writes is no news to it.
        """
        before = self.run.status
        self.reconcile("none")
        if self.run_deleted:
            return False
        ended = statuses.is_terminal(self.run.status) and not statuses.is_terminal(before)
        told = [self.now] if ended else []
        pods = [pod for pod in [*self.replaced, self.pod] if pod is not None and uid_of(pod) not in self.frozen]
        ends = [pod["metadata"]["deletionTimestamp"] for pod in pods if "deletionTimestamp" in pod["metadata"]]
        times = [*told, *([self.wake_at] if self.wake_at else []), *map(datetime.fromisoformat, ends)]
        assert times, f"nobody would look at it again: {self.run.status}"
        self.now = max(self.now + timedelta(seconds=0.1), min(times))
        self.happen("nothing")
        return True

    # What the operator does

    def reconcile(self, fault: str) -> None:
        if fault == "away":
            return
        found = plan(self._observed(old=fault == "old pod"))
        for look in (action for action in found.actions if isinstance(action, LookAtPod)):
            assert found.actions == (look,)
            self.looks += 1
            self.hidden = False
            self.confirmed = self.pod is None
            found = plan(replace(self._observed(old=False), pod_was_read=True))
            assert not any(isinstance(action, LookAtPod) for action in found.actions), "once is enough"
        self.wake_at = found.wake_at
        assert found.actions or found.wake_at is None or found.wake_at > self.now, "or it would be asked without end"
        for i, action in enumerate(found.actions):
            if fault == "crash" and i > 0:
                self.remembered.clear()
                return
            self._carry_out(action, fault)

    def _observed(self, *, old: bool) -> Observed:
        """What the operator knows: what its watch has told, and what it found when it asked."""
        is_there = self.pod is not None and not self.hidden
        seen = self.pod if is_there else (self.last_seen if self.gone or self.hidden else None)
        gone = not is_there and seen is not None
        if old and is_there and self.old is not None:
            seen = self.old
        view = read_pod(seen, gone=gone) if seen is not None else None
        if view is not None and gone:
            view = replace(view, missed=self.missed, confirmed=self.confirmed)
        earlier = tuple(read_pod(pod) for pod in self.replaced) if view is not None else ()
        granted = view is not None and view.uid in self.remembered
        return Observed(self.run, view, self.now, Limits(), earlier, granted=granted)

    def _carry_out(self, action: Any, fault: str) -> None:
        if isinstance(action, WriteStatus):
            self._set_status(action.status)
        elif isinstance(action, StartAttempt):
            self._start(action, fault)
        elif isinstance(action, GiveGrants):
            assert action.number == self.run.status.attempts[-1].number
            self._give(fault)
        elif isinstance(action, Publish):
            self._publish(action, fault)
        elif isinstance(action, DeletePod):
            for pod in [*self.replaced, *([self.pod] if self.pod is not None else [])]:
                grace = 600 if action.grace_seconds is None else action.grace_seconds
                if uid_of(pod) == action.uid and grace < pod["metadata"].get("deletionGracePeriodSeconds", 10**6):
                    self._tell(pod, grace)
        elif isinstance(action, DeleteRun):
            assert statuses.is_terminal(self.run.status)
            self.run_deleted = True
        else:
            assert isinstance(action, KubernetesEvent)

    def _start(self, action: StartAttempt, fault: str) -> None:
        assert not self.run.spec.cancel, "a cancelled run is never started"
        self._check_that_it_may_start(action.number)
        errors = {"start transient": TransientError("away"), "start user": UserError("wrong", Reason.INVALID_SPEC)}
        if fault in errors:
            self._set_status(statuses.start_failed(self.run, errors[fault], limits=Limits(), now=self.now))
            self.wake_at = self.now + timedelta(seconds=10)
            return
        if self.pod is None or number_of(self.pod) != action.number:
            self._make_pod(action.number)
        if fault == "crash":
            self.remembered.clear()
            return
        effective = resolve(self.run, None, "lake")
        assert self.pod is not None
        self._set_status(
            statuses.attempt_started(
                self.run, effective, number=action.number, pod_uid=uid_of(self.pod), input_tables=(), now=self.now
            )
        )
        self._give(fault)

    def _give(self, fault: str) -> None:
        """The pod gets its Secret, if it is the one that the status knows."""
        attempt = self.run.status.attempts[-1]
        if fault == "crash before the secret":
            self.remembered.clear()
        elif fault == "secret transient":
            self._set_status(statuses.held_up(self.run, TransientError("away"), self.now))
        elif self.pod is not None and uid_of(self.pod) == attempt.pod_uid:
            uid = uid_of(self.pod)
            assert self.given.get(uid) or attempt.number not in self.given.values(), "never two pods for one attempt"
            self.given[uid] = attempt.number
            self.remembered.add(uid)

    def _check_that_it_is_gone(self, before: ComponentRunStatus, after: ComponentRunStatus) -> None:
        """An attempt is said to have lost its pod only where that is so."""
        ended = [attempt for attempt in after.attempts if attempt.reason == Reason.POD_DELETED]
        new = [attempt for attempt in ended if attempt not in before.attempts]
        there = self.pod if self.pod is not None and "deletionTimestamp" not in self.pod["metadata"] else None
        assert there is None or uid_of(there) not in {attempt.pod_uid for attempt in new}

    def _check_that_it_may_start(self, number: int) -> None:
        retry = self.run.spec.retry
        assert retry is not None
        assert number <= retry.limit + 1
        assert self.published == []
        attempts = self.run.status.attempts
        assert number == len(attempts) + 1
        assert all(attempt.completion_time is not None for attempt in attempts)
        if attempts:
            assert self.run.status.next_attempt_time is not None
            assert self.now >= self.run.status.next_attempt_time or self.made[-1] == number
        check_restarts(self)

    def _make_pod(self, number: int) -> None:
        assert number not in self.given.values(), "never two pods for one attempt"
        self.made.append(number)
        if self.pod is not None:
            away = uid_of(self.pod) in self.frozen and "deletionTimestamp" in self.pod["metadata"]
            assert away or self._pod_phase() in {"Succeeded", "Failed"}, "the pod before has not ended"
            self.replaced.append(self.pod)
        self.pod = make_pod(phase="Pending", uid=f"pod-{number}-{len(self.made)}", node="")
        self.pod["metadata"] |= {"name": f"daily-{number}", "creationTimestamp": self._time()}
        self.pod["metadata"]["labels"][names.ATTEMPT_LABEL] = str(number)
        self.gone, self.missed, self.old, self.last_seen = False, False, None, None
        self.hidden = self.confirmed = False

    def _publish(self, action: Publish, fault: str) -> None:
        assert self.run.status.phase == "Publishing"
        if fault == "crash":
            return
        errors = {"publish transient": TransientError("away"), "publish user": PlatformError("no")}
        if fault in errors:
            self._set_status(statuses.publish_failed(self.run, errors[fault], limits=Limits(), now=self.now))
            return
        self.published.append(action)
        self._set_status(statuses.published(self.run, tables=(), warnings=(), now=self.now))

    def _set_status(self, status: ComponentRunStatus) -> None:
        before = self.run.status
        # The API server stores JSON: what does not survive that would be written for ever.
        status = ComponentRunStatus.model_validate(status.to_dict())
        if statuses.is_terminal(before):
            assert status.phase == before.phase, "a terminal phase is never left"
            assert status.completion_time == before.completion_time
        self._check_that_it_is_gone(before, status)
        if before.phase != status.phase:
            self.phases.append(status.phase)
            if status.phase == "Publishing":
                assert not self.run.spec.cancel, "nothing is published after a cancel"
            if status.phase == "Suspended":
                assert self.pod is None, "what is held back has no pod"
        self.run = self.run.model_copy(update={"status": status})


def uid_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def number_of(pod: dict[str, Any]) -> int:
    return int(pod["metadata"]["labels"][names.ATTEMPT_LABEL])


def containers_of(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["status"]["initContainerStatuses"], *pod["status"]["containerStatuses"]]


def check_restarts(world: World) -> None:
    """A component that has started is started again only where the run says so."""
    retry = world.run.spec.retry
    assert retry is not None
    followed = world.run.status.attempts
    if world.run.status.next_attempt_time is None:
        followed = followed[:-1]
    for attempt in followed:
        if attempt.number in world.started:
            assert attempt.reason in retry.after_start, "or its component ran twice"


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.booleans(),
    st.integers(0, 3),
    st.sampled_from(AFTER_START),
    st.sampled_from(BEGINNINGS),
    st.lists(
        st.tuples(st.sampled_from(STEPS), st.sampled_from(FAULTS), st.sampled_from(PAUSES)),
        max_size=35,
    ),
)
def test_a_run_always_ends_and_only_once(
    write_always: bool,
    limit: int,
    after_start: list[str],
    beginning: list[tuple[str, str, float]],
    steps: list[tuple[str, str, float]],
) -> None:
    world = World(write_always, limit, after_start)
    for step, fault, seconds in [*beginning, *steps]:
        world.happen(step)
        world.reconcile(fault)
        world.now += timedelta(seconds=seconds)
    # From here on nothing happens by itself any more, and nobody holds the run back.
    world.happen("resume")
    for _ in range(MUST_END_WITHIN):
        if not world.goes_on():
            break
    assert statuses.is_terminal(world.run.status)
    assert world.run_deleted, "its time to live is over"
    assert max(world.made, default=0) <= limit + 1
    assert [action.attempt for action in world.published] in ([], [world.made[-1] if world.made else 0])
    check_phases(world)
    check_restarts(world)
    check_final(world)


PHASES = ["Pending", "StagingIn", "Running", "StagingOut", "Publishing", "Succeeded", "Failed", "Cancelled"]


def check_phases(world: World) -> None:
    """Within an attempt they go one way."""
    attempt: list[int] = []
    for phase in world.phases:
        if phase == "Queued":
            attempt = []
        elif phase not in {None, "Suspended"}:
            attempt.append(PHASES.index(phase))
            assert attempt == sorted(attempt), world.phases


def check_final(world: World) -> None:
    """What a reader of the final status may rely on."""
    status = world.run.status
    kinds = {c.type: c for c in status.conditions}
    assert set(kinds) == {"Succeeded", "StagedIn", "Published", "EventsDelivered"}
    assert kinds["Succeeded"].reason == status.reason
    assert (kinds["Succeeded"].status == "True") == (status.phase == "Succeeded")
    assert status.completion_time is not None
    assert status.message
    if status.phase == "Succeeded":
        assert [p.write_always_only for p in world.published] == [False]
    elif world.published:
        assert [p.write_always_only for p in world.published] == [True]
        assert world.write_always, "there was nothing to publish"
    if status.phase == "Cancelled":
        assert world.published == []
    if world.cancelled_in_time and status.phase != "Cancelled":
        assert "came too late" in " ".join(status.warnings or ()), "whoever cancelled is told why it did not help"
