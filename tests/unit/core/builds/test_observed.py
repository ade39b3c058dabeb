"""What the pod of a build says about the build."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.build.componentbuild import PushedLayers
from componentrun.core.builds.observed import BuildFailure, BuildPodState, read_build_pod
from componentrun.reasons import Reason
from tests.unit.core.builds.podexamples import (
    DIGEST,
    NOW,
    PARENT,
    at,
    build,
    built,
    disruption,
    ended,
    fetched,
    pod,
    report,
    running,
    waiting,
)

SPEC = build().spec
DONE = report(ok=True, digest=DIGEST, sent_bytes=5, mounted_layers=3, known_layers=2, copied_layers=1)
DELETED = {"deletionTimestamp": at(20), "deletionGracePeriodSeconds": 2}
NO_SHELL = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: error during container init: exec: "/bin/sh": stat /bin/sh: no such file or '
    "directory"
)
PULL = 'failed to pull and unpack image "{image}": failed to resolve reference "{image}": '
NOT_FOUND = PULL.format(image=PARENT) + f"{PARENT}: not found"
REFUSED = (
    PULL.format(image=PARENT) + 'failed to do request: Head "https://registry.example.com/v2/": connection refused'
)
OTHER_MACHINE = PULL.format(image=PARENT) + "no match for platform in manifest: not found"


def read(raw: dict[str, Any] | None, seconds: float = 30) -> BuildPodState:
    return read_build_pod(raw, SPEC, NOW + timedelta(seconds=seconds))


def failure(state: BuildPodState) -> BuildFailure:
    assert state.phase == "Failed"
    assert state.failure is not None
    assert state.failure.message.endswith(".")
    return state.failure


class TestProgress:
    @pytest.mark.parametrize(
        ("raw", "phase"),
        [
            (pod(node=""), "Pending"),
            (pod(), "Pending"),
            (pod(waiting("fetch"), waiting("commands"), waiting("push")), "Pending"),
            (pod(running("fetch"), waiting("commands"), waiting("push")), "Fetching"),
            (pod(fetched(), waiting("commands"), waiting("push")), "Building"),
            (pod(fetched(), running("commands"), waiting("push")), "Building"),
            (pod(fetched(), built(), waiting("push")), "Pushing"),
            (pod(fetched(), built(), running("push"), phase="Running"), "Pushing"),
            (pod(fetched(), built(), ended("push", message=DONE), phase="Running"), "Succeeded"),
            (pod(fetched(), built(), ended("push", message=DONE), phase="Succeeded"), "Succeeded"),
        ],
    )
    def test_phases(self, raw: dict[str, Any], phase: str) -> None:
        state = read(raw)
        assert (state.phase, state.failure, state.is_gone) == (phase, None, False)

    def test_steps_have_their_times(self) -> None:
        state = read(pod(fetched(), ended("commands", 0, since=5, until=8), running("push", 9)))
        found = [(step.name, step.start_time, step.completion_time, step.exit_code) for step in state.steps]
        second = timedelta(seconds=1)
        assert found == [
            ("fetch", NOW + 2 * second, NOW + 4 * second, 0),
            ("commands", NOW + 5 * second, NOW + 8 * second, 0),
            ("push", NOW + 9 * second, None, None),
        ]

    @pytest.mark.parametrize(
        "later",
        [
            {},
            {"metadata": DELETED},
            {"conditions": (disruption("DeletionByPodGC"),)},
            {"phase": "Failed", "reason": "Evicted"},
            {"phase": "Failed", "reason": "DeadlineExceeded"},
        ],
    )
    def test_an_image_that_is_there_is_a_success_whatever_happens_to_the_pod(self, later: dict[str, Any]) -> None:
        state = read(pod(fetched(), built(), ended("push", message=DONE), **later))
        assert state.phase == "Succeeded"
        assert state.digest == DIGEST
        assert state.pushed == PushedLayers(sent_bytes=5, mounted_layers=3, known_layers=2, copied_layers=1)
        assert state.dependencies is None


class TestReports:
    def test_fetch_says_why_it_failed(self) -> None:
        words = report(
            ok=False, reason="SourceUnavailable", message="repository `u` has no branch `x`", advice="Push it."
        )
        found = failure(read(pod(ended("fetch", 1, words), waiting("commands"), waiting("push"))))
        assert found == BuildFailure(Reason.SOURCE_UNAVAILABLE, "Repository `u` has no branch `x`.", "Push it.")

    def test_push_says_why_it_failed_and_whether_it_may_pass(self) -> None:
        words = report(ok=False, reason="RegistryUnavailable", message="away", advice="Wait.", is_transient=True)
        found = failure(read(pod(fetched(), built(), ended("push", 1, words), phase="Failed")))
        assert (found.reason, found.is_transient, found.last_words) == (Reason.REGISTRY_UNAVAILABLE, True, None)

    def test_a_reason_of_another_release_is_internal(self) -> None:
        words = report(ok=False, reason="Invented", message="x")
        assert failure(read(pod(ended("fetch", 1, words)))).reason is Reason.INTERNAL

    @pytest.mark.parametrize("message", ["", "Traceback", report(ok=True), report(ok=True, digest="")])
    def test_a_push_without_a_digest_is_a_defect(self, message: str) -> None:
        found = failure(read(pod(fetched(), built(), ended("push", message=message), phase="Succeeded")))
        assert found.reason is Reason.INTERNAL
        assert "Step `push`" in found.message or "`push`" in found.message

    def test_fetch_without_a_report(self) -> None:
        found = failure(read(pod(ended("fetch", 139), waiting("commands"))))
        assert (found.reason, "killed by SIGSEGV" in found.message) == (Reason.INTERNAL, True)

    @pytest.mark.parametrize("later", [{"metadata": DELETED}, {"phase": "Failed", "reason": "Evicted"}])
    def test_a_report_counts_although_the_pod_is_gone(self, later: dict[str, Any]) -> None:
        words = report(ok=False, reason="PushRefused", message="no", advice="x")
        state = read(pod(fetched(), built(), ended("push", 1, words), **later))
        assert (failure(state).reason, state.is_gone) == (Reason.PUSH_REFUSED, False)


class TestCommands:
    def test_the_last_words_are_kept(self) -> None:
        words = "componentrun: step 2 of 3: make\ncc: error: \x1b[31mno input\x1b[0m\n"
        found = failure(read(pod(fetched(), ended("commands", 2, words), waiting("push"))))
        assert found.reason is Reason.BUILD_FAILED
        assert found.message == "Command 2 of 3 `make` ended with exit code 2: cc: error: no input."
        assert found.last_words == "componentrun: step 2 of 3: make\ncc: error: no input"

    def test_a_failure_that_printed_nothing(self) -> None:
        found = failure(read(pod(fetched(), ended("commands", 2), waiting("push"))))
        assert found.message == "The commands ended with exit code 2 and printed nothing."

    @pytest.mark.parametrize("step", ["fetch", "commands", "push"])
    def test_out_of_memory(self, step: str) -> None:
        before = {"fetch": (), "commands": (fetched(),), "push": (fetched(), built())}[step]
        found = failure(read(pod(*before, ended(step, 137, reason="OOMKilled"))))
        assert (found.reason, step in found.message) == (Reason.BUILD_OUT_OF_MEMORY, True)

    @pytest.mark.parametrize("later", [{"metadata": DELETED}, {"conditions": (disruption("EvictionByEvictionAPI"),)}])
    def test_a_command_that_failed_by_itself_decides_although_the_pod_is_gone(self, later: dict[str, Any]) -> None:
        state = read(pod(fetched(), ended("commands", 2, "wrong"), **later))
        assert (failure(state).reason, state.is_gone) == (Reason.BUILD_FAILED, False)

    @pytest.mark.parametrize(
        "later",
        [
            {"metadata": DELETED},
            {"metadata": DELETED, "conditions": (disruption("EvictionByEvictionAPI"),)},
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            {"phase": "Failed", "conditions": (disruption("TerminationByKubelet"),)},
        ],
    )
    def test_a_command_that_was_killed_with_its_pod_decides_nothing(self, later: dict[str, Any]) -> None:
        state = read(pod(fetched(), ended("commands", 137, since=5, until=25), **later))
        assert state.is_gone
        assert failure(state).is_transient

    def test_a_command_that_was_killed_by_somebody_else_has_failed(self) -> None:
        found = failure(read(pod(fetched(), ended("commands", 137, "x"))))
        assert (found.reason, "SIGKILL" in found.message) == (Reason.BUILD_FAILED, True)


class TestStarts:
    def test_a_parent_without_a_shell(self) -> None:
        found = failure(read(pod(fetched(), ended("commands", 128, NO_SHELL, "StartError"))))
        assert found.reason is Reason.PARENT_UNAVAILABLE
        assert found.message == f"Parent image `{PARENT}` has no shell: the commands need `/bin/sh`."
        assert found.last_words is None

    @pytest.mark.parametrize(
        ("code", "message", "reason"),
        [
            (128, 'OCI runtime create failed: exec: "/bin/sh": exec format error', "StartError"),
            (255, "exec /bin/sh: exec format error", ""),
            (1, "exec container process `/bin/sh`: Exec format error", ""),
        ],
    )
    def test_a_parent_for_another_machine(self, code: int, message: str, reason: str) -> None:
        found = failure(read(pod(fetched(), ended("commands", code, message, reason))))
        assert (found.reason, "another kind of processor" in found.message) == (Reason.PARENT_UNAVAILABLE, True)

    def test_a_command_that_prints_the_same_words_is_a_command(self) -> None:
        words = "componentrun: step 1 of 1: ./tool\n/bin/sh: 1: ./tool: Exec format error"
        assert failure(read(pod(fetched(), ended("commands", 126, words)))).reason is Reason.BUILD_FAILED

    def test_too_little_memory_for_a_start(self) -> None:
        words = "OCI runtime create failed: container init was OOM-killed (memory limit too low?)"
        found = failure(read(pod(fetched(), ended("commands", 128, words, "StartError"))))
        assert found.reason is Reason.BUILD_OUT_OF_MEMORY

    def test_our_own_container(self) -> None:
        found = failure(read(pod(ended("fetch", 128, "no such file", "StartError"))))
        assert (found.reason, "platform team" in found.advice) == (Reason.START_FAILED, True)


class TestImages:
    def state(self, reason: str, message: str, seconds: float, step: str = "commands") -> BuildPodState:
        before = () if step == "fetch" else (fetched(),)
        return read(pod(*before, waiting(step, reason, message), waiting("push")), seconds)

    @pytest.mark.parametrize(
        ("reason", "message", "seconds", "decides"),
        [
            ("ErrImagePull", NOT_FOUND, 5, False),
            ("ErrImagePull", NOT_FOUND, 15, True),
            ("ImagePullBackOff", NOT_FOUND, 5, True),
            ("ErrImagePull", REFUSED, 60, False),
            ("ImagePullBackOff", REFUSED, 63, False),
            ("ImagePullBackOff", REFUSED, 65, True),
            ("InvalidImageName", "x", 4, True),
        ],
    )
    def test_how_long_an_image_is_waited_for(self, reason: str, message: str, seconds: float, *, decides: bool) -> None:
        """From the end of fetch, 4 s after the pod's creation: a refusal has a second chance, an outage a minute."""
        state = self.state(reason, message, seconds)
        assert (state.phase == "Failed") is decides
        if not decides:
            assert state.phase == "Building"
            assert state.look_again_at is not None
            assert self.state(reason, message, (state.look_again_at - NOW).total_seconds()).phase == "Failed"

    def test_an_image_that_does_not_exist(self) -> None:
        found = failure(self.state("ImagePullBackOff", NOT_FOUND, 30))
        assert (found.reason, found.is_transient) == (Reason.PARENT_UNAVAILABLE, False)
        assert found.message.startswith(f"Parent image `{PARENT}` can't be pulled (ImagePullBackOff): Repository ")

    def test_an_image_for_another_machine(self) -> None:
        found = failure(self.state("ImagePullBackOff", OTHER_MACHINE, 30))
        assert found.reason is Reason.PARENT_UNAVAILABLE
        assert "podTemplate" not in found.advice

    def test_a_registry_that_is_away(self) -> None:
        found = failure(self.state("ImagePullBackOff", REFUSED, 90))
        assert (found.reason, found.is_transient) == (Reason.REGISTRY_UNAVAILABLE, True)
        assert "connection refused" in found.message

    def test_our_own_image(self) -> None:
        found = failure(self.state("ImagePullBackOff", NOT_FOUND, 90, "fetch"))
        assert (found.reason, "imagePullSecrets" in found.advice) == (Reason.IMAGE_PULL_FAILED, True)

    def test_a_runtime_that_is_busy_gets_time(self) -> None:
        busy = ("CreateContainerError", "context deadline exceeded")
        assert self.state(*busy, 30).phase == "Building"
        assert self.state(*busy, 90).phase == "Failed"
        assert self.state("CreateContainerError", "wrong mount", 30).phase == "Failed"


