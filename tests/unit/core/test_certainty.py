"""Which pod is asked for before anything is concluded; the rules of decision 0040, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from componentrun.core.lifecycle.actions import LookAtPod, Plan
from componentrun.core.lifecycle.plan import plan
from componentrun.core.queue.admission import Turn
from tests.unit.core.make import (
    at,
    done_in,
    done_out,
    ended,
    make_pod,
    make_run,
    observe,
    running,
    stamp,
    started_status,
    waiting,
)

LOOK = LookAtPod("daily-1", "pod-uid")
ALIVE: dict[str, Any] = {"stage_in": done_in(), "component": running(3), "stage_out": running(0)}
STARTING: dict[str, Any] = {"stage_in": running(1), "component": waiting(), "stage_out": running(0)}
THROUGH: dict[str, Any] = {"stage_in": done_in(), "component": ended(0, end=9), "stage_out": done_out()}
UPLOADING: dict[str, Any] = {"stage_in": done_in(), "component": ended(0, end=9), "stage_out": running(0)}
RETRIED = started_status(
    phase="Queued",
    attempts=[{**started_status()["attempts"][0], "completionTime": stamp(5), "reason": "StageInFailed"}],
    nextAttemptTime=stamp(20),
)
STOPPED = {"termination": {"reason": "Timeout", "message": "Too long.", "time": stamp(10)}}


def asked(found: Plan) -> bool:
    """Whether the plan is nothing but a question."""
    looks = [action for action in found.actions if isinstance(action, LookAtPod)]
    assert not looks or (found.actions == (LOOK,) and found.wake_at is not None)
    return bool(looks)


class TestDuringAnAttempt:
    @pytest.mark.parametrize(
        ("what", "pod", "gone", "seconds", "status", "is_asked"),
        [
            ("a pod that is not there yet", None, False, 29, {}, False),
            ("a pod that should be there", None, False, 30, {}, True),
            ("a pod that should be there, of a run that is being stopped", None, False, 30, STOPPED, True),
            ("a pod that goes on", ALIVE, False, 10, {}, False),
            ("a pod that is gone before it started", STARTING, True, 10, {}, True),
            ("a pod that is gone while it ran", ALIVE, True, 10, {}, True),
            ("a pod that is gone while it uploaded", UPLOADING, True, 10, {}, True),
            ("a pod that is gone when all was done", THROUGH, True, 10, {}, False),
            ("a pod that has ended", {**THROUGH, "phase": "Succeeded"}, False, 30, {}, False),
            ("a failed component", {**THROUGH, "component": ended(1)}, True, 10, {}, False),
            ("an eviction", {**ALIVE, "phase": "Failed", "reason": "Evicted"}, False, 10, {}, False),
            ("a component that runs for as long as it may", ALIVE, False, 3602, {}, False),
            ("a timeout", ALIVE, False, 3603, {}, True),
            ("a timeout that is decided", ALIVE, False, 3604, STOPPED, False),
            ("an upload that takes too long", UPLOADING, False, 9 + 660, {}, True),
            ("an upload that takes too long, of a run that is being stopped", UPLOADING, False, 669, STOPPED, True),
            ("an input that takes too long", STARTING, False, 3601, {}, True),
            ("a pod without a node for too long", {"phase": "Pending", "node": ""}, False, 600, {}, True),
            ("a pod that waits for its gates", {"spec": {"schedulingGates": [{"name": "g"}]}}, False, 9000, {}, False),
            ("a deletion that a node does not carry out", {**ALIVE, "deleted": (5, 30)}, False, 100, STOPPED, True),
            ("a deletion that is under way", {**ALIVE, "deleted": (5, 30)}, False, 20, STOPPED, False),
            ("a program that can't be started", {**STARTING, "component": waiting("CreateContainerError"),
                                                 "stage_in": done_in()}, False, 4, {}, False),
            ("an image whose chance is over", {**STARTING, "component": waiting("ImagePullBackOff", "i/o timeout"),
                                               "stage_in": done_in()}, False, 63, {}, True),
        ],
    )  # fmt: skip
    def test_it_is_asked_for_where_the_end_would_rest_on_silence(
        self, what: str, pod: dict[str, Any] | None, gone: bool, seconds: float, status: dict[str, Any], is_asked: bool
    ) -> None:
        raw = None if pod is None else make_pod(**pod)
        run = make_run(status=started_status(phase="Running" if pod else "Pending", **status))
        before = observe(run, raw, gone=gone, seconds=seconds, pod_was_read=False)
        assert asked(plan(before)) == is_asked, what
        assert not asked(plan(replace(before, pod_was_read=True))), "an answer is enough"

    def test_a_pod_that_is_known_to_be_gone_is_asked_for_once(self) -> None:
        before = observe(
            make_run(status=started_status(phase="Running")), make_pod(**ALIVE), gone=True, pod_was_read=False
        )
        assert before.pod is not None
        assert not asked(plan(replace(before, pod=replace(before.pod, confirmed=True))))

    def test_what_is_being_published_needs_no_pod(self) -> None:
        status = started_status(phase="Publishing")
        status["attempts"][0]["reason"] = "Succeeded"
        assert not asked(plan(observe(make_run(status=status), None, seconds=99, pod_was_read=False)))


class TestBetweenAttempts:
    @pytest.mark.parametrize(
        ("what", "pod", "gone", "seconds", "is_asked"),
        [
            ("it is too early", None, False, 19, False),
            ("the last attempt's pod is not known", None, False, 20, True),
            ("it is gone and was not seen to end", STARTING, True, 20, True),
            ("only its input has failed", {**STARTING, "stage_in": ended(1)}, True, 20, True),
            ("it has ended and is gone", {**STARTING, "phase": "Failed"}, True, 20, False),
            ("it is there and goes on", ALIVE, False, 20, False),
            ("its node does not answer", {**ALIVE, "deleted": (5, 30)}, False, 100, True),
        ],
    )
    def test_the_next_one_does_not_begin_beside_the_last(
        self, what: str, pod: dict[str, Any] | None, gone: bool, seconds: float, is_asked: bool
    ) -> None:
        raw = None if pod is None else make_pod(**pod)
        found = plan(observe(make_run(status=RETRIED), raw, gone=gone, seconds=seconds, pod_was_read=False))
        assert asked(found) == is_asked, what


class TestOtherwise:
    def test_a_pod_whose_labels_were_changed_is_asked_for_at_once_and_then_now_and_then(self) -> None:
        pod = make_pod(**ALIVE)
        pod["metadata"]["labels"].pop("componentrun.dev/run-uid")
        run = make_run(status=started_status(phase="Running"))
        assert asked(plan(observe(run, pod, pod_was_read=False)))
        assert plan(observe(run, pod, seconds=10)).wake_at == at(15)

    @pytest.mark.parametrize("gone", [True, False])
    def test_a_run_that_has_not_begun_asks_for_nothing(self, gone: bool) -> None:
        """A pod that the status does not know never had its Secret."""
        pod = make_pod(**STARTING)
        for run in (make_run(), make_run(cancel=True)):
            assert not asked(plan(observe(run, pod, gone=gone, pod_was_read=False, turn=Turn("wait", "MaxRunning", 1))))

    def test_a_run_that_is_being_deleted_asks_for_nothing(self) -> None:
        run = make_run(status=started_status())
        deleted = run.model_copy(update={"metadata": run.metadata.model_copy(update={"deletion_timestamp": at(1)})})
        assert not asked(plan(observe(deleted, None, seconds=99, pod_was_read=False)))
