"""What lies before a pod's failure is not the failure's own: a late node, a runtime that restarts, a lost sidecar."""

from __future__ import annotations

import ipaddress
from typing import Any, ClassVar

import pytest

from componentrun.api import names
from componentrun.core.lifecycle.plan import plan
from componentrun.core.podstatus.diagnosis import diagnose
from componentrun.core.request.network import FORBIDDEN_BLOCKS, inside
from tests.unit.core.make import (
    at,
    done_in,
    ended,
    facts,
    make_pod,
    make_run,
    observe,
    running,
    stamp,
    started_status,
    waiting,
    written,
)


def placed(seconds: float, **more: Any) -> dict[str, Any]:
    """A pod that got a node only so many seconds after it was made: one was added for it, or became free."""
    conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(seconds)}]
    return make_pod(phase="Pending", conditions=conditions, **more)


class TestANodeThatComesLate:
    @pytest.mark.parametrize(
        ("message", "reason"),
        [("dial tcp: i/o timeout", "RegistryUnavailable"), ("unexpected status: 418", "ImagePullFailed")],
    )
    def test_does_not_take_the_time_that_an_image_has(self, message: str, reason: str) -> None:
        pod = placed(120, stage_out=waiting("ErrImagePull", message), stage_in=waiting(), component=waiting())
        run = make_run(status=started_status(), retry={"limit": 0})
        found = plan(observe(run, pod, seconds=125))
        assert written(found).phase == "Pending", "the first try has failed, and the kubelet makes another one"
        assert found.wake_at is not None
        assert written(plan(observe(run, pod, seconds=181))).reason == reason

    def test_does_not_take_the_time_that_the_kubelet_has(self) -> None:
        creating = waiting("ContainerCreating")
        pod = placed(595, stage_out=creating, stage_in=creating, component=creating)
        run = make_run(status=started_status(), retry={"limit": 0})
        assert written(plan(observe(run, pod, seconds=601))).phase == "Pending"
        assert written(plan(observe(run, pod, seconds=1196))).reason == "StartFailed"


class TestARuntimeThatRestarts:
    @pytest.mark.parametrize(
        "how",
        [
            "error reading from server: read unix @->/run/containerd/containerd.sock: read: connection reset by peer",
            "transport is closing",
            'connection error: desc = "error reading from server: EOF"',
            'connection error: desc = "transport: Error while dialing: dial unix /run/c.sock: connect: no such file"',
            "server is not initialized yet",
            "failed to create containerd task: ttrpc: closed: unknown",
        ],
    )
    @pytest.mark.parametrize("code", ["rpc error: code = Unavailable desc = ", ""])
    @pytest.mark.parametrize("reason", ["CreateContainerError", "RunContainerError"])
    def test_is_waited_for(self, reason: str, code: str, how: str) -> None:
        pod = make_pod(phase="Pending", stage_out=running(), stage_in=done_in(), component=waiting(reason, code + how))
        run = make_run(status=started_status(), retry={"limit": 0})
        assert written(plan(observe(run, pod, seconds=4))).phase == "StagingIn"
        assert written(plan(observe(run, pod, seconds=70))).reason == "StartFailed"


class TestAKubeletThatRestarts:
    def test_is_waited_for(self) -> None:
        said = "services have not yet been read at least once, cannot construct envvars"
        held = waiting("CreateContainerConfigError", said)
        pod = make_pod(phase="Pending", stage_out=running(), stage_in=done_in(), component=held)
        run = make_run(status=started_status(), retry={"limit": 0})
        assert written(plan(observe(run, pod, seconds=4))).phase == "StagingIn"


class TestANodeThatWasRestarted:
    """Its kubelet asks anew whether there is room for each pod, and what it refuses loses its containers' statuses."""

    REFUSED = make_pod(phase="Failed", reason="NodeAffinity", message="Pod was rejected: Predicate NodeAffinity failed")
    RAN: ClassVar = {
        "phase": "Running",
        "phases": [{"phase": "Pending", "startTime": stamp(0)}, {"phase": "Running", "startTime": stamp(3)}],
    }

    def test_is_told_where_the_component_was_seen_to_run(self) -> None:
        ended = written(plan(observe(make_run(status=started_status(**self.RAN)), self.REFUSED, seconds=90)))
        assert (ended.phase, ended.reason) == ("Failed", "NodeLost")
        assert "was restarted and did not take the pod back (NodeAffinity: Pod was rejected" in (ended.message or "")

    def test_is_followed_by_another_attempt_where_the_run_says_so(self) -> None:
        run = make_run(status=started_status(**self.RAN), retry={"limit": 1, "afterStart": ["NodeLost"]})
        assert written(plan(observe(run, self.REFUSED, seconds=90))).reason == "Retrying"

    def test_a_pod_that_never_ran_was_refused(self) -> None:
        run = make_run(status=started_status(), retry={"limit": 0})
        assert written(plan(observe(run, self.REFUSED, seconds=5))).reason == "NodeRefused"