class TestThePod:
    @pytest.mark.parametrize(
        "message",
        [
            'Usage of EmptyDir volume "code" exceeds the limit "4Gi". ',
            "Pod ephemeral local storage usage exceeds the total limit of containers 16Gi. ",
            'Container commands exceeded its local ephemeral storage limit "4Gi". ',
        ],
    )
    def test_a_full_disk(self, message: str) -> None:
        evicted = {"phase": "Failed", "reason": "Evicted", "message": message}
        state = read(pod(fetched(), ended("commands", 137, "working"), **evicted))
        assert (failure(state).reason, state.is_gone) == (Reason.BUILD_DISK_FULL, False)
        assert failure(state).last_words == "working"

    @pytest.mark.parametrize(
        ("containers", "step"),
        [
            ((fetched(), ended("commands", 137, "working"), waiting("push")), "commands"),
            ((fetched(), running("commands"), waiting("push")), "commands"),
            ((ended("fetch", 137), waiting("commands")), "fetch"),
            ((fetched(), built(), ended("push", 143)), "push"),
            ((), "fetch"),
        ],
    )
    def test_a_timeout(self, containers: tuple[dict[str, Any], ...], step: str) -> None:
        state = read(pod(*containers, phase="Failed", reason="DeadlineExceeded"))
        found = failure(state)
        assert (found.reason, state.is_gone) == (Reason.BUILD_TIMEOUT, False)
        assert "timeout of 600 s" in found.message
        assert f"The last step was `{step}`" in found.message

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (None, Reason.POD_DELETED),
            (pod(fetched(), running("commands"), metadata=DELETED), Reason.POD_DELETED),
            (pod(fetched(), running("commands"), conditions=(disruption("DeletionByTaintManager"),)), Reason.NODE_LOST),
            (pod(phase="Failed", conditions=(disruption("DeletionByPodGC"),)), Reason.NODE_LOST),
            (pod(phase="Failed", reason="NodeLost"), Reason.NODE_LOST),
            (pod(running("fetch"), phase="Failed", reason="Terminated", message="node shutdown"), Reason.NODE_LOST),
            (pod(fetched(), ended("commands", 137, reason="ContainerStatusUnknown"), phase="Failed"), Reason.NODE_LOST),
            (pod(fetched(), running("commands"), conditions=(disruption("PreemptionByScheduler"),)), Reason.EVICTED),
            (pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."), Reason.EVICTED),
            (pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource"), Reason.NODE_REFUSED),
        ],
    )
    def test_a_pod_that_is_gone(self, raw: dict[str, Any] | None, reason: Reason) -> None:
        state = read(raw)
        found = failure(state)
        assert (found.reason, state.is_gone, found.is_transient) == (reason, True, True)

    def test_no_node_takes_it(self) -> None:
        unschedulable = {
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available",
        }  # fmt: skip
        raw = pod(node="", conditions=(unschedulable,))
        state = read(raw, 599)
        assert (state.phase, state.look_again_at) == ("Pending", NOW + timedelta(seconds=600))
        found = failure(read(raw, 600))
        assert (found.reason, "0/3 nodes" in found.message) == (Reason.UNSCHEDULABLE, True)

    def test_no_kubelet_starts_it(self) -> None:
        raw = pod(waiting("fetch"), waiting("commands"))
        assert read(raw, 500).phase == "Pending"
        assert failure(read(raw, 602)).reason is Reason.START_FAILED

    def test_an_unknown_end_is_told_as_seen(self) -> None:
        found = failure(read(pod(fetched(), built(), phase="Failed", reason="Strange")))
        assert (found.reason, "Strange" in found.message) == (Reason.INTERNAL, True)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
