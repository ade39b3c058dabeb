"""The status of a ComponentBuild, from its former status and what its pod says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from componentrun.api.build.componentbuild import BuildPod, BuildStep, ComponentBuild, PushedLayers
from componentrun.core.builds.lifecycle.status import (
    CANCELLED,
    MOST_PODS,
    UNWANTED,
    changes,
    failed,
    failure_of,
    followed,
    has_ended,
    is_decided,
    may_be_unwanted,
    with_pod,
)
from componentrun.core.builds.observed import BuildFailure, BuildPodState
from componentrun.errors import Reason, UserError

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)
DIGEST = "sha256:" + "d" * 64
POD = BuildPod(namespace="builds", name="build-1", uid="pod-1")
LOST = BuildFailure(Reason.NODE_LOST, "Node `n1` stopped responding.", "Run it again.", is_transient=True)
COMMAND = BuildFailure(Reason.BUILD_FAILED, "Command 1 of 1 ended with exit code 1.", "Correct it.", "last words")
FETCH = BuildStep(name="fetch", start_time=NOW, completion_time=NOW, exit_code=0)


def build(status: dict[str, Any] | None = None, generation: int = 1) -> ComponentBuild:
    return ComponentBuild.model_validate(
        {
            "metadata": {
                "name": "build-1",
                "namespace": "team",
                "uid": "uid-1",
                "generation": generation,
                "creationTimestamp": "2026-12-03T11:59:00Z",
            },
            "spec": {
                "component": "app",
                "git": {"url": "https://git.example.com/team/app", "commit": "a" * 40},
                "parent": "registry.example.com/base@sha256:" + "b" * 64,
                "platform": "linux/amd64",
                "folder": "/code",
                "target": "registry.example.com/builds/team/app",
            },
            "status": status or {},
        }
    )


def at_work(attempts: int = 1) -> ComponentBuild:
    """A build whose pod was created."""
    made = build()
    for number in range(attempts):
        pod = POD.model_copy(update={"uid": f"pod-{number + 1}"})
        made = made.model_copy(update={"status": with_pod(made, pod, NOW - timedelta(minutes=1))})
    return made


def outcome(status: Any) -> tuple[str, str]:
    (condition,) = status.conditions
    assert condition.type == "Succeeded"
    assert (condition.reason, condition.message) == (status.reason, status.message)
    return condition.status, condition.reason


def test_a_build_with_a_pod_is_pending() -> None:
    status = with_pod(build(generation=3), POD, NOW)
    assert (status.phase, status.attempts, status.start_time, status.pod) == ("Pending", 1, NOW, POD)
    assert outcome(status) == ("Unknown", "Building")
    assert status.observed_generation == 3
    assert not has_ended(status)


def test_the_next_pod_keeps_the_time_of_the_first_and_begins_with_no_steps() -> None:
    first = at_work()
    first = first.model_copy(update={"status": followed(first, BuildPodState("Building", (FETCH,)), NOW)})
    again = POD.model_copy(update={"uid": "pod-2"})
    status = with_pod(first, again, NOW)
    assert (status.phase, status.attempts, status.start_time) == ("Pending", 2, NOW - timedelta(minutes=1))
    assert (status.pod, status.steps) == (again, ())


@pytest.mark.parametrize("phase", ["Pending", "Fetching", "Building", "Pushing"])
def test_a_pod_at_work_gives_its_phase(phase: Any) -> None:
    made = at_work()
    state = BuildPodState(phase, (FETCH,))
    assert not is_decided(made, state)
    status = followed(made, state, NOW)
    assert (status.phase, status.steps) == (phase, (FETCH,))
    assert outcome(status) == ("Unknown", "Building")
    assert status.message


def test_a_look_that_finds_nothing_new_changes_nothing() -> None:
    made = at_work()
    state = BuildPodState("Building", (FETCH,))
    made = made.model_copy(update={"status": followed(made, state, NOW)})
    assert changes(made.status, followed(made, state, NOW + timedelta(seconds=9))) == {}


def test_an_image_is_the_end() -> None:
    made = at_work()
    pushed = PushedLayers(sent_bytes=5)
    state = BuildPodState("Succeeded", (FETCH,), DIGEST, pushed)
    assert is_decided(made, state)
    status = followed(made, state, NOW)
    assert (status.phase, status.digest, status.pushed, status.completion_time) == ("Succeeded", DIGEST, pushed, NOW)
    assert outcome(status) == ("True", "Succeeded")
    assert DIGEST in (status.message or "")
    assert has_ended(status)
    assert status.digest is not None


def test_a_failure_is_the_end() -> None:
    made = at_work()
    state = BuildPodState("Failed", (FETCH,), failure=COMMAND)
    assert is_decided(made, state)
    status = followed(made, state, NOW)
    assert (status.phase, status.completion_time, status.digest) == ("Failed", NOW, None)
    assert (status.message, status.advice, status.last_words) == (COMMAND.message, "Correct it.", "last words")
    assert outcome(status) == ("False", "BuildFailed")
    assert has_ended(status)
    assert status.digest is None


@pytest.mark.parametrize(("attempts", "is_end"), [(1, False), (MOST_PODS - 1, False), (MOST_PODS, True)])
def test_a_lost_pod_is_the_end_only_after_several(attempts: int, is_end: bool) -> None:
    state = BuildPodState("Failed", failure=LOST, is_gone=True)
    assert is_decided(at_work(attempts), state) == is_end


def test_the_message_about_lost_pods_has_their_number() -> None:
    status = followed(at_work(MOST_PODS), BuildPodState("Failed", failure=LOST, is_gone=True), NOW)
    assert status.message == "3 pods of the build were lost. The last one: Node `n1` stopped responding."
    assert outcome(status) == ("False", "NodeLost")


@pytest.mark.parametrize("failure", [CANCELLED, UNWANTED])
def test_a_cancelled_build_has_a_phase_of_its_own(failure: BuildFailure) -> None:
    made = at_work()
    made = made.model_copy(update={"status": followed(made, BuildPodState("Building", (FETCH,)), NOW)})
    status = failed(made, failure, NOW)
    assert (status.phase, status.steps) == ("Cancelled", (FETCH,))
    assert outcome(status) == ("False", "BuildCancelled")
    assert has_ended(status)
    assert status.digest is None


def test_an_error_before_the_pod_is_a_failure_with_its_advice() -> None:
    error = UserError("Secret `s` does not exist", Reason.SOURCE_UNAVAILABLE, advice="Create it.")
    assert failure_of(error) == BuildFailure(Reason.SOURCE_UNAVAILABLE, "Secret `s` does not exist", "Create it.")
    assert failure_of(error, Reason.POD_REJECTED).reason is Reason.POD_REJECTED


def test_long_texts_are_cut() -> None:
    long = BuildFailure(Reason.BUILD_FAILED, "m" * 100_000, last_words="begin" + "w" * 100_000 + "end")
    status = failed(at_work(), long, NOW)
    assert len(status.message or "") == 8_000
    assert len(status.last_words or "") == 4_000
    assert (status.last_words or "").endswith("end")


@pytest.mark.parametrize(("seconds", "expected"), [(0, False), (29, False), (30, True), (300, True)])
def test_a_new_build_goes_on_although_nobody_waits(seconds: int, expected: bool) -> None:
    created = datetime(2026, 12, 3, 11, 59, tzinfo=UTC)
    assert may_be_unwanted(build(), created + timedelta(seconds=seconds)) == expected


def test_changes_name_what_is_removed() -> None:
    made = at_work()
    state = BuildPodState("Failed", failure=COMMAND)
    ended = followed(made, state, NOW)
    anew = ended.model_copy(update={"advice": None, "last_words": None})
    assert changes(ended, anew) == {"advice": None, "lastWords": None}


def test_fields_of_a_newer_release_stay() -> None:
    made = build({"cachedLayers": 3})
    assert "cachedLayers" not in changes(made.status, with_pod(made, POD, NOW))
