"""Pods that a real kubelet left behind (tests/golden/README.md): what is assumed about the API, held against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from componentrun.api.componentrun import ComponentRunStatus
from componentrun.core.limits import Limits
from componentrun.core.podstatus.diagnosis import diagnose
from componentrun.core.podstatus.facts import PodFacts, pod_facts
from componentrun.core.podstatus.reading import read_pod
from componentrun.core.podstatus.stuck import stuck
from componentrun.core.podstatus.view import ContainerView

if TYPE_CHECKING:
    from componentrun.core.podstatus.verdict import Diagnosis
    from componentrun.core.podstatus.view import PodView

SEEN = Path(__file__).parents[2] / "golden" / "seen"
ENDED = {
    "ok": ("Succeeded", "exit code 0"),
    "user-error": ("UserError", "Column `x` is missing"),
    "killed-child-of-sh": ("ApplicationError", "killed by SIGKILL"),
    "oom": ("OutOfMemory", "killed the component"),
    "oom-child-exit-0": ("OutOfMemory", "a process of the component"),
    "stage-in-oom": ("OutOfMemory", "`stage-in`"),
    "no-entrypoint": ("StartFailed", "/no/such/program"),
    "disk-full": ("DiskFull", 'EmptyDir volume "data" exceeds the limit'),
    "stage-in-refuses": ("InputNotFound", "in.c-main.foo"),
    "stage-in-crashes": ("StageInFailed", "exit code 1"),
    "stage-out-refuses": ("OutputInvalid", "bar.csv, line 3"),
    "stage-out-silent": ("StageOutFailed", "left no result"),
    "deleted-exit-0": ("PodDeleted", "spec.cancel"),
    "deleted-killed": ("PodDeleted", "spec.cancel"),
    "evicted-by-api": ("Evicted", "drained"),
    "backstop": ("Timeout", "backstop"),
}
UNKNOWN = ContainerView("any", is_reported=False)
STUCK = {
    "image-not-found": ("ImagePullFailed", "not found"),
    "image-invalid": ("ImagePullFailed", "must be lowercase"),
    "image-registry-away": ("RegistryUnavailable", "connection refused"),
    "agent-without-shell": ("StartFailed", "`stage-out`"),
    "unschedulable": ("Unschedulable", "node affinity/selector"),
    "secret-missing": ("StartFailed", "stage-out: PodInitializing"),
}


def seen(name: str) -> PodView:
    return read_pod(yaml.safe_load((SEEN / f"{name}.yaml").read_text()))


def at(pod: PodView, seconds: float) -> PodFacts:
    """The pod so many seconds after it was created."""
    return pod_facts(pod, ComponentRunStatus(), Limits(), pod.created + timedelta(seconds=seconds))


def agrees(found: Diagnosis | None, wanted: tuple[str, str]) -> None:
    assert found is not None
    assert found.reason == wanted[0]
    assert wanted[1] in found.message


@pytest.mark.parametrize("name", ENDED)
def test_a_pod_that_ended(name: str) -> None:
    pod = seen(name)
    assert at(pod, 0).has_finished
    agrees(diagnose(at(pod, 0)), ENDED[name])


@pytest.mark.parametrize("name", STUCK)
def test_a_pod_that_will_not_start(name: str) -> None:
    pod = seen(name)
    assert not at(pod, 0).has_finished
    agrees(stuck(at(pod, 601)), STUCK[name])


def test_every_recorded_pod_is_a_row() -> None:
    assert {path.stem for path in SEEN.glob("*.yaml")} == set(ENDED) | set(STUCK)


def test_the_last_words_of_a_component_that_never_ran_are_none() -> None:
    assert diagnose(at(seen("no-entrypoint"), 0)).last_words is None


def test_a_pod_that_was_deleted_while_it_ran_may_call_itself_succeeded() -> None:
    assert seen("deleted-exit-0").phase == "Succeeded"


def test_a_pod_is_not_lost_while_its_deletion_is_under_way() -> None:
    pod = replace(seen("ok"), deleted_at=seen("ok").created, component=UNKNOWN, stage_out=UNKNOWN)
    assert not at(pod, 59).has_finished
    assert at(pod, 60).has_finished
