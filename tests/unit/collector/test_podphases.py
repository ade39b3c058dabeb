"""Phases of a pod become events at once, though the operator writes short ones later, and each becomes one event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from componentrun.api import names
from componentrun.collector.events.journal import Journal
from componentrun.collector.runs import lifecycle
from componentrun.collector.runs.facts import PodFacts, RunFacts, pod_facts
from componentrun.collector.runs.podphases import with_pod_phases
from componentrun.core.redact.redactor import Redactor
from tests.unit.collector.runs import a_run, ended_run, raw_pod

NOW = datetime(2026, 11, 24, 7, 0, 30, tzinfo=UTC)
ATTEMPT = {"number": 1, "pod": "clean-1", "podUID": "pod-uid", "startTime": "2026-11-24T07:00:00.5Z"}
PENDING = [{"phase": "Pending", "startTime": "2026-11-24T07:00:00.5Z"}]
ALL = ["Pending", "StagingIn", "Running", "StagingOut"]


def second(number: int) -> str:
    return f"2026-11-24T07:00:{number:02}Z"


def state(name: str, started: int, ended: int | None = None, **more: Any) -> dict[str, Any]:
    times = {"startedAt": second(started)}
    now = {"running": times} if ended is None else {"terminated": {**times, "finishedAt": second(ended), "exitCode": 0}}
    return {"name": name, "state": now, "containerID": "c", "imageID": "c@sha256:0b", **more}


DONE = (state(names.STAGE_IN, 2, 3), state(names.COMPONENT, 4, 5))


def a_pod(*containers: dict[str, Any]) -> dict[str, PodFacts]:
    return {"pod-uid": pod_facts(raw_pod(*containers))}


def begun(**status: Any) -> RunFacts:
    return a_run(**{"phase": "Pending", "phases": PENDING, "attempts": [ATTEMPT], "image": "c:1", **status})


def phases(run: RunFacts) -> list[str]:
    return [item.phase for item in run.status.phases]


def test_a_pod_shows_how_far_its_run_is() -> None:
    run = with_pod_phases(begun(), a_pod(*DONE), NOW)
    assert phases(run) == ALL
    told = {item.params["phase"]: item for item in lifecycle.progress(run)}
    assert told["Running"].params == {
        "phase": "Running", "ended": "StagingIn", "seconds": 2, "image": "c:1", "imageID": "c@sha256:0b",
    }  # fmt: skip
    assert told["StagingOut"].attempt == 1


@pytest.mark.parametrize(
    ("run", "pods"),
    [
        (begun(), {}),
        (begun(), a_pod({"name": names.STAGE_IN, "state": {"waiting": {"reason": "PodInitializing"}}})),
        (a_run(phases=PENDING, phase="Queued"), a_pod(*DONE)),
        (begun(nextAttemptTime=second(9)), a_pod(*DONE)),
        (begun(attempts=[{**ATTEMPT, "podUID": "another"}]), a_pod(*DONE)),
        (ended_run(phases=PENDING, attempts=[ATTEMPT]), a_pod(*DONE)),
    ],
    ids=["no pod", "nothing runs", "no attempt", "between attempts", "another pod", "ended"],
)
def test_nothing_is_added_where_the_pod_says_nothing_or_the_status_says_all(run: RunFacts, pods: Any) -> None:
    assert with_pod_phases(run, pods, NOW) is run


def test_what_the_operator_has_written_is_left_as_it_is() -> None:
    written = [*PENDING, {"phase": "Running", "startTime": "2026-11-24T07:00:04.7Z"}]
    run = with_pod_phases(begun(phase="Running", phases=written), a_pod(*DONE), NOW)
    assert phases(run) == ["Pending", "Running", "StagingOut"]


def test_no_phase_begins_before_the_one_before_it_or_in_the_future() -> None:
    pods = a_pod(state(names.STAGE_IN, 0, 1), state(names.COMPONENT, 59))
    times = [item.start_time for item in with_pod_phases(begun(), pods, NOW).status.phases]
    assert times == [times[0], times[0], NOW]


@pytest.mark.parametrize("before", ["pod", "earlier release"])
def test_each_phase_is_one_event_whoever_tells_of_it_first(before: str) -> None:
    """The status gives it another time. A checkpoint of an earlier release has keys with times."""
    journal, redactor = Journal(begun()), Redactor()
    written = [*PENDING, *({"phase": phase, "startTime": second(6 + number)} for number, phase in enumerate(ALL[1:]))]
    last = begun(phase="StagingOut", phases=written)
    first = with_pod_phases(begun(), a_pod(*DONE), NOW) if before == "pod" else last
    for event in lifecycle.progress(first):
        key = event.key if before == "pod" else event.former_key or event.key
        assert journal.add_lifecycle(replace(event, key=key), redactor)
    assert not any(journal.add_lifecycle(event, redactor) for event in lifecycle.progress(last))
