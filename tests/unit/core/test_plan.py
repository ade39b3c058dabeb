"""What the reconciler is told to do, case by case. The random walks through a whole life are in test_world.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from componentrun.core.lifecycle.actions import (
    DeletePod,
    DeleteRun,
    GiveGrants,
    KubernetesEvent,
    Plan,
    Publish,
    StartAttempt,
    UnreadPod,
    WriteStatus,
)
from componentrun.core.lifecycle.cleanup import KILL_GRACE_SECONDS
from componentrun.core.lifecycle.plan import plan
from componentrun.core.lifecycle.status import held_up
from componentrun.core.podstatus.reading import read_pod
from componentrun.core.redact.status import needs_redaction
from componentrun.errors import TransientError
from componentrun.wire.agents import StageOutResult, to_json
from tests.unit.core.make import (
    LIMITS,
    at,
    condition,
    done_in,
    done_out,
    ended,
    make_pod,
    make_run,
    observe,
    running,
    saved_out,
    stamp,
    started_status,
    waiting,
    written,
)

WRITE_ALWAYS = {"tables": [{"source": "log.csv", "destination": "out.c-main.log", "writeAlways": True}]}
KILL = DeletePod("daily-1", "pod-uid", KILL_GRACE_SECONDS)
ASK = DeletePod("daily-1", "pod-uid", 30)


NOTHING_OUT = ended(message=to_json(StageOutResult(ok=True, empty=True)), end=20)


def others(found: Plan) -> list[Any]:
    return [a for a in found.actions if not isinstance(a, WriteStatus | KubernetesEvent)]


TAINTED = [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]


def unheard(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod as its kubelet told of it before it was asked to go."""
    pod["metadata"]["generation"] = 2
    pod["status"]["observedGeneration"] = 1
    return pod


def alive(**more: Any) -> dict[str, Any]:
    return make_pod(stage_in=done_in(), component=running(3), stage_out=running(), **more)


class TestBeforeTheStart:
    def test_a_new_run_is_started(self) -> None:
        assert plan(observe(make_run())) == Plan((StartAttempt(1),), at(10 + LIMITS.pending))

    def test_a_suspended_run_is_held_back_and_says_so_once(self) -> None:
        status = written(plan(observe(make_run(suspend=True))))
        assert status.phase == "Suspended"
        assert plan(observe(make_run(suspend=True, status=status.to_dict()))) == Plan()

    def test_a_run_that_is_not_suspended_any_more_is_started(self) -> None:
        status = written(plan(observe(make_run(suspend=True))))
        assert plan(observe(make_run(status=status.to_dict()))).actions == (StartAttempt(1),)

    def test_a_cancelled_run_is_never_started(self) -> None:
        status = written(plan(observe(make_run(cancel=True, suspend=True))))
        assert status.phase == "Cancelled"
        assert condition(status, "EventsDelivered") == ("True", "NothingToDeliver")
        assert condition(status, "Succeeded") == ("False", "Cancelled")

    @pytest.mark.parametrize(
        ("pod", "actions"),
        [
            (None, ()),
            (make_pod(stage_in=done_in(), component=running()), (DeletePod("daily-1", "pod-uid", 30),)),
            (make_pod(phase="Pending"), (DeletePod("daily-1", "pod-uid", 1),)),
            (make_pod(stage_in=done_in(), component=running(), deleted=(5, 600)), ()),
        ],
        ids=["no pod", "runs", "waits", "told to go by somebody"],
    )  # fmt: skip
    def test_of_a_run_that_is_being_deleted_only_the_pod_is_told_to_go(
        self, pod: dict[str, Any] | None, actions: tuple[DeletePod, ...]
    ) -> None:
        run = make_run()
        run = run.model_copy(update={"metadata": run.metadata.model_copy(update={"deletion_timestamp": at(0)})})
        assert plan(observe(run, pod)) == Plan(actions)

    def test_a_pod_without_a_recorded_attempt_is_started_again_which_only_completes_it(self) -> None:
        assert plan(observe(make_run(), alive())).actions == (StartAttempt(1),)

    def test_a_pod_without_a_recorded_attempt_that_is_gone_counts_as_the_attempt(self) -> None:
        found = plan(observe(make_run(), alive(), gone=True))
        status = written(found)
        assert [a.pod for a in status.attempts] == ["daily-1"]
        after = plan(observe(make_run(status=status.to_dict()), alive(), gone=True))
        assert written(after).reason == "PodDeleted"

    def test_a_pod_without_a_recorded_attempt_is_recorded_before_a_cancel_stops_it(self) -> None:
        status = written(plan(observe(make_run(cancel=True), alive())))
        assert status.phase == "Pending"
        assert others(plan(observe(make_run(cancel=True, status=status.to_dict()), alive()))) == [ASK]


