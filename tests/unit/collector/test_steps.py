"""Runs with processors: whose lines are read, in which order, and what is told of each step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from componentrun.api import names
from componentrun.collector.events.journal import Journal
from componentrun.collector.readers.line import Line
from componentrun.collector.runs import lifecycle
from componentrun.collector.runs.facts import PodFacts, pod_facts
from componentrun.collector.runs.podphases import with_pod_phases
from componentrun.core.redact.redactor import Redactor
from tests.unit.collector.reading import sink_of
from tests.unit.collector.runs import a_run, container, raw_pod
from tests.unit.collector.test_podphases import begun, second, state

CHAIN = ("before-1", "to-component", "component", "to-after-1", "after-1")
STEP = {"name": "after-1", "component": "zip", "image": "r.io/zip:1", "imageID": "r.io/zip@sha256:0b"}


def line(time: int, text: str) -> Line:
    return Line(time, text.encode(), len(text), b"")


def a_pod(last: str, now: str = "terminated", code: int = 0, phase: str = "Running") -> PodFacts:
    """A pod that has come to this container, as a kubelet reports it: init containers in order, all from the start."""
    number = CHAIN.index(last)
    found = [container(name, "terminated", exitCode=0) for name in CHAIN[:number]]
    found.append(container(last, now, **({"exitCode": code} if now == "terminated" else {})))
    found += [container(name, "waiting") for name in CHAIN[number + 1 :]]
    raw = raw_pod(found[-1], phase=phase)
    raw["spec"]["initContainers"] += [{"name": name} for name in CHAIN[:-1]]
    agents = [container(names.STAGE_OUT, "running"), container(names.STAGE_IN, "terminated", exitCode=0)]
    raw["status"]["initContainerStatuses"] = [*agents, *found[:-1]]
    return pod_facts(raw)


def test_containers_are_read_in_the_order_in_which_they_run() -> None:
    assert [item.name for item in a_pod("after-1").containers] == ["stage-in", *CHAIN, "stage-out"]


def test_containers_that_others_put_into_the_pod_are_not_read() -> None:
    raw = raw_pod(
        container("istio-proxy", "running"), container("before-1-x", "running"), container("component", "running")
    )
    assert [item.name for item in pod_facts(raw).containers] == ["component"]


@pytest.mark.parametrize(
    ("pod", "may_start"),
    [
        (a_pod("before-1", "waiting"), True),
        (a_pod("before-1", "running"), True),
        (a_pod("component"), True),
        (a_pod("after-1", "waiting"), True),
        (a_pod("after-1", "running"), False),
        (a_pod("after-1"), False),
        (a_pod("before-1", code=1), False),
        (a_pod("to-after-1", code=2), False),
        (a_pod("component", phase="Failed"), False),
    ],
)
def test_more_lines_may_come_until_the_last_step_was_started_or_one_failed(pod: PodFacts, *, may_start: bool) -> None:
    assert pod.may_start is may_start


def test_it_runs_from_the_first_step_and_its_output_is_taken_after_the_last() -> None:
    chain = [state(name, 4 + 2 * number, 5 + 2 * number) for number, name in enumerate(CHAIN)]
    pods = {"pod-uid": pod_facts(raw_pod(state(names.STAGE_IN, 2, 3), *chain))}
    run = with_pod_phases(begun(), pods, datetime(2026, 11, 24, 7, 0, 30, tzinfo=UTC))
    found = {item.phase: f"{item.start_time:%S}" for item in run.status.phases}
    assert (found["Running"], found["StagingOut"]) == ("04", "13")


def test_a_step_that_failed_ends_it() -> None:
    failed = {**state("before-1", 4), "state": {"terminated": {"finishedAt": second(6), "exitCode": 1}}}
    failed["state"]["terminated"]["startedAt"] = second(4)
    waits = [{"name": name, "state": {"waiting": {}}} for name in CHAIN[1:]]
    pods = {"pod-uid": pod_facts(raw_pod(state(names.STAGE_IN, 2, 3), failed, *waits))}
    run = with_pod_phases(begun(), pods, datetime(2026, 11, 24, 7, 0, 30, tzinfo=UTC))
    assert [item.phase for item in run.status.phases][-2:] == ["Running", "StagingOut"]


def test_lines_of_a_processor_have_its_step_as_source_and_its_masks_hold() -> None:
    journal = Journal(begun())
    redactor = Redactor()
    sink = sink_of(journal, "before-1", redactor)
    journal.masks.add_pod("pod-uid", b"key", redactor)
    sink.take([line(1, "::add-mask::hush-hush"), line(2, "it is hush-hush")])
    sink.settle()
    told = [(event.source, event.message) for event in journal.take_segment().events]
    assert ("before-1", "it is [redacted]") in told


def test_the_last_words_are_those_of_the_step_that_failed() -> None:
    journal = Journal(begun())
    for name in ("component", "to-after-1", "after-1"):
        sink = sink_of(journal, name, Redactor())
        sink.take([line(1, f"from {name}")])
        sink.settle()
    assert journal.last_words("pod-uid", "after-1") == "from after-1"
    assert journal.last_words("pod-uid") is None  # another one printed later


def steps(*found: dict[str, Any]) -> list[Any]:
    run = a_run(attempts=[{"number": 2, "pod": "clean-2", "startTime": second(0)}], steps=list(found))
    return list(lifecycle.progress(run))


def test_the_end_of_each_step_is_an_event() -> None:
    ended = {**STEP, "startTime": second(4), "completionTime": second(6), "exitCode": 0}
    (event,) = steps(ended, {**STEP, "name": "after-2", "startTime": second(7)}, {**STEP, "name": "after-3"})
    assert (event.type, event.message, event.attempt) == ("info", "step after-1 (zip) ended with exit code 0", 2)
    assert event.key == "step after-1 of attempt 2"
    assert event.params == {
        "step": "after-1", "component": "zip", "image": "r.io/zip:1", "imageID": "r.io/zip@sha256:0b", "exitCode": 0,
        "seconds": 2,
    }  # fmt: skip


def test_a_step_that_failed_is_a_warning() -> None:
    (event,) = steps({**STEP, "startTime": second(4), "completionTime": second(6), "exitCode": 3})
    assert event.type == "warn"