CONTAINERS = st.sampled_from(
    [
        waiting("fetch"), running("fetch"), fetched(), ended("fetch", 1, report(ok=False, reason="BuildFailed")),
        waiting("commands", "ErrImagePull", REFUSED), running("commands"), built(), ended("commands", 137, "x"),
        ended("commands", 1, "y"), waiting("push"), running("push"), ended("push", message=DONE), ended("push", 1),
    ]
)  # fmt: skip


@given(
    st.lists(CONTAINERS, max_size=3, unique_by=lambda item: str(item["name"])),
    st.sampled_from(["Pending", "Running", "Failed", "Succeeded", "Unknown"]),
    st.sampled_from(["", "Evicted", "DeadlineExceeded", "NodeLost", "Strange"]),
    st.booleans(),
    st.integers(0, 2000),
)
def test_each_state_has_one_meaning(
    containers: list[dict[str, Any]], phase: str, reason: str, is_deleted: bool, seconds: int
) -> None:
    raw = pod(*containers, phase=phase, reason=reason, metadata=DELETED if is_deleted else None)
    state = read(raw, seconds)
    assert (state.failure is not None) == (state.phase == "Failed")
    assert (state.digest is not None) == (state.phase == "Succeeded") == (state.pushed is not None)
    assert not state.is_gone or state.phase == "Failed"
    if state.phase not in {"Failed", "Succeeded"}:
        assert phase not in {"Failed", "Succeeded"}, "a pod that has ended is not waited for"
        assert state.look_again_at is None or state.look_again_at > NOW + timedelta(seconds=seconds)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), ANYTHING, max_size=3))
def test_no_object_makes_reading_fail(raw: dict[str, Any]) -> None:
    read(raw)