class TestGrants:
    """A pod can't start before it has its Secret, which it gets once its attempt is written down."""

    @pytest.mark.parametrize(
        ("pod", "given"),
        [
            (make_pod(phase="Pending", node=""), True),
            (make_pod(phase="Pending", stage_out=waiting("PodInitializing")), True),
            (make_pod(phase="Pending", spec={"schedulingGates": [{"name": "example.com/gate"}]}), True),
            (make_pod(stage_out=running()), False),
            (alive(), False),
        ],
        ids=["no node", "waits", "gated", "begun", "running"],
    )
    def test_one_that_has_not_begun_is_given_what_it_may_lack(self, pod: dict[str, Any], given: bool) -> None:
        unknown = replace(observe(make_run(status=started_status()), pod), granted=False)
        assert (GiveGrants(1) in plan(unknown).actions) is given
        assert GiveGrants(1) not in plan(replace(unknown, granted=True)).actions

    @pytest.mark.parametrize("spec", [{"cancel": True}, {}])
    def test_one_that_is_stopped_or_was_waited_for_too_long_gets_nothing(self, spec: dict[str, Any]) -> None:
        run = make_run(status=started_status(), **spec)
        late = replace(observe(run, make_pod(phase="Pending", node=""), seconds=601), granted=False)
        assert GiveGrants(1) not in plan(late).actions

    def test_why_it_can_not_be_made_is_said(self) -> None:
        run = make_run(status=started_status())
        told = held_up(run, TransientError("quota `small` is used up."), at(5))
        assert (told.phase, told.reason) == ("Pending", "Pending")
        assert told.message == "The pod waits for its Secret, which can't be created yet: quota `small` is used up."


class TestOnTheWay:
    @pytest.mark.parametrize(
        ("pod", "phase"),
        [
            (make_pod(phase="Pending", node=""), "Pending"),
            (make_pod(phase="Pending", stage_out=waiting("ContainerCreating")), "Pending"),
            (make_pod(phase="Pending", stage_out=running(), stage_in=running(1), component=waiting()), "StagingIn"),
            (make_pod(phase="Pending", stage_out=running(), stage_in=done_in(), component=waiting()), "StagingIn"),
            (alive(), "Running"),
            (make_pod(stage_in=done_in(), component=ended(0), stage_out=running()), "StagingOut"),
            (make_pod(stage_in=done_in(), component=ended(137, "OOMKilled"), stage_out=running()), "StagingOut"),
        ],
    )
    def test_the_phase_follows_the_containers(self, pod: dict[str, Any], phase: str) -> None:
        found = plan(observe(make_run(status=started_status(phase=None)), pod))
        assert written(found).phase == phase
        assert found.wake_at is not None

    def test_nothing_is_written_where_nothing_changed(self) -> None:
        status = written(plan(observe(make_run(status=started_status()), alive())))
        again = plan(observe(make_run(status=status.to_dict()), alive(), seconds=99))
        assert again == Plan((), at(3603))

    def test_the_phase_never_goes_back(self) -> None:
        status = written(plan(observe(make_run(status=started_status()), alive())))
        older = make_pod(phase="Pending", stage_out=running(), stage_in=running(1), component=waiting())
        assert plan(observe(make_run(status=status.to_dict()), older)).actions == ()

    def test_node_image_and_staged_input_are_noted(self) -> None:
        status = written(plan(observe(make_run(status=started_status()), alive())))
        assert status.attempts[0].node == "node-a"
        assert status.image_digest == "registry.example.com/x@sha256:abc"
        assert condition(status, "StagedIn") == ("True", "StagedIn")

    def test_the_collectors_events_are_copied(self) -> None:
        status = started_status(events={"count": 7, "delivered": False, "message": ""})
        after = written(plan(observe(make_run(status=status), alive())))
        assert after.events is not None
        assert after.events.count == 7

    def test_an_unschedulable_pod_waits_with_the_schedulers_words(self) -> None:
        conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]
        pod = make_pod(phase="Pending", node="", conditions=conditions)
        found = plan(observe(make_run(status=started_status()), pod))
        assert "0/3 nodes" in (written(found).message or "")
        assert found.wake_at == at(600)
        late = plan(observe(make_run(status=started_status()), pod, seconds=600))
        assert written(late).reason == "Unschedulable"
        assert others(late) == [KILL]

    def test_a_pod_that_is_not_in_the_cache_yet_is_waited_for(self) -> None:
        assert plan(observe(make_run(status=started_status()))) == Plan((), at(30))

    def test_a_pod_that_is_missing_for_long_was_deleted(self) -> None:
        assert written(plan(observe(make_run(status=started_status()), seconds=31))).reason == "PodDeleted"

    def test_another_pod_of_the_same_name_is_not_the_attempts(self) -> None:
        found = plan(observe(make_run(status=started_status()), alive(uid="other"), seconds=31))
        assert written(found).reason == "PodDeleted"


