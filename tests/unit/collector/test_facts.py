"""What is read of pods."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.api import names
from componentrun.collector.runs.facts import pod_facts, run_facts
from tests.unit.collector.runs import UID, container, raw_pod, raw_run


@pytest.mark.parametrize(
    ("status", "phase", "started", "ended"),
    [
        (container(names.COMPONENT, "waiting", reason="PodInitializing"), "Pending", False, False),
        (container(names.COMPONENT, "running"), "Running", True, False),
        (container(names.COMPONENT, "terminated", exitCode=0), "Running", True, True),
        (container(names.STAGE_OUT, "terminated", exitCode=1), "Running", True, False),
        (container(names.STAGE_OUT, "terminated", exitCode=0), "Succeeded", True, True),
        (container(names.COMPONENT, "running"), "Failed", True, True),
        (container(names.COMPONENT, "waiting"), "Failed", False, True),
    ],
)
def test_containers(status: dict[str, Any], phase: str, started: bool, ended: bool) -> None:
    (found,) = pod_facts(raw_pod(status, phase=phase)).containers
    assert (found.started, found.ended) == (started, ended)


def test_a_container_that_could_not_be_started_never_ran() -> None:
    (found,) = pod_facts(raw_pod(container(names.COMPONENT, "terminated", reason="StartError"))).containers
    assert found.never_ran


def test_foreign_containers_are_not_followed() -> None:
    assert pod_facts(raw_pod(container("istio-proxy", "running"))).containers == ()


def test_a_pod_knows_its_run() -> None:
    pod = pod_facts(raw_pod())
    assert (pod.run, pod.run_uid, pod.deleting) == ("clean", UID, False)


def test_the_storage_in_use_counts_before_the_one_that_was_asked_for() -> None:
    raw = raw_run(storage="main")
    raw["spec"]["storage"] = "other"
    assert run_facts(raw).storage == "main"
    del raw["status"]["storage"]
    assert run_facts(raw).storage == "other"


def test_a_run_without_a_status_has_not_ended() -> None:
    raw = raw_run()
    del raw["status"]
    run = run_facts(raw)
    assert not run.ended
    assert not run.delivered
