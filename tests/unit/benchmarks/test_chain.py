"""The parts of a run out of the events of its pod."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.chain import JOB_CHAIN, PARTS, RUN_CHAIN, parts
from benchmarks.journal import PODS, RUNS, Seen


def pod(at: float, *, init: dict[str, str] | None = None, main: dict[str, str] | None = None) -> Seen:
    def statuses(states: dict[str, str] | None) -> list[dict[str, Any]]:
        return [{"name": name, "state": {state: {}}} for name, state in (states or {}).items()]

    status = {"initContainerStatuses": statuses(init), "containerStatuses": statuses(main)}
    return Seen(at, PODS, "MODIFIED", {"metadata": {"name": "p"}, "status": status})


def test_the_parts_of_a_run_are_cut_where_its_containers_end() -> None:
    seen = [
        Seen(10.5, RUNS, "MODIFIED", {"metadata": {"name": "r"}}),
        pod(11.0),
        pod(12.0, init={"stage-out": "running", "stage-in": "running"}, main={"component": "waiting"}),
        pod(13.0, init={"stage-out": "running", "stage-in": "terminated"}, main={"component": "running"}),
        pod(15.0, init={"stage-out": "running", "stage-in": "terminated"}, main={"component": "terminated"}),
        pod(16.5, init={"stage-out": "terminated", "stage-in": "terminated"}, main={"component": "terminated"}),
    ]
    found = parts(10.0, 17.0, seen, RUN_CHAIN)
    assert found == {"start": 1.0, "input": 2.0, "component": 2.0, "output": 1.5, "finish": 0.5}
    assert list(found) == list(PARTS)
    assert sum(found.values()) == 7.0


def test_the_upload_of_a_job_is_its_main_container() -> None:
    seen = [
        pod(1.0, init={"download": "terminated", "component": "terminated"}, main={"upload": "running"}),
        pod(3.0, init={"download": "terminated", "component": "terminated"}, main={"upload": "terminated"}),
    ]
    assert parts(0.0, 4.0, seen, JOB_CHAIN) == {
        "start": 1.0, "input": 0.0, "component": 0.0, "output": 2.0, "finish": 1.0,
    }  # fmt: skip


def test_a_pod_event_that_comes_after_the_end_costs_nothing() -> None:
    seen = [
        pod(1.0),
        pod(2.5, init=dict.fromkeys(("stage-in", "stage-out"), "terminated"), main={"component": "terminated"}),
    ]
    found = parts(0.0, 2.0, seen, RUN_CHAIN)
    assert found["finish"] == 0.0
    assert sum(found.values()) == 2.0


def test_a_container_that_was_never_seen_to_end_is_named() -> None:
    with pytest.raises(ValueError, match="stage-in"):
        parts(0.0, 2.0, [pod(1.0)], RUN_CHAIN)


def test_a_run_without_a_pod_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pod"):
        parts(0.0, 2.0, [], RUN_CHAIN)