def pulling(reason: str, message: str, who: str = "component") -> dict[str, Any]:
    if who == "component":
        return make_pod(phase="Pending", stage_out=running(), stage_in=done_in(), component=waiting(reason, message))
    return make_pod(phase="Pending", stage_out=waiting(reason, message), stage_in=waiting(), component=waiting())


class TestProblemsBeforeTheStart:
    @pytest.mark.parametrize(
        ("name", "pod", "seconds", "reason"),
        [
            ("an invalid name", pulling("InvalidImageName", "couldn't parse"), 3, "ImagePullFailed"),
            ("not found, first look", pulling("ErrImagePull", "x: not found"), 3, None),
            ("not found, second look", pulling("ImagePullBackOff", "Back-off: x: not found"), 5, "ImagePullFailed"),
            ("not found, our own second look", pulling("ErrImagePull", "x: not found"), 12, "ImagePullFailed"),
            ("registry away, no back-off yet", pulling("ErrImagePull", "i/o timeout"), 12, None),
            ("denied, second look", pulling("ImagePullBackOff", "pull access denied"), 5, "ImagePullFailed"),
            ("registry away, early", pulling("ImagePullBackOff", "dial tcp: i/o timeout"), 61, None),
            ("registry away, late", pulling("ImagePullBackOff", "dial tcp: i/o timeout"), 62, "RegistryUnavailable"),
            ("an old kubelet's bare back-off, late", pulling("ImagePullBackOff", "Back-off"), 62, "ImagePullFailed"),
            ("the agents' image", pulling("ImagePullBackOff", "not found", "stage-out"), 5, "ImagePullFailed"),
            (
                "a node that asks too many at a time",
                pulling("ErrImagePull", "pull QPS exceeded"),
                62,
                "RegistryUnavailable",
            ),
            ("a connection that ends", pulling("ErrImagePull", 'Head "https://r/v2/": EOF'), 62, "RegistryUnavailable"),
            ("a proxy without its registry", pulling("ErrImagePull", "status: 521 "), 62, "RegistryUnavailable"),
            ("no progress", pulling("ErrImagePull", "x: context canceled"), 62, "RegistryUnavailable"),
            (
                "others' processors (Docker)",
                pulling("ErrImagePull", "no matching manifest for a/b"),
                12,
                "ImagePullFailed",
            ),
            (
                "others' processors (CRI-O)",
                pulling("ErrImagePull", 'no image found in image index for architecture "arm64"'),
                12,
                "ImagePullFailed",
            ),
            ("a hook of the kubelet", pulling("PreStartHookError", "no memory"), 3, None),
            ("a hook of the kubelet, late", pulling("PreStartHookError", "no memory"), 70, "StartFailed"),
            ("a config error", pulling("CreateContainerConfigError", "root user"), 3, "StartFailed"),
            ("a create error", pulling("CreateContainerError", "no command specified"), 3, "StartFailed"),
            ("a run error", pulling("RunContainerError", "exec: nope"), 3, "StartFailed"),
            ("a busy runtime", pulling("CreateContainerError", "context deadline exceeded"), 3, None),
            ("a busy runtime, late", pulling("CreateContainerError", "context deadline exceeded"), 70, "StartFailed"),
            ("a sidecar that crashes", pulling("CrashLoopBackOff", "back-off", "stage-out"), 3, "StartFailed"),
            ("a kubelet that is silent", make_pod(phase="Pending"), 600, "StartFailed"),
            ("a mount that fails", pulling("ContainerCreating", "", "stage-out"), 600, "StartFailed"),
            ("a pull without end", pulling("ContainerCreating", ""), 3601, "StartFailed"),
        ],
    )
    def test_end_the_run_or_are_borne(self, name: str, pod: dict[str, Any], seconds: float, reason: str | None) -> None:
        del name
        found = plan(observe(make_run(status=started_status(), retry={"limit": 0}), pod, seconds=seconds))
        status = written(found)
        if reason is None:
            assert status.phase in {"StagingIn", "Pending"}
            assert others(found) == []
            assert found.wake_at is not None
            return
        assert (status.phase, status.reason) == ("Failed", reason)
        assert others(found) == [KILL], "or it could start after all"

    @pytest.mark.parametrize(
        ("reason", "message", "seconds"),
        [("ErrImagePull", "i/o timeout", 62), ("ErrImagePull", "not found", 12), ("ContainerCreating", "", 3601)],
    )
    def test_are_looked_at_again_when_their_chance_is_over(self, reason: str, message: str, seconds: float) -> None:
        run, pod = make_run(status=started_status()), pulling(reason, message)
        assert plan(observe(run, pod, seconds=5)).wake_at == at(seconds)

    @pytest.mark.parametrize(("who", "whose"), [("component", "of the component"), ("stage-out", "the platform's own")])
    def test_say_whose_image_it_is(self, who: str, whose: str) -> None:
        pod = pulling("ImagePullBackOff", "not found", who)
        assert whose in (written(plan(observe(make_run(status=started_status()), pod))).message or "")

    @pytest.mark.parametrize(
        ("reason", "message", "who", "advice"),
        [
            ("ErrImagePull", "x509: unknown authority", "component", "of the nodes' container runtime"),
            (
                "ErrImagePull",
                "server gave HTTP response to HTTPS client",
                "component",
                "of the nodes' container runtime",
            ),
            ("ErrImagePull", "no space left on device", "component", "look at the node's disk"),
            ("ImageInspectError", "Failed to inspect image", "component", "and at its container runtime"),
            ("SignatureValidationFailed", "no policy", "component", "have it signed"),
            ("ErrImagePull", "no matching manifest for linux/arm64", "component", "the node's architecture"),
            ("ErrImagePull", "something else", "component", "`imagePullSecrets`"),
            ("ErrImagePull", "not found", "stage-out", "the chart's `image` and `imagePullSecrets`"),
        ],
    )
    def test_say_what_to_do_about_an_image(self, reason: str, message: str, who: str, advice: str) -> None:
        run = make_run(status=started_status(), retry={"limit": 0})
        status = written(plan(observe(run, pulling(reason, message, who), seconds=100)))
        assert status.reason == "ImagePullFailed"
        assert advice in (status.message or "")

    @pytest.mark.parametrize(
        ("image", "message", "expected"),
        [
            (
                "host/app:1",
                "failed to resolve image: host/app:1: not found",
                (
                    "The image of the component can't be pulled (ErrImagePull): repository `host/app` has no tag `1`, "
                    "or there is no such repository. The node reports: failed to resolve image: host/app:1: not found. "
                    "Push the image, or correct its name or tag."
                ),
            ),
            (
                "host/app:1",
                "429 Too Many Requests",
                (
                    "The registry does not give the image of the component (ErrImagePull): registry `host` refuses "
                    "more requests for now (429). The node reports: 429 Too Many Requests. Log in with a pull secret, "
                    "which usually raises the limit, or use a mirror."
                ),
            ),
        ],
    )
    def test_say_what_the_cause_is(self, image: str, message: str, expected: str) -> None:
        run, pod = make_run(status=started_status(), retry={"limit": 0}), pulling("ErrImagePull", message)
        pod["status"]["containerStatuses"][0]["image"] = image
        assert written(plan(observe(run, pod, seconds=100))).message == expected

    @pytest.mark.parametrize(
        ("reason", "message", "said"),
        [
            ("ContainerCreating", "", "The input is in; the component waits"),
            ("ErrImagePull", "i/o timeout", "`component`, ErrImagePull: i/o timeout"),
            ("", "nobody says why", "held up: `component`: nobody says why."),
        ],
    )
    def test_what_is_waited_for_behind_the_input_is_said(self, reason: str, message: str, said: str) -> None:
        found = written(plan(observe(make_run(status=started_status()), pulling(reason, message), seconds=5)))
        assert found.phase == "StagingIn"
        assert said in (found.message or "")

    def test_what_nobody_knows_is_quoted_in_the_end(self) -> None:
        pod = pulling("InventedLater", "what is this")
        found = written(plan(observe(make_run(status=started_status()), pod, seconds=3601)))
        assert "(component: InventedLater what is this)" in (found.message or "")

    def test_stage_in_that_hangs_ends_the_run(self) -> None:
        pod = make_pod(phase="Pending", stage_out=running(), stage_in=running(1), component=waiting())
        found = plan(observe(make_run(status=started_status(), retry={"limit": 0}), pod, seconds=3601))
        assert written(found).reason == "StageInFailed"

    def test_a_failed_stage_in_ends_the_run_though_the_sidecar_still_runs(self) -> None:
        pod = make_pod(phase="Pending", stage_out=running(), stage_in=ended(1), component=waiting())
        status = written(plan(observe(make_run(status=started_status(), retry={"limit": 0}), pod)))
        assert status.reason == "StageInFailed"
        assert condition(status, "StagedIn") == ("False", "StageInFailed")