class TestASidecarThatIsLost:
    @pytest.mark.parametrize("how", ["ContainerStatusUnknown", "Unknown", "OOMKilled"])
    def test_does_not_hide_that_the_component_had_failed(self, how: str) -> None:
        failed = ended(1, message="column `price` is missing\n")
        pod = make_pod(stage_in=done_in(), component=failed, stage_out=ended(137, how, end=9), phase="Failed")
        found = diagnose(facts(pod))
        assert (found.reason, found.exit_code) == ("UserError", 1)
        assert "column `price` is missing" in found.message

    @pytest.mark.parametrize(("how", "reason"), [("ContainerStatusUnknown", "NodeLost"), ("OOMKilled", "OutOfMemory")])
    def test_is_what_is_told_where_the_component_was_well(self, how: str, reason: str) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=ended(137, how, end=9), phase="Failed")
        assert diagnose(facts(pod)).reason == reason


@pytest.mark.parametrize("address", ["168.63.129.16", "fd20:ce::254", "169.254.169.254", "fd00:ec2::254"])
def test_where_clouds_give_nodes_their_credentials_is_never_opened(address: str) -> None:
    assert inside(ipaddress.ip_network(address), FORBIDDEN_BLOCKS)


class TestANodeWhoseClockIsAhead:
    def test_does_not_lengthen_a_timeout(self) -> None:
        pod = make_pod(stage_in=done_in(3600), component=running(3601), stage_out=running(3599))
        pod["metadata"]["annotations"][names.TIMEOUT_ANNOTATION] = "300"
        run = make_run(status=started_status())
        found = plan(observe(run, pod, seconds=5))
        assert found.wake_at == at(305)
        seen = run.model_copy(update={"status": written(found)})
        assert written(plan(observe(seen, pod, seconds=306))).termination is not None

    def test_does_not_lengthen_the_wait_for_an_upload(self) -> None:
        ran = ended(0, start=3601, end=3611)
        pod = make_pod(stage_in=done_in(3600), component=ran, stage_out=running(3599))
        phases = [{"phase": "Pending", "startTime": stamp(0)}, {"phase": "Running", "startTime": stamp(5)}]
        run = make_run(status=started_status(phase="Running", phases=phases))
        found = plan(observe(run, pod, seconds=20))
        assert written(found).phase == "StagingOut"
        assert found.wake_at == at(15 + 660)

    def test_by_thousands_of_years_breaks_nothing(self) -> None:
        pod = make_pod(stage_in=done_in(3), component=running(5), stage_out=running(1))
        pod["status"]["initContainerStatuses"][1]["state"]["terminated"]["startedAt"] = "8999-01-01T00:00:00Z"
        assert plan(observe(make_run(status=started_status()), pod, seconds=6)).wake_at == at(3600)

    def test_by_some_seconds_as_any_clock_may_be_changes_nothing(self) -> None:
        pod = make_pod(stage_in=done_in(10), component=running(13), stage_out=running(9))
        assert plan(observe(make_run(status=started_status()), pod, seconds=5)).wake_at == at(13 + 3600)

    def test_of_an_earlier_attempt_takes_nothing_from_this_one(self) -> None:
        pod = make_pod(stage_in=done_in(60), component=running(61), stage_out=running(59))
        phases = [
            {"phase": "Running", "startTime": stamp(-500)},
            {"phase": "Pending", "startTime": stamp(0)},
            {"phase": "Running", "startTime": stamp(61)},
        ]
        found = plan(observe(make_run(status=started_status(phase="Running", phases=phases)), pod, seconds=70))
        assert found.wake_at == at(61 + 3600)


class TestANodeWhoseClockIsBehind:
    def test_does_not_take_the_components_time(self) -> None:
        pod = make_pod(stage_in=done_in(-598), component=running(-597), stage_out=running(-599))
        pod["metadata"]["annotations"][names.TIMEOUT_ANNOTATION] = "300"
        found = plan(observe(make_run(status=started_status()), pod, seconds=5))
        assert written(found).termination is None
        assert found.wake_at == at(300)

    def test_does_not_take_the_time_of_the_input(self) -> None:
        pod = make_pod(phase="Pending", stage_in=running(-3600), component=waiting(), stage_out=running(-3601))
        found = plan(observe(make_run(status=started_status()), pod, seconds=5))
        assert written(found).phase == "StagingIn"
