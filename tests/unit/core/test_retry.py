"""Whether another attempt follows, when it begins, and what has to be over before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import pytest

from componentrun import contract
from componentrun.api.componentrun import Phase
from componentrun.api.retry import AfterStart, Backoff
from componentrun.core.lifecycle import retry, status
from componentrun.core.lifecycle.actions import DeletePod, KubernetesEvent, Plan, StartAttempt, WriteStatus
from componentrun.core.lifecycle.observed import Observed
from componentrun.core.lifecycle.plan import plan
from componentrun.core.limits import Limits
from componentrun.core.pod.metadata import identity_labels
from componentrun.core.podstatus.facts import pod_facts
from componentrun.core.podstatus.reading import read_pod
from componentrun.core.redact.status import redact_action
from componentrun.core.request.resolve import resolve
from componentrun.errors import TransientError
from componentrun.reasons import RETRIED_BEFORE_START, RETRIED_IF_NAMED, Reason
from componentrun.storage.cleanup.sweep import MIN_KEEP
from tests.unit.core.make import (
    LIMITS,
    NOW,
    RUN_UID,
    at,
    done_in,
    done_out,
    ended,
    make_component,
    make_pod,
    make_run,
    observe,
    running,
    saved_out,
    stamp,
    started_status,
    waiting,
)

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRunStatus

FAILED_IN = make_pod(stage_out=ended(0), stage_in=ended(1), component=waiting(), phase="Failed")
EVICTED = make_pod(stage_in=done_in(), component=ended(137), phase="Failed", reason="Evicted", message="low on memory")
NEVER_WAS = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None}}
ORPHANED: dict[str, Any] = {
    "stage_in": running(),
    "component": waiting(),
    "phase": "Failed",
    "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}],
}
"""As the control plane leaves the pod of a node that was deleted: its kubelet did not report what it did last."""
KILL = DeletePod("daily-1", "pod-uid", 1)


def never_was() -> dict[str, Any]:
    """What a kubelet says of a container whose image was being pulled when the pod was deleted (seen)."""
    pod = make_pod(stage_in=done_in(), component=NEVER_WAS, phase="Failed")
    pod["status"]["containerStatuses"][0]["imageID"] = ""
    return pod


def lost(pod: dict[str, Any]) -> dict[str, Any]:
    """A component that ran, as a kubelet tells of it that evicts the pod (seen: tests/golden/seen/disk-full.yaml)."""
    last = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None}}
    pod["status"]["containerStatuses"][0] |= {"imageID": "", "lastState": last, "restartCount": 1}
    return pod


def written(found: Plan) -> ComponentRunStatus:
    return next(action.status for action in found.actions if isinstance(action, WriteStatus))


def after_one_failure(**spec: Any) -> ComponentRunStatus:
    return written(plan(observe(make_run(status=started_status(), **spec), FAILED_IN)))


def test_the_classes_that_a_run_may_name_are_those_that_the_reasons_page_tells() -> None:
    assert set(get_args(AfterStart)) == {reason.value for reason in RETRIED_IF_NAMED}


def test_no_attempt_outlives_the_data_of_the_first() -> None:
    longest = contract.RETRY_WINDOW_SECONDS + contract.MAX_TIMEOUT_SECONDS + 2 * 3600
    assert timedelta(seconds=longest) < MIN_KEEP


class TestTheDecision:
    def test_what_fails_before_the_start_waits_for_another_attempt_at_a_time_that_is_written_down(self) -> None:
        found = plan(observe(make_run(status=started_status()), FAILED_IN))
        after = written(found)
        assert (after.phase, after.reason) == ("Queued", "Retrying")
        assert after.attempts[0].reason == "StageInFailed"
        assert after.attempts[0].completion_time == at(10)
        assert after.next_attempt_time is not None
        assert at(15) <= after.next_attempt_time <= at(20)
        assert "Attempt 1 of at most 4 ended with StageInFailed" in (after.message or "")
        (event,) = [action for action in found.actions if isinstance(action, KubernetesEvent)]
        assert (event.type, event.reason) == ("Warning", "Retrying")

    def test_nothing_of_the_attempt_is_left_in_the_status(self) -> None:
        before = started_status(
            termination={"reason": "Evicted", "message": "x", "time": stamp(3)}, imageID="x@sha256:1"
        )
        after = written(plan(observe(make_run(status=before, retry={"afterStart": ["Evicted"]}), EVICTED)))
        assert (after.phase, after.termination, after.image_digest) == ("Queued", None, None)
        assert [c.type for c in after.conditions] == ["Succeeded"]

    @pytest.mark.parametrize("reason", sorted(Reason))
    @pytest.mark.parametrize("started", [False, True])
    def test_without_a_word_only_some_reasons_are_retried_and_only_before_the_start(
        self, reason: Reason, started: bool
    ) -> None:
        run = make_run(status=started_status())
        expected = not started and reason in RETRIED_BEFORE_START
        assert retry.worth_another(run, reason, at(1), started=started) is expected

    @pytest.mark.parametrize("reason", sorted(RETRIED_IF_NAMED))
    def test_a_reason_that_is_named_is_retried_after_the_start_and_no_other(self, reason: Reason) -> None:
        run = make_run(status=started_status(), retry={"afterStart": [reason]})
        assert [r for r in sorted(RETRIED_IF_NAMED) if retry.worth_another(run, r, at(1), started=True)] == [reason]

    def test_the_limit_counts_attempts_after_the_first(self) -> None:
        last = started_status(attempts=[{"number": 3, "pod": "daily-3", "startTime": stamp(0)}])
        for limit, more in [(2, False), (3, True)]:
            run = make_run(status=last, retry={"limit": limit})
            assert retry.worth_another(run, Reason.NODE_LOST, at(1), started=False) is more

    def test_no_attempt_begins_half_a_day_after_the_first(self) -> None:
        run = make_run(status=started_status())
        window = contract.RETRY_WINDOW_SECONDS
        assert retry.worth_another(run, Reason.NODE_LOST, at(window - 60), started=False)
        assert not retry.worth_another(run, Reason.NODE_LOST, at(window), started=False)

    def test_the_components_default_counts_where_the_run_says_nothing(self) -> None:
        run, component = make_run(component="cleaner"), make_component(retry={"limit": 0})
        effective = resolve(run, component, "lake")
        begun = status.attempt_started(run, effective, number=1, pod_uid="pod-uid", input_tables=(), now=at(0))
        stored = make_run(component="cleaner", status=begun.to_dict())
        assert written(plan(observe(stored, FAILED_IN))).phase == "Failed"
        own = make_run(component="cleaner", status=begun.to_dict(), retry={"limit": 1})
        assert written(plan(observe(own, FAILED_IN))).phase == "Queued"

    def test_a_component_that_ran_is_not_started_again_unasked(self) -> None:
        assert written(plan(observe(make_run(status=started_status()), EVICTED))).reason == "Evicted"

    def test_write_always_tables_wait_for_the_last_attempt(self) -> None:
        output = {"tables": [{"source": "log.csv", "destination": "out.c-main.log", "writeAlways": True}]}
        pod = make_pod(stage_in=done_in(), component=ended(2), stage_out=saved_out(), phase="Failed")
        spec: dict[str, Any] = {"output": output, "retry": {"limit": 1, "afterStart": ["ApplicationError"]}}
        assert written(plan(observe(make_run(status=started_status(), **spec), pod, seconds=30))).phase == "Queued"
        spec["retry"] = {"limit": 0, "afterStart": ["ApplicationError"]}
        assert written(plan(observe(make_run(status=started_status(), **spec), pod, seconds=30))).phase == "Publishing"


class TestWhetherItStarted:
    @pytest.mark.parametrize(
        ("name", "pod", "gone", "certain"),
        [
            ("ended by the kubelet", make_pod(stage_in=ended(143), component=waiting(), phase="Failed"), True, True),
            ("removed by force", make_pod(stage_in=running(), component=waiting()), True, False),
            ("removed before it had a node", make_pod(node="", phase="Pending"), True, True),
            ("a failed stage-in", make_pod(stage_in=ended(1), component=waiting(), stage_out=running()), False, True),
            ("a stage-in that fails well", make_pod(stage_in=ended(0, "OOMKilled"), component=waiting()), False, False),
            ("a node that is away", make_pod(component=waiting(), deleted=(0, 1)), False, False),
            ("one that went on unseen", never_was(), None, False),
            ("evicted early", make_pod(component=waiting(), phase="Failed", reason="Evicted"), False, True),
            ("ended because its node is gone", make_pod(**ORPHANED), True, False),
            ("ended without a node", make_pod(**ORPHANED, node=""), True, True),
            ("a component that ran", EVICTED, False, False),
            ("one that never was", never_was(), True, True),
            ("one that was lost", lost(make_pod(component=waiting(), phase="Failed", reason="Evicted")), False, False),
            ("a component that nobody saw", make_pod(component=ended(137, "ContainerStatusUnknown")), True, False),
        ],
    )
    def test_only_what_the_kubelet_said_is_certain(
        self, name: str, pod: dict[str, Any], gone: bool | None, certain: bool
    ) -> None:
        """`gone` is None where nobody saw it go: what was seen last is not how it ended."""
        del name
        view = replace(read_pod(pod, gone=gone is not False), missed=gone is None)
        assert pod_facts(view, make_run().status, LIMITS, NOW).may_have_run_component is not certain

    def test_a_pod_that_went_unseen_may_have_run(self) -> None:
        assert retry.may_have_started(None)
        status = written(plan(observe(make_run(status=started_status()), seconds=31)))
        assert (status.phase, status.reason) == ("Failed", "PodDeleted")

    def test_a_registry_that_is_away_has_the_pod_removed_before_anything_is_decided(self) -> None:
        message = waiting("ImagePullBackOff", "dial tcp: i/o timeout")
        pod = make_pod(phase="Pending", stage_out=running(), stage_in=done_in(), component=message)
        found = plan(observe(make_run(status=started_status()), pod, seconds=62))
        stopping = written(found)
        assert stopping.termination is not None
        assert stopping.termination.reason == "RegistryUnavailable"
        assert KILL in found.actions
        run = make_run(status=stopping.to_dict())
        assert written(
            plan(observe(run, {**pod, "status": {**pod["status"], "phase": "Failed"}}, gone=True))
        ).phase == ("Queued")
        late = make_pod(stage_out=ended(0), stage_in=done_in(), component=ended(137, start=62, end=63), phase="Failed")
        after = written(plan(observe(run, late, gone=True, seconds=64)))
        assert (after.phase, after.reason) == ("Failed", "RegistryUnavailable"), "it started after all"

    def test_one_that_was_seen_running_counts_as_started_whatever_its_pod_says_later(self) -> None:
        pod = make_pod(stage_in=done_in(), component=waiting(), phase="Failed", reason="Evicted")
        seen = [{"phase": "Pending", "startTime": stamp(0)}, {"phase": "Running", "startTime": stamp(3)}]
        status = written(plan(observe(make_run(status=started_status(phase="Running", phases=seen)), pod)))
        assert (status.phase, status.reason) == ("Failed", "Evicted")


class TestTheTime:
    def test_it_doubles_up_to_the_longest_and_differs_from_run_to_run(self) -> None:
        backoff = Backoff(initial="10s", max="1m")
        for attempt, longest in enumerate([10, 20, 40, 60, 60], 1):
            times = [retry.backoff_seconds(f"run-{n}", attempt, backoff) for n in range(50)]
            assert all(longest / 2 <= time <= longest for time in times)
            assert len(set(times)) == 50

    def test_the_same_question_has_the_same_answer(self) -> None:
        assert after_one_failure() == after_one_failure()


class TestBetweenAttempts:
    def begins(self) -> float:
        time = after_one_failure().next_attempt_time
        assert time is not None
        return (time - at(0)).total_seconds()

    def test_the_next_one_begins_when_its_time_has_come(self) -> None:
        run = make_run(status=after_one_failure().to_dict())
        early = plan(observe(run, FAILED_IN, seconds=11))
        assert early.actions == ()
        assert early.wake_at == at(self.begins())
        assert plan(observe(run, FAILED_IN, seconds=self.begins())).actions == (StartAttempt(2),)

    def test_it_waits_for_the_end_of_the_pod_before_but_not_for_a_node_that_is_away(self) -> None:
        pod = make_pod(stage_out=running(), stage_in=ended(1), component=waiting())
        run = make_run(status=after_one_failure().to_dict())
        assert plan(observe(run, pod, seconds=40)).actions == ()
        assert plan(observe(run, pod, seconds=70)).actions == (KILL,), "its events were waited for long enough"
        told = make_pod(stage_out=running(), stage_in=ended(1), component=waiting(), deleted=(70, 1))
        assert plan(observe(run, told, seconds=71)) == Plan((), at(131))
        assert plan(observe(run, told, seconds=131)).actions == (StartAttempt(2),)

    def test_the_pod_before_goes_when_its_events_are_delivered(self) -> None:
        delivered = {"events": {"count": 3, "attempts": 1, "delivered": False}}
        run = make_run(status=after_one_failure().to_dict() | delivered)
        assert plan(observe(run, FAILED_IN, seconds=11)).actions == (KILL,)

    def test_it_goes_while_the_next_attempt_runs_too(self) -> None:
        first = after_one_failure()
        second = {"number": 2, "pod": "daily-2", "podUID": "pod-2", "startTime": stamp(20)}
        stored = first.to_dict() | {"phase": "Pending", "nextAttemptTime": None}
        stored["attempts"] = [*stored["attempts"], second]
        run = make_run(status=stored)
        new = read_pod(make_pod(phase="Pending", uid="pod-2"))
        old = read_pod(FAILED_IN)
        waits = plan(Observed(run, new, at(30), Limits(), (old,)))
        assert KILL not in waits.actions
        assert [item.uid for item in waits.unread_pods] == ["pod-uid"]
        assert KILL not in plan(Observed(run, new, at(909), Limits(), (old,), pod_was_read=True)).actions
        assert KILL in plan(Observed(run, new, at(910), Limits(), (old,), pod_was_read=True)).actions
        crowded = Observed(run, new, at(70), Limits(), (old,), over_unread_limit=frozenset({"pod-uid"}))
        assert KILL in plan(crowded).actions

    def test_a_pod_that_no_attempt_knows_goes_at_once(self) -> None:
        stored = started_status(attempts=[{"number": 2, "pod": "daily-2", "podUID": "pod-2", "startTime": stamp(0)}])
        new = read_pod(make_pod(phase="Pending", uid="pod-2"))
        stray = read_pod(make_pod(uid="stray"))
        found = plan(Observed(make_run(status=stored), new, at(1), Limits(), (stray,)))
        assert DeletePod("daily-1", "stray", 1) in found.actions

    def test_a_pod_that_is_there_already_is_completed(self) -> None:
        pod = make_pod(phase="Pending", uid="pod-2")
        pod["metadata"] |= {"name": "daily-2", "labels": identity_labels("daily", RUN_UID, 2)}
        run = make_run(status=after_one_failure().to_dict())
        assert plan(observe(run, pod, seconds=99)).actions == (StartAttempt(2),)
        assert [a.number for a in written(plan(observe(run, pod, seconds=99, gone=True))).attempts] == [1, 2]

    def test_a_cancel_ends_the_run_and_leaves_what_is_known_of_the_attempt(self) -> None:
        run = make_run(status=after_one_failure().to_dict(), cancel=True)
        after = written(plan(observe(run, FAILED_IN, seconds=11)))
        assert (after.phase, after.next_attempt_time) == ("Cancelled", None)
        assert after.attempts[0].reason == "StageInFailed"

    def test_a_suspend_does_not_hold_back_a_run_that_has_started(self) -> None:
        run = make_run(status=after_one_failure().to_dict(), suspend=True)
        assert plan(observe(run, FAILED_IN, seconds=99)).actions[-1] == StartAttempt(2)

    def test_a_store_that_is_away_then_is_waited_for_from_the_attempts_time_on(self) -> None:
        run = make_run(status=after_one_failure().to_dict())
        trying = status.start_failed(run, TransientError("the store is away"), limits=Limits(), now=at(30))
        assert trying.phase == "Queued"
        run = make_run(status=trying.to_dict())
        given_up = status.start_failed(run, TransientError("the store is away"), limits=Limits(), now=at(200))
        assert given_up.phase == "Failed"
        assert "Another attempt could not be started" in (given_up.message or "")
        assert given_up.attempts[0].reason == "StageInFailed"

    def test_the_second_attempt_is_told_from_the_first(self) -> None:
        run = make_run(status=after_one_failure().to_dict())
        effective = resolve(run, None, "lake")
        begun = status.attempt_started(run, effective, number=2, pod_uid="pod-2", input_tables=(), now=at(30))
        assert [a.pod for a in begun.attempts] == ["daily-1", "daily-2"]
        assert (begun.phase, begun.next_attempt_time) == ("Pending", None)
        assert begun.start_time == at(0)

    def test_what_is_said_is_redacted(self) -> None:
        pod = make_pod(stage_out=ended(0), stage_in=ended(1, message="hunter2!"), component=waiting(), phase="Failed")
        found = plan(observe(make_run(status=started_status()), pod))
        assert "hunter2!" in repr(found.actions)
        assert "hunter2!" not in repr([redact_action(action, ["hunter2!"]) for action in found.actions])


class TestEveryPhase:
    PODS: ClassVar[dict[str, dict[str, Any] | None]] = {
        "Queued": None,
        "Suspended": None,
        "Building": None,
        "Pending": make_pod(phase="Pending"),
        "StagingIn": make_pod(stage_out=running(), stage_in=running(1), component=waiting()),
        "Running": make_pod(stage_in=done_in(), component=running(3), stage_out=running()),
        "StagingOut": make_pod(stage_in=done_in(), component=ended(0), stage_out=running()),
        "Publishing": make_pod(stage_in=done_in(), component=ended(0), stage_out=done_out(), phase="Succeeded"),
        "Succeeded": None,
        "Failed": None,
        "Cancelled": None,
    }

    def status(self, phase: str) -> dict[str, Any]:
        if phase in {"Queued", "Suspended", "Building"}:
            return {"phase": phase, "phases": [{"phase": phase, "startTime": stamp(0)}]}
        ended_at = {"completionTime": stamp(9)} if phase in {"Succeeded", "Failed", "Cancelled"} else {}
        return started_status(phase=phase, phases=[{"phase": phase, "startTime": stamp(0)}], **ended_at)

    def test_the_table_names_them_all(self) -> None:
        assert set(self.PODS) == set(get_args(Phase))

    @pytest.mark.parametrize("phase", get_args(Phase))
    def test_of_a_run_that_is_deleted_at_most_the_pod_is_touched(self, phase: str) -> None:
        run = make_run(status=self.status(phase))
        run = run.model_copy(update={"metadata": run.metadata.model_copy(update={"deletion_timestamp": at(0)})})
        found = plan(observe(run, self.PODS[phase]))
        assert found.wake_at is None
        assert all(isinstance(action, DeletePod) for action in found.actions)

    @pytest.mark.parametrize("phase", get_args(Phase))
    def test_a_cancel_starts_nothing_and_stops_what_runs_unless_it_is_too_late(self, phase: str) -> None:
        found = plan(observe(make_run(status=self.status(phase), cancel=True), self.PODS[phase]))
        assert not any(isinstance(action, StartAttempt) for action in found.actions)
        if phase in {"Queued", "Suspended", "Building"}:
            assert written(found).phase == "Cancelled"
        elif phase in {"Pending", "StagingIn", "Running", "StagingOut"}:
            termination = written(found).termination
            assert termination is not None
            assert termination.reason == "Cancelled"
            assert any(isinstance(action, DeletePod) for action in found.actions)
        else:
            assert not any(isinstance(action, WriteStatus) for action in found.actions)


class TestThePodsTimeToLive:
    def ended(self, **spec: Any) -> Any:
        delivered = {"events": {"count": 3, "delivered": True}}
        final = started_status(phase="Failed", completionTime=stamp(30), **delivered)
        after = written(plan(observe(make_run(status=final, **spec), FAILED_IN, seconds=31)))
        return make_run(status=after.to_dict(), **spec)

    def test_a_pod_is_kept_for_its_time_to_live(self) -> None:
        run = self.ended(podTtlAfterFinished="10m")
        assert plan(observe(run, FAILED_IN, seconds=40)) == Plan((), at(630))
        assert plan(observe(run, FAILED_IN, seconds=630)) == Plan((KILL,))

    def test_the_run_takes_its_pod_along(self) -> None:
        run = self.ended(podTtlAfterFinished="10m", ttlAfterFinished="5m")
        assert plan(observe(run, FAILED_IN, seconds=40)) == Plan((), at(330))

    def test_a_pod_that_has_not_ended_goes_in_any_case(self) -> None:
        run = self.ended(podTtlAfterFinished="10m")
        alive = make_pod(stage_in=done_in(), component=running(3), stage_out=running())
        assert plan(observe(run, alive, seconds=40)).actions == (KILL,)
