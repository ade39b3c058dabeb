"""Phases that are shorter than two seconds are written with the next change, and none is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from componentrun.core.lifecycle import status
from componentrun.core.lifecycle.actions import Plan
from componentrun.core.lifecycle.phases import short_seconds
from componentrun.core.lifecycle.plan import plan
from tests.unit.core.make import (
    at,
    condition,
    done_in,
    ended,
    make_pod,
    make_run,
    observe,
    running,
    started_status,
    waiting,
    written,
)

STAGING_IN = make_pod(phase="Pending", stage_out=running(), stage_in=running(2), component=waiting())
STAGED_IN = make_pod(phase="Pending", stage_out=running(), stage_in=done_in(3), component=waiting())
RUNS = make_pod(stage_in=done_in(3), component=running(4), stage_out=running())
ENDED = make_pod(stage_in=done_in(3), component=ended(start=4, end=5), stage_out=running())


def phases(found: Any) -> list[tuple[str, object]]:
    return [(item.phase, item.start_time) for item in found.phases]


@pytest.mark.parametrize(
    ("pod", "last_step"),
    [(STAGING_IN, 2), (STAGED_IN, 3), (RUNS, 4), (ENDED, 5)],
    ids=["input comes", "input is in", "component runs", "component has ended"],
)
class TestAStepOfThePod:
    def test_that_is_recent_is_not_written_but_the_run_is_planned_again_in_time(
        self, pod: dict[str, Any], last_step: float
    ) -> None:
        found = plan(observe(make_run(status=started_status()), pod, seconds=last_step + 0.5))
        assert (found.actions, found.wake_at) == ((), at(last_step + 3))

    def test_that_lasts_is_written(self, pod: dict[str, Any], last_step: float) -> None:
        """Three seconds after the kubelet's time: it rounds down to whole seconds."""
        found = plan(observe(make_run(status=started_status()), pod, seconds=last_step + 3))
        assert written(found).phases[-1].start_time <= at(last_step)

    def test_of_a_node_whose_clock_is_ahead_is_written_at_once(self, pod: dict[str, Any], last_step: float) -> None:
        found = plan(observe(make_run(status=started_status()), pod, seconds=last_step - 1))
        assert written(found).phases[-1].start_time <= at(last_step - 1)


def test_the_more_runs_have_a_pod_the_longer_is_a_short_phase() -> None:
    assert [short_seconds(runs) for runs in (0, 50, 100, 400, 10_000)] == [2, 3, 4, 10, 10]
    busy = replace(observe(make_run(status=started_status()), RUNS, seconds=9), short_seconds=short_seconds(200))
    assert plan(busy) == Plan((), at(4 + 7))
    assert written(plan(replace(busy, now=at(11)))).phase == "Running"


def test_all_phases_are_written_at_last_with_the_times_of_the_kubelet() -> None:
    found = written(plan(observe(make_run(status=started_status()), ENDED, seconds=8)))
    assert phases(found) == [("Pending", at(0)), ("StagingIn", at(1)), ("Running", at(4)), ("StagingOut", at(5))]
    assert condition(found, "StagedIn") == ("True", "StagedIn")


def test_an_operator_that_was_restarted_in_between_writes_the_same_phases() -> None:
    """It has seen none of them; another one has written the first two."""
    before = written(plan(observe(make_run(status=started_status()), RUNS, seconds=7)))
    after = written(plan(observe(make_run(status=before.to_dict()), ENDED, seconds=8)))
    assert phases(after) == phases(written(plan(observe(make_run(status=started_status()), ENDED, seconds=8))))


def test_a_cancel_is_written_at_once_with_the_phases_before_it() -> None:
    found = written(plan(observe(make_run(status=started_status(), cancel=True), RUNS, seconds=4.5)))
    assert found.termination is not None
    assert phases(found)[-1] == ("Running", at(4))


@pytest.mark.parametrize(
    "pod",
    [
        make_pod(
            phase="Pending", stage_out=running(), stage_in=done_in(3), component=waiting("ErrImagePull", "i/o timeout")
        ),
        make_pod(phase="Pending", stage_out=running(), stage_in=running(2), component=waiting("X", "who knows")),
    ],
    ids=["image", "unknown"],
)
def test_what_keeps_a_component_from_starting_is_written_at_once(pod: dict[str, Any]) -> None:
    assert "held up" in (written(plan(observe(make_run(status=started_status()), pod, seconds=3.5))).message or "")


def test_a_run_whose_gates_are_gone_leaves_the_queue_at_once() -> None:
    queued = started_status(phase="Queued", phases=[{"phase": "Queued", "startTime": at(0).isoformat()}])
    assert written(plan(observe(make_run(status=queued), STAGING_IN, seconds=2.5))).phase == "StagingIn"


def test_a_reported_time_before_the_phase_before_is_not_believed() -> None:
    """The node's clock is behind by half a minute."""
    behind = make_pod(stage_in=done_in(-27), component=running(-26), stage_out=running(-29))
    behind["metadata"]["creationTimestamp"] = at(-60).isoformat()
    pod = observe(make_run(status=started_status()), behind, seconds=4).facts
    assert pod is not None
    seen = status.observed_phase(make_run(status=started_status()), pod, at(4))
    assert phases(seen)[-1] == ("Running", at(4))


def test_the_image_that_a_kubelet_reports_is_written_with_the_next_change() -> None:
    run = make_run(status=started_status())
    new = run.status.model_copy(update={"image_digest": "x@sha256:abc"})
    assert not status.worth_a_write(run.status, new)
    later = new.model_copy(update={"start_time": at(0) + timedelta(seconds=1)})
    assert status.worth_a_write(run.status, later)