class TestTimeoutAndCancel:
    def test_the_decision_is_written_before_the_pod_is_told(self) -> None:
        found = plan(observe(make_run(status=started_status()), alive(), seconds=3603))
        status = written(found)
        assert status.termination is not None
        assert status.termination.reason == "Timeout"
        assert "1h00m" in status.termination.message
        assert condition(status, "Succeeded") == ("Unknown", "Terminating")
        assert others(found) == [ASK]
        assert found.wake_at == at(3603 + 60), "look again whether the kubelet knows of it"

    def test_a_pod_without_the_annotation_has_the_default_timeout(self) -> None:
        pod = alive()
        pod["metadata"]["annotations"] = {}
        assert plan(observe(make_run(status=started_status()), pod)).wake_at == at(3603)
        assert "1h00m" in (written(plan(observe(make_run(status=started_status()), pod, seconds=3603))).message or "")

    def test_another_timeout_is_told_as_it_is(self) -> None:
        pod = alive()
        pod["metadata"]["annotations"]["componentrun.dev/timeout-seconds"] = "90"
        found = plan(observe(make_run(status=started_status()), pod, seconds=93))
        assert "timeout of 1m30s" in (written(found).message or "")

    def test_a_second_before_the_timeout_nothing_happens(self) -> None:
        assert others(plan(observe(make_run(status=started_status()), alive(), seconds=3602))) == []

    def test_a_component_that_ended_is_not_timed_out_while_it_is_uploaded(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0, end=3602), stage_out=running())
        found = plan(observe(make_run(status=started_status()), pod, seconds=3700))
        assert written(found).termination is None

    def stopped(self, reason: str = "Timeout") -> dict[str, Any]:
        return started_status(
            phase="Running", termination={"reason": reason, "message": "Too long.", "time": stamp(100)}
        )

    def test_a_component_that_goes_on_is_left_to_the_kubelet_which_kills_after_the_grace(self) -> None:
        told = alive(deleted=(100, 30))
        found = plan(observe(make_run(status=self.stopped()), told, seconds=129))
        assert others(found) == []
        assert found.wake_at == at(130 + 60)

    def test_a_deletion_with_too_long_a_grace_is_shortened(self) -> None:
        assert others(plan(observe(make_run(status=self.stopped()), alive(deleted=(100, 600)), seconds=129))) == [ASK]

    def test_a_pod_that_was_told_to_die_at_once_is_not_told_again(self) -> None:
        found = plan(observe(make_run(status=self.stopped()), alive(deleted=(130, 1)), seconds=131))
        assert others(found) == []
        assert found.wake_at == at(131 + 60)

    def test_a_deletion_that_got_lost_is_repeated(self) -> None:
        assert others(plan(observe(make_run(status=self.stopped()), alive(), seconds=110))) == [ASK]

    def test_after_a_timeout_the_write_always_tables_are_uploaded_in_peace(self) -> None:
        run = make_run(status=self.stopped(), output=WRITE_ALWAYS)
        pod = make_pod(stage_in=done_in(), component=ended(143, end=101), stage_out=running(), deleted=(100, 90))
        found = plan(observe(run, pod, seconds=150))
        assert others(found) == []
        assert found.wake_at == at(190 + 60)

    def test_after_a_timeout_without_such_tables_nothing_is_waited_for(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(143, end=101), stage_out=running(), deleted=(100, 600))
        assert others(plan(observe(make_run(status=self.stopped()), pod, seconds=102))) == [KILL]

    def test_after_a_timeout_the_write_always_tables_are_published(self) -> None:
        run = make_run(status=self.stopped(), output=WRITE_ALWAYS)
        pod = make_pod(
            stage_in=done_in(), component=ended(0, end=101), stage_out=saved_out(end=110), deleted=(100, 600)
        )
        status = written(plan(observe(run, pod, gone=True, seconds=111)))
        assert (status.phase, status.attempts[-1].reason) == ("Publishing", "Timeout")
        after = plan(observe(make_run(status=status.to_dict(), output=WRITE_ALWAYS), None, seconds=112))
        assert after.actions == (Publish(1, write_always_only=True),)

    def test_a_timeout_ends_as_one_whatever_the_component_did(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0, end=101), stage_out=done_out(102), deleted=(100, 600))
        status = written(plan(observe(make_run(status=self.stopped()), pod, seconds=103)))
        assert (status.phase, status.reason, status.exit_code) == ("Failed", "Timeout", 0)

    def test_a_cancelled_pod_that_has_not_begun_is_killed_at_once(self) -> None:
        pod = make_pod(phase="Pending", stage_out=running(), stage_in=running(1), component=waiting())
        found = plan(observe(make_run(status=started_status(), cancel=True), pod))
        assert written(found).termination is not None
        assert others(found) == [KILL]

    def test_a_cancelled_run_publishes_nothing_not_even_write_always(self) -> None:
        run = make_run(status=self.stopped("Cancelled"), cancel=True, output=WRITE_ALWAYS)
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=done_out(), deleted=(100, 600))
        status = written(plan(observe(run, pod, seconds=120)))
        assert (status.phase, status.reason) == ("Cancelled", "Cancelled")

    def test_a_cancel_that_is_seen_when_all_is_uploaded_still_counts(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=done_out(), phase="Succeeded")
        status = written(plan(observe(make_run(status=started_status(), cancel=True), pod, seconds=30)))
        assert (status.phase, status.exit_code) == ("Cancelled", 0)

    def test_a_cancel_after_a_timeout_was_decided_is_a_cancel(self) -> None:
        run = make_run(status=self.stopped(), cancel=True, output=WRITE_ALWAYS)
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=done_out(), deleted=(100, 600))
        assert written(plan(observe(run, pod, seconds=120))).phase == "Cancelled"

    def test_a_pod_that_never_goes_because_its_node_is_away_ends_the_run_all_the_same(self) -> None:
        found = plan(observe(make_run(status=self.stopped()), alive(deleted=(130, 1)), seconds=191))
        assert written(found).reason == "Timeout"

    def test_a_kubelet_that_does_not_hear_of_a_deletion_is_not_given_the_pods_long_grace(self) -> None:
        """Deleted by the cluster, with the ten minutes that are meant for an upload."""
        pod = unheard(alive(deleted=(350, 600), conditions=TAINTED))
        run = make_run(status=started_status())
        early = plan(observe(run, pod, seconds=409))
        assert (written(early).phase, early.wake_at) == ("Running", at(410))
        status = written(plan(observe(run, pod, seconds=410)))
        assert (status.phase, status.reason) == ("Failed", "NodeLost")

    @pytest.mark.parametrize("observed", [2, 3, None], ids=["heard", "heard of more", "kubelet before 1.34"])
    def test_one_that_heard_of_it_or_can_not_say_so_is_given_it(self, observed: int | None) -> None:
        pod = unheard(alive(deleted=(350, 600), conditions=TAINTED))
        pod["status"] |= {"observedGeneration": observed}
        found = plan(observe(make_run(status=started_status()), pod, seconds=1009))
        assert (written(found).phase, found.wake_at) == ("Running", at(1010))
        assert written(plan(observe(make_run(status=started_status()), pod, seconds=1010))).reason == "NodeLost"

    def test_a_cancel_does_not_wait_for_a_node_that_is_away(self) -> None:
        run = make_run(status=self.stopped("Cancelled"), cancel=True)
        pod = unheard(alive(deleted=(100, 30)))
        found = plan(observe(run, pod, seconds=159))
        assert (others(found), found.wake_at) == ([], at(160))
        assert written(plan(observe(run, pod, seconds=160))).phase == "Cancelled"

    def test_a_cancelled_pod_that_vanished_unseen_is_a_cancelled_run(self) -> None:
        run = make_run(status=self.stopped("Cancelled"), cancel=True)
        status = written(plan(observe(run, None, seconds=200)))
        assert (status.phase, status.message) == (
            "Cancelled",
            "The run was cancelled. It was stopped before it was through; nothing was published.",
        )

    def test_a_stopped_pod_that_vanished_unseen_ends_as_it_was_decided(self) -> None:
        assert written(plan(observe(make_run(status=self.stopped()), None, seconds=200))).reason == "Timeout"


