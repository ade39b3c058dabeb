"""The stages in which KWOK updates the status of pods, as a kubelet does."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
import yaml

from benchmarks.throughput.simulation.stages import STAGE_OUT, STEPS, pod_stages

ORDER = ["waiting", "running", "terminated"]


def rendered(stage: dict[str, Any]) -> str:
    return str(stage["spec"]["next"]["statusTemplate"])


def test_each_step_is_a_stage_and_the_deletion_is_one() -> None:
    names = [stage["metadata"]["name"] for stage in pod_stages()]
    assert names == [*(f"pod-{step.name}" for step in STEPS), "pod-is-deleted"]


@pytest.mark.parametrize("container", ["sidecar", "init", "main", "wait"])
def test_a_container_never_goes_back_to_an_earlier_state(container: str) -> None:
    states = [ORDER.index(getattr(step, container)) for step in STEPS]
    assert states == sorted(states)
    assert (states[0], states[-1]) == (0, 2)


def test_a_container_never_ends_before_an_update_reports_its_start() -> None:
    for before, step in itertools.pairwise(STEPS):
        for container in ("sidecar", "init", "main", "wait"):
            assert ORDER.index(getattr(step, container)) - ORDER.index(getattr(before, container)) <= 1


def test_each_step_has_selectors_of_its_own() -> None:
    selectors = [str(stage["spec"]["selector"]) for stage in pod_stages()]
    assert len(set(selectors)) == len(selectors)


def test_stage_out_leaves_something_to_publish() -> None:
    result = json.loads(STAGE_OUT)
    assert result["ok"]
    assert not result.get("empty", False)


def test_a_pod_that_is_being_deleted_takes_no_further_step() -> None:
    for stage in pod_stages()[:-1]:
        first = stage["spec"]["selector"]["matchExpressions"][0]
        assert first == {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}


def test_the_template_of_the_first_step_is_a_status() -> None:
    text = re.sub(r"{{.*?}}", "", rendered(pod_stages()[0]).replace("{{ $now | Quote }}", "now"))
    found = yaml.safe_load(text)
    assert (found["phase"], found["startTime"]) == ("Pending", "now")
    assert {item["type"] for item in found["conditions"]} == set(STEPS[0].conditions)
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
