"""The parts of a run out of the events of its pod."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.overhead.phases import JOB_CONTAINERS, PHASES, RUN_CONTAINERS, phase_seconds
from benchmarks.overhead.watch_log import PODS, RUNS, WatchEvent


def pod(at: float, *, init: dict[str, str] | None = None, main: dict[str, str] | None = None) -> WatchEvent:
    def statuses(states: dict[str, str] | None) -> list[dict[str, Any]]:
        return [{"name": name, "state": {state: {}}} for name, state in (states or {}).items()]

    status = {"initContainerStatuses": statuses(init), "containerStatuses": statuses(main)}
    return WatchEvent(at, PODS, "MODIFIED", {"metadata": {"name": "p"}, "status": status})


def test_the_parts_of_a_run_are_cut_where_its_containers_end() -> None:
    seen = [
        WatchEvent(10.5, RUNS, "MODIFIED", {"metadata": {"name": "r"}}),
        pod(11.0),
        pod(12.0, init={"stage-out": "running", "stage-in": "running"}, main={"component": "waiting"}),
        pod(13.0, init={"stage-out": "running", "stage-in": "terminated"}, main={"component": "running"}),
        pod(15.0, init={"stage-out": "running", "stage-in": "terminated"}, main={"component": "terminated"}),
        pod(16.5, init={"stage-out": "terminated", "stage-in": "terminated"}, main={"component": "terminated"}),
    ]
    found = phase_seconds(10.0, 17.0, seen, RUN_CONTAINERS)
    assert found == {"start": 1.0, "input": 2.0, "component": 2.0, "output": 1.5, "finish": 0.5}
    assert list(found) == list(PHASES)
    assert sum(found.values()) == 7.0


def test_the_upload_of_a_job_is_its_main_container() -> None:
    seen = [
        pod(1.0, init={"download": "terminated", "component": "terminated"}, main={"upload": "running"}),
        pod(3.0, init={"download": "terminated", "component": "terminated"}, main={"upload": "terminated"}),
    ]
    assert phase_seconds(0.0, 4.0, seen, JOB_CONTAINERS) == {
        "start": 1.0, "input": 0.0, "component": 0.0, "output": 2.0, "finish": 1.0,
    }  # fmt: skip


def test_a_pod_event_that_comes_after_the_end_costs_nothing() -> None:
    seen = [
        pod(1.0),
        pod(2.5, init=dict.fromkeys(("stage-in", "stage-out"), "terminated"), main={"component": "terminated"}),
    ]
    found = phase_seconds(0.0, 2.0, seen, RUN_CONTAINERS)
    assert found["finish"] == 0.0
    assert sum(found.values()) == 2.0


def test_a_container_that_was_never_seen_to_end_is_named() -> None:
    with pytest.raises(ValueError, match="stage-in"):
        phase_seconds(0.0, 2.0, [pod(1.0)], RUN_CONTAINERS)


def test_a_run_without_a_pod_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pod"):
        phase_seconds(0.0, 2.0, [], RUN_CONTAINERS)