class TestTheEndOfThePod:
    def test_a_success_is_written_as_publishing_first(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=done_out(), phase="Succeeded")
        found = plan(observe(make_run(status=started_status()), pod, seconds=30))
        assert others(found) == []
        status = written(found)
        assert (status.phase, status.attempts[-1].reason, status.exit_code) == ("Publishing", "Succeeded", 0)
        after = plan(observe(make_run(status=status.to_dict()), pod, seconds=31))
        assert after.actions == (Publish(1, write_always_only=False),)
        assert after.wake_at is not None

    def test_a_success_that_left_nothing_is_written_as_the_end_at_once(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=NOTHING_OUT, phase="Succeeded")
        found = plan(observe(make_run(status=started_status()), pod, seconds=30))
        assert others(found) == []
        status = written(found)
        assert (status.phase, status.result, status.exit_code) == ("Succeeded", "Success", 0)
        assert condition(status, "Published") == ("True", "Published")
        assert condition(status, "Succeeded") == ("True", "Succeeded")
        assert "Publishing" not in [item.phase for item in status.phases]

    def test_one_that_left_nothing_but_was_cancelled_is_cancelled(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=NOTHING_OUT, phase="Succeeded")
        run = make_run(status=started_status(), cancel=True)
        assert written(plan(observe(run, pod, seconds=30))).reason == "Cancelled"

    def test_one_that_left_nothing_but_has_to_save_how_far_it_has_read_publishes_that(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=NOTHING_OUT, phase="Succeeded")
        tables = [{"source": "in.c-main.a", "destination": "a.csv", "changedSince": "adaptive"}]
        run = make_run(status=started_status(), configuration={"id": "1"}, input={"tables": tables})
        assert written(plan(observe(run, pod, seconds=30))).phase == "Publishing"

    def test_publishing_goes_on_without_the_pod_and_in_spite_of_a_cancel(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=done_out(), phase="Succeeded")
        status = written(plan(observe(make_run(status=started_status()), pod, seconds=30)))
        after = plan(observe(make_run(status=status.to_dict(), cancel=True), None, seconds=31))
        assert after.actions == (Publish(1, write_always_only=False),)

    def test_a_failure_ends_the_run(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(1, message="no"), stage_out=done_out(), phase="Failed")
        found = plan(observe(make_run(status=started_status()), pod, seconds=30))
        status = written(found)
        assert (status.phase, status.reason, status.result, status.last_words) == ("Failed", "UserError", "Error", "no")
        assert condition(status, "Published") == ("False", "UserError")
        assert isinstance(found.actions[-1], KubernetesEvent)

    @pytest.mark.parametrize("wrong", [0, 1], ids=["all uploaded", "another table is missing"])
    @pytest.mark.parametrize("output", [WRITE_ALWAYS, {}], ids=["by the mapping", "by a manifest"])
    @pytest.mark.parametrize("code", [0, 1, 2, 137])
    def test_a_failure_publishes_its_write_always_tables(self, code: int, output: dict[str, Any], wrong: int) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(code), stage_out=saved_out(wrong), phase="Failed")
        run = make_run(status=started_status(), output=output)
        status = written(plan(observe(run, pod, seconds=30)))
        assert status.phase == "Publishing"
        after = plan(observe(make_run(status=status.to_dict(), output=output), pod, seconds=31))
        assert after.actions == (Publish(1, write_always_only=bool(code or wrong)),)

    def test_a_failure_without_such_a_table_publishes_nothing(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(1), stage_out=done_out(), phase="Failed")
        run = make_run(status=started_status(), output=WRITE_ALWAYS)
        assert written(plan(observe(run, pod, seconds=30))).phase == "Failed"

    def test_a_failure_whose_upload_failed_publishes_nothing(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(1), stage_out=ended(1), phase="Failed")
        run = make_run(status=started_status(), output=WRITE_ALWAYS)
        assert written(plan(observe(run, pod, seconds=30))).phase == "Failed"

    def test_an_upload_without_end_ends_the_run(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0, end=10), stage_out=running())
        assert plan(observe(make_run(status=started_status()), pod, seconds=600)).wake_at == at(670)
        assert written(plan(observe(make_run(status=started_status()), pod, seconds=670))).reason == "StageOutFailed"


class TestAfterTheEnd:
    def final(self, **more: Any) -> dict[str, Any]:
        return started_status(phase="Failed", completionTime=stamp(30), **more)

    def pod(self) -> dict[str, Any]:
        return make_pod(stage_in=done_in(), component=ended(1), stage_out=done_out(), phase="Failed")

    def test_the_pod_stays_until_its_events_are_delivered(self) -> None:
        found = plan(observe(make_run(status=self.final()), self.pod(), seconds=31))
        assert found == Plan((), at(90), (UnreadPod("pod-uid", "node-a", at(30)),))

    def test_a_late_collector_is_waited_for_and_the_status_says_so(self) -> None:
        found = plan(observe(make_run(status=self.final()), self.pod(), seconds=90))
        assert condition(written(found), "EventsDelivered") == ("Unknown", "WaitingForCollector")
        (told,) = (item.message for item in written(found).conditions if item.type == "EventsDelivered")
        assert "Pod `daily-1` on node `node-a` is kept until 12:15:30 UTC" in told
        assert (others(found), found.wake_at, len(found.unread_pods)) == ([], at(930), 1)
        again = observe(make_run(status=written(found).to_dict()), self.pod(), seconds=500)
        assert plan(again) == replace(found, actions=())

    def test_a_late_collector_may_deliver_all_the_same(self) -> None:
        late = written(plan(observe(make_run(status=self.final()), self.pod(), seconds=90))).to_dict()
        status = late | {"events": {"count": 3, "delivered": True}}
        found = plan(observe(make_run(status=status), self.pod(), seconds=91))
        assert condition(written(found), "EventsDelivered") == ("True", "Delivered")
        assert (others(found), found.unread_pods) == ([KILL], ())

    def test_of_too_many_on_a_node_those_go_that_ended_first_but_none_before_a_collector_could_have_read_it(
        self,
    ) -> None:
        run, crowded = make_run(status=self.final()), frozenset({"pod-uid"})
        early = plan(replace(observe(run, self.pod(), seconds=31), over_unread_limit=crowded))
        assert (early.actions, early.wake_at) == ((), at(90))
        found = plan(replace(observe(run, self.pod(), seconds=90), over_unread_limit=crowded))
        assert condition(written(found), "EventsDelivered") == ("False", "TooManyUnreadPods")
        assert (others(found), found.unread_pods) == ([KILL], ())

    def test_a_pod_in_which_a_sidecar_still_runs_is_not_kept_for_long(self) -> None:
        """It takes resources, and places of a quota."""
        pod = make_pod(stage_in=ended(1), component=waiting(), stage_out=running())
        found = plan(observe(make_run(status=self.final()), pod, seconds=90))
        assert condition(written(found), "EventsDelivered") == ("False", "WaitEnded")
        assert (others(found), found.unread_pods) == ([KILL], ())

    def test_the_lines_of_a_lost_node_are_waited_for_as_long_as_others(self) -> None:
        """It may come back; its pod was told to end, and is in nobody's way."""
        pod = make_pod(stage_in=done_in(), component=running(), stage_out=running(), deleted=(20, 1))
        found = plan(observe(make_run(status=self.final(reason="NodeLost")), pod, seconds=90))
        assert condition(written(found), "EventsDelivered") == ("Unknown", "WaitingForCollector")
        assert (others(found), found.wake_at, found.unread_pods) == ([], at(930), ())

    def test_an_ended_pod_keeps_no_place_in_the_queue(self) -> None:
        assert not read_pod(self.pod()).can_run_component

    def test_then_it_goes(self) -> None:
        status = self.final(events={"count": 3, "delivered": True})
        found = plan(observe(make_run(status=status), self.pod(), seconds=31))
        assert condition(written(found), "EventsDelivered") == ("True", "Delivered")
        assert others(found) == [KILL]

    @pytest.mark.parametrize(
        "known", [{}, {"exitCode": 0}, {"exitCode": 137}], ids=["nothing", "a child was killed", "the code alone"]
    )
    def test_what_the_collector_read_stands_in_for_what_the_kubelet_does_not_keep(self, known: dict[str, Any]) -> None:
        events = {"count": 3, "delivered": True, "lastWords": "298 s left"}
        before = make_run(status=self.final(events=events) | known)
        after = written(plan(observe(before, self.pod(), seconds=31)))
        assert after.last_words == "298 s left"
        assert not needs_redaction(before.status, after), "the collector did that"

    @pytest.mark.parametrize(
        "known",
        [{"lastWords": "its own"}, {"phase": "Succeeded"}, {"phase": "Succeeded", "exitCode": 0}],
    )
    def test_what_the_kubelet_said_is_not_replaced(self, known: dict[str, Any]) -> None:
        events = {"count": 3, "delivered": True, "lastWords": "298 s left"}
        stored = self.final(events=events) | known
        after = written(plan(observe(make_run(status=stored), self.pod(), seconds=31)))
        assert after.last_words == known.get("lastWords")

    def test_it_goes_too_when_the_wait_is_over_and_the_condition_says_so(self) -> None:
        found = plan(observe(make_run(status=self.final()), self.pod(), seconds=930))
        assert condition(written(found), "EventsDelivered") == ("False", "WaitEnded")
        assert others(found) == [KILL]

    def test_a_deletion_that_failed_is_repeated(self) -> None:
        status = self.final(events={"count": 3, "delivered": True})
        after = written(plan(observe(make_run(status=status), self.pod(), seconds=31)))
        assert plan(observe(make_run(status=after.to_dict()), self.pod(), seconds=40)) == Plan((KILL,))
        assert plan(observe(make_run(status=after.to_dict()), self.pod(), seconds=40, gone=True)) == Plan()

    def test_a_pod_that_has_not_ended_is_killed_at_once(self) -> None:
        pod = pulling("ImagePullBackOff", "not found")
        assert plan(observe(make_run(status=self.final()), pod, seconds=31)).actions == (KILL,)

    def test_the_run_goes_when_its_time_to_live_is_over(self) -> None:
        status = self.final(events={"count": 3, "delivered": True})
        run = make_run(status=status, ttlAfterFinished="10m")
        after = written(plan(observe(run, self.pod(), seconds=31))).to_dict()
        run = make_run(status=after, ttlAfterFinished="10m")
        assert plan(observe(run, None, seconds=40)) == Plan((), at(630))
        assert plan(observe(run, None, seconds=630)) == Plan((DeleteRun(),))

    @pytest.mark.parametrize("field", ["ttlAfterFinished", "podTtlAfterFinished"])
    def test_a_time_to_live_may_be_longer_than_times_go(self, field: str) -> None:
        run = make_run(status=self.final(events={"count": 3, "delivered": True}), **{field: "9999999999999999999h"})
        after = make_run(status=written(plan(observe(run, self.pod(), seconds=31))).to_dict(), **{field: "99999999h"})
        kept = field == "podTtlAfterFinished"
        assert plan(observe(after, self.pod(), seconds=40)).actions == (() if kept else (KILL,))

    def test_what_is_said_of_a_run_that_was_edited_behind_its_end_is_said_of_its_new_generation(self) -> None:
        status = self.final(events={"count": 3, "delivered": True}, observedGeneration=1)
        over = written(plan(observe(make_run(status=status), self.pod(), seconds=31)))
        metadata = make_run().metadata.model_copy(update={"generation": 2})
        edited = make_run(status=over.to_dict(), cancel=True).model_copy(update={"metadata": metadata})
        found = plan(observe(edited, self.pod(), seconds=40))
        after = written(found)
        assert {item.observed_generation for item in after.conditions} == {after.observed_generation} == {2}
        assert [(item.type, item.status) for item in after.conditions] == [
            (item.type, item.status) for item in over.conditions
        ]
        assert (after.phase, others(found)) == (over.phase, [KILL])
        again = edited.model_copy(update={"status": after})
        assert plan(observe(again, self.pod(), seconds=41)) == Plan((KILL,))

    def test_neither_cancel_nor_suspend_changes_what_has_ended(self) -> None:
        run = make_run(status=self.final(), cancel=True, suspend=True)
        assert plan(observe(run, self.pod(), seconds=31)).actions == ()
