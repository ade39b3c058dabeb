"""Pods with processors: which step decides, in phase, reason, message, timeout, and what is done about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.componentrun import Termination
from componentrun.core.lifecycle.actions import DeletePod, WriteStatus
from componentrun.core.lifecycle.cleanup import KILL_GRACE_SECONDS
from componentrun.core.lifecycle.plan import plan
from componentrun.core.lifecycle.status import attempt_started
from componentrun.core.podstatus.diagnosis import diagnose
from componentrun.core.podstatus.reading import read_pod
from componentrun.core.podstatus.results import CUT_MARK
from componentrun.core.podstatus.stuck import stuck
from componentrun.core.podstatus.view import ContainerView, decisive_step
from componentrun.core.request.resolve import resolve
from componentrun.errors import Reason
from componentrun.wire.agents import to_json
from componentrun.wire.chain import StepResult
from tests.unit.core.make import (
    CHAIN,
    CHAIN_NAMES,
    NOW,
    at,
    done_out,
    ended,
    facts,
    make_chain,
    make_component,
    make_run,
    observe,
    running,
    saved_out,
    started_status,
    waiting,
    written,
)

KILL = KILL_GRACE_SECONDS
REFUSED = to_json(StepResult(ok=False, reason="OutputInvalid", message="out: found a symbolic link, expected a folder"))


def through(last: str, state: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Every step until this one has ended with 0, one after another, three seconds each; this one is in `state`."""
    states = {}
    for number, name in enumerate(CHAIN_NAMES):
        begin = 3 + 3 * number
        states[name] = ended(start=begin, end=begin + 2)
        if name == last:
            states[name] = state or states[name]
            break
    return states


class TestPhase:
    @pytest.mark.parametrize(
        ("states", "phase"),
        [
            ({}, "StagingIn"),
            (through("before-1", running(3)), "Running"),
            (through("before-1"), "Running"),
            (through("to-component", running(6)), "Running"),
            (through("component", running(9)), "Running"),
            (through("component"), "Running"),
            (through("after-1", running(15)), "Running"),
            (through("after-1"), "StagingOut"),
            (through("before-1", ended(1)), "StagingOut"),
            (through("to-component", ended(2)), "StagingOut"),
        ],
    )
    def test_is_running_from_the_first_step_to_the_last_or_the_one_that_failed(
        self, states: dict[str, Any], phase: str
    ) -> None:
        assert facts(make_chain(states)).phase == phase

    def test_times_are_those_of_the_first_and_the_last_step(self) -> None:
        pod = facts(make_chain(through("after-1")), seconds=30)
        assert pod.programs_began_at == at(3)
        assert pod.component.finished_at == at(17)

    def test_the_component_counts_as_started_once_a_processor_was(self) -> None:
        assert not facts(make_chain({}, stage_in=ended(1))).may_have_run_component
        assert facts(make_chain(through("before-1"))).may_have_run_component


ENDS: list[tuple[str, dict[str, Any], dict[str, Any], Reason, str]] = [
    (
        "all well",
        through("after-1"),
        {"stage_out": done_out(), "phase": "Succeeded"},
        Reason.SUCCEEDED,
        "The component and its processors ended with exit code 0.",
    ),
    (
        "a processor refuses its input",
        through("before-1", ended(1, message="bar.csv: not a zip file")),
        {"stage_out": done_out(), "phase": "Failed"},
        Reason.USER_ERROR,
        "Processor `unzip` (before-1) ended with exit code 1: bar.csv: not a zip file",
    ),
    (
        "a processor refuses its input and says nothing",
        through("after-1", ended(1)),
        {"stage_out": done_out()},
        Reason.USER_ERROR,
        "Processor `zip` (after-1) ended with exit code 1 and printed nothing.",
    ),
    (
        "a processor has a defect",
        through("after-1", ended(139, message="core dumped")),
        {"stage_out": done_out()},
        Reason.APPLICATION_ERROR,
        "Processor `zip` (after-1) ended with exit code 139 (killed by SIGSEGV).",
    ),
    (
        "the component fails as an init container",
        through("component", ended(1, message="no such table")),
        {"stage_out": done_out(), "phase": "Failed"},
        Reason.USER_ERROR,
        "The component ended with exit code 1: no such table",
    ),
    (
        "a processor was killed for memory",
        through("after-1", ended(137, "OOMKilled")),
        {"stage_out": done_out()},
        Reason.OUT_OF_MEMORY,
        "The kernel killed processor `zip` (after-1) for using more memory than its limit (exit code 137",
    ),
    (
        "a child of a processor was killed for memory, and the next steps were started all the same",
        through("after-1") | {"before-1": ended(0, "OOMKilled")},
        {"stage_out": done_out(), "phase": "Succeeded"},
        Reason.OUT_OF_MEMORY,
        "The kernel killed a process of processor `unzip` (before-1)",
    ),
    (
        "the same, and the component failed because of what was missing",
        through("component", ended(1, message="empty")) | {"before-1": ended(0, "OOMKilled")},
        {"stage_out": done_out()},
        Reason.OUT_OF_MEMORY,
        "The kernel killed a process of processor `unzip` (before-1)",
    ),
    (
        "an agent between two steps was killed for memory",
        through("to-after-1", ended(137, "OOMKilled")),
        {"stage_out": done_out()},
        Reason.OUT_OF_MEMORY,
        "The kernel killed `to-after-1` for using more memory than its limit. This is up to the platform team",
    ),
    (
        "what a step left can't be given to the next one",
        through("to-after-1", ended(1, message=REFUSED)),
        {"stage_out": done_out()},
        Reason.OUTPUT_INVALID,
        "Preparing the data folder for processor `zip` (after-1) failed: out: found a symbolic link",
    ),
    (
        "an agent between two steps left nothing",
        through("to-component", ended(2, message="Killed")),
        {"stage_out": done_out()},
        Reason.STAGE_IN_FAILED,
        "Preparing the data folder for the component failed: `to-component` ended with exit code 2",
    ),
    (
        "a processor that can't be started",
        through("after-1", ended(128, "StartError", 'exec: "/zip": no such file or directory')),
        {"stage_out": done_out()},
        Reason.START_FAILED,
        "Container `after-1` could not be started (StartError)",
    ),
    (
        "a processor for another kind of machine",
        through("after-1", ended(255, message="exec /zip: exec format error")),
        {"stage_out": done_out()},
        Reason.START_FAILED,
        "The program of processor `zip` (after-1) `/zip` can't be run (exec format error)",
    ),
    (
        "the node went away between two steps",
        through("to-component"),
        {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]},
        Reason.NODE_LOST,
        "while the pod was on it",
    ),
    (
        "a step that the kubelet no longer found",
        through("component", ended(137, "ContainerStatusUnknown")),
        {"phase": "Failed"},
        Reason.NODE_LOST,
        "stopped responding, or went away",
    ),
    (
        "somebody deleted the pod while a processor ran",
        through("before-1", ended(143, end=20)),
        {"deleted": (10, 30), "stage_out": done_out(40), "phase": "Failed"},
        Reason.POD_DELETED,
        "Somebody deleted pod `daily-1`",
    ),
    (
        "stage-out refused what the last processor left",
        through("after-1"),
        {"stage_out": saved_out(1), "phase": "Succeeded"},
        Reason.OUTPUT_MISSING,
        "The output was refused",
    ),
]


@pytest.mark.parametrize(("states", "more", "reason", "words"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_how_it_ended(states: dict[str, Any], more: dict[str, Any], reason: Reason, words: str) -> None:
    found = diagnose(facts(make_chain(states, **more), seconds=60))
    assert found.reason is reason
    assert words in found.message


class TestLastWords:
    def test_are_those_of_the_step_that_failed(self) -> None:
        found = diagnose(facts(make_chain(through("after-1", ended(1, message="not this one")), stage_out=done_out())))
        assert (found.exit_code, found.last_words, found.container) == (1, "not this one", "after-1")

    def test_are_marked_where_the_kubelet_had_no_room_for_the_end(self) -> None:
        """12 KiB in equal shares: seven containers have 1,755 bytes each."""
        words = "x" * (12 * 1024 // 7)
        found = diagnose(facts(make_chain(through("component", ended(2, message=words)), stage_out=done_out())))
        assert found.last_words is not None
        # So the collector's words, which are whole, take their place.
        assert found.last_words.startswith(CUT_MARK)
        assert found.last_words.endswith(CUT_MARK)

    def test_are_not_an_agents(self) -> None:
        pod = make_chain(through("to-after-1", ended(1, message=REFUSED)), stage_out=done_out())
        found = diagnose(facts(pod))
        assert (found.exit_code, found.last_words) == (0, None)


class TestTimeout:
    @pytest.mark.parametrize(("step", "timeout"), [("before-1", 300), ("component", 3600), ("after-1", 600)])
    def test_is_each_steps_own(self, step: str, timeout: int) -> None:
        pod = make_chain(through(step, running(100)))
        assert facts(pod).timeout_at == at(100 + timeout)

    @pytest.mark.parametrize("states", [{}, through("before-1"), through("to-component", running(6))])
    def test_is_not_an_agents_nor_a_gaps(self, states: dict[str, Any]) -> None:
        assert facts(make_chain(states)).timeout_at is None

    def test_stops_the_run_and_names_the_processor(self) -> None:
        run = make_run(status=started_status())
        found = plan(observe(run, make_chain(through("after-1", running(100))), seconds=701))
        termination = written(found).termination
        assert termination is not None
        assert termination.reason == Reason.TIMEOUT
        assert termination.message.startswith("Processor `zip` (after-1) ran longer than its timeout of 10m00s.")
        assert any(isinstance(action, DeletePod) for action in found.actions)

    def test_says_how_the_processor_then_ended(self) -> None:
        termination = Termination(reason="Timeout", message="It ran too long.", time=NOW)
        pod = make_chain(through("after-1", ended(137)), stage_out=done_out(), deleted=(10, 30))
        assert diagnose(facts(pod), termination=termination).message == (
            "It ran too long. It ended with exit code 137 (killed by SIGKILL)."
        )


class TestBetweenTwoSteps:
    def test_it_waits_as_long_as_for_stage_in(self) -> None:
        pod = make_chain(through("before-1"))  # ended at second 5
        assert stuck(facts(pod, seconds=3604)) is None
        found = stuck(facts(pod, seconds=3606))
        assert found is not None
        assert found.reason is Reason.START_FAILED
        assert found.message.startswith("`to-component` has not started, 3601 s after the step before ended")

    def test_a_step_whose_image_can_not_be_pulled_is_found_soon(self) -> None:
        refused = waiting("ErrImagePull", "zip: not found")
        pod = make_chain(through("to-after-1") | {"after-1": refused})  # the agent ended at second 14
        assert stuck(facts(pod, seconds=23)) is None
        found = stuck(facts(pod, seconds=24))
        assert found is not None
        assert found.reason is Reason.IMAGE_PULL_FAILED
        assert "The image of processor `zip` (after-1) can't be pulled (ErrImagePull): zip: not found" in found.message

    def test_an_agent_that_does_not_come_to_an_end_is_not_waited_for(self) -> None:
        pod = make_chain(through("to-component", running(6)))
        assert stuck(facts(pod, seconds=3500)) is None
        found = stuck(facts(pod, seconds=3700))
        assert found is not None
        assert "`to-component` still runs, 3695 s after the last step ended" in found.message

    def test_a_step_that_is_not_started_ends_the_run_after_its_pod(self) -> None:
        """A program has run: no other attempt, and what it left may be published even if the run fails."""
        run = make_run(status=started_status(), retry={"limit": 3})
        refused = waiting("InvalidImageName", "no name")
        found = plan(observe(run, make_chain(through("to-after-1") | {"after-1": refused}), seconds=20))
        assert written(found).phase == "Running"
        termination = written(found).termination
        assert termination is not None
        assert termination.reason == Reason.IMAGE_PULL_FAILED
        assert [action.grace_seconds for action in found.actions if isinstance(action, DeletePod)] == [KILL]

    def test_the_uploader_gets_its_time_if_the_component_has_left_tables_to_save(self) -> None:
        tables = [{"source": "log.csv", "destination": "out.c-main.log", "writeAlways": True}]
        run = make_run(status=started_status(), output={"tables": tables})
        refused = waiting("InvalidImageName", "no name")
        after = plan(observe(run, make_chain(through("to-after-1") | {"after-1": refused}), seconds=20))
        assert [action.grace_seconds for action in after.actions if isinstance(action, DeletePod)] == [90]
        before = plan(observe(run, make_chain(through("before-1") | {"to-component": refused}), seconds=20))
        assert [action.grace_seconds for action in before.actions if isinstance(action, DeletePod)] == [KILL]

    def test_the_message_says_what_is_prepared(self) -> None:
        run = make_run(status=started_status())
        found = plan(observe(run, make_chain(through("before-1")), seconds=30))
        assert written(found).message == (
            "The data folder is being prepared for the component, or its container is being started."
        )

    def test_a_cancel_stops_it(self) -> None:
        run = make_run(status=started_status(), cancel=True)
        found = plan(observe(run, make_chain(through("before-1")), seconds=8))
        assert written(found).termination is not None
        assert any(isinstance(action, DeletePod) for action in found.actions)


class TestWriteAlways:
    def test_tables_are_published_if_the_component_or_a_processor_after_it_failed(self) -> None:
        for last in ("component", "after-1"):
            pod = facts(make_chain(through(last, ended(1)), stage_out=saved_out()))
            assert pod.has_write_always_tables

    def test_what_lies_in_out_before_the_component_ran_is_not_the_components(self) -> None:
        pod = facts(make_chain(through("before-1", ended(1)), stage_out=saved_out()))
        assert not pod.has_write_always_tables


def started_run(**spec: Any) -> Any:
    """A run with one processor on each side whose attempt was just started."""
    spec["processors"] = {"before": [{"component": "unzip"}], "after": [{"component": "zip"}]}
    run = make_run(component="cleaner", **spec)
    known = {name: make_component(name, type="processor", image=f"r.io/{name}", tag="1") for name in ("unzip", "zip")}
    effective = resolve(run, make_component(tag="2"), "lake", None, known)
    status = attempt_started(run, effective, number=1, pod_uid="pod-uid", input_tables=[], now=NOW)
    return run.model_copy(update={"status": status})


class TestStatus:
    def test_lists_the_steps_from_the_beginning(self) -> None:
        steps = started_run().status.steps
        assert [(step.name, step.component, step.image) for step in steps] == [
            ("before-1", "unzip", "r.io/unzip:1"),
            ("component", "cleaner", "registry.example.com/team/cleaner:2"),
            ("after-1", "zip", "r.io/zip:1"),
        ]

    def test_a_run_without_processors_has_none(self) -> None:
        run = make_run()
        status = attempt_started(run, resolve(run, None, "lake"), number=1, pod_uid="u", input_tables=[], now=NOW)
        assert status.steps is None
        assert "steps" not in status.to_dict()

    def test_has_image_times_and_exit_code_of_each_step_that_was_started(self) -> None:
        found = plan(observe(started_run(), make_chain(through("component", running(9))), seconds=30))
        before, component, after = written(found).steps or ()
        assert before.image_digest == "registry.example.com/before-1@sha256:abc"
        assert (before.start_time, before.completion_time, before.exit_code) == (at(3), at(5), 0)
        assert (component.start_time, component.completion_time, component.exit_code) == (at(9), None, None)
        assert after.start_time is None
        # The run's own image is the component's, whichever step runs.
        assert written(found).image_digest == "registry.example.com/component@sha256:abc"

    def test_says_which_step_failed_when_the_run_has_ended(self) -> None:
        run = started_run()
        pod = make_chain(through("after-1", ended(3, start=15, end=17)), stage_out=done_out(), phase="Failed")
        status = written(plan(observe(run, pod, seconds=30)))
        assert (status.phase, status.exit_code) == ("Failed", 3)
        assert [step.exit_code for step in status.steps or ()] == [0, 0, 3]

    def test_says_what_runs(self) -> None:
        found = plan(observe(started_run(), make_chain(through("after-1", running(15))), seconds=30))
        assert written(found).message == "Processor `zip` (after-1) runs."

    def test_a_short_step_is_written_with_the_next_one(self) -> None:
        """As a short phase: it costs no write of its own."""
        first = written(plan(observe(started_run(), make_chain(through("before-1", running(3))), seconds=30)))
        run = started_run().model_copy(update={"status": first})
        found = plan(observe(run, make_chain(through("component", running(9))), seconds=10))
        assert not [action for action in found.actions if isinstance(action, WriteStatus)]
        assert found.wake_at is not None
        assert at(10) < found.wake_at <= at(13)


def test_a_pod_without_steps_is_read_as_before() -> None:
    view = read_pod(make_chain(through("before-1"), steps=CHAIN[1:2]))
    assert [step.name for step in view.steps] == ["component"]
    assert view.timeout_seconds == 3600


CONTAINERS = st.builds(
    lambda state, code: ContainerView("x", state=state, exit_code=code if state == "terminated" else None),
    st.sampled_from(["waiting", "running", "terminated"]),
    st.sampled_from([0, 1, 137]),
)


@given(st.lists(CONTAINERS, min_size=1, max_size=6).map(tuple))
def test_the_step_that_decides_failed_first_or_has_not_ended_or_is_the_last(steps: tuple[ContainerView, ...]) -> None:
    found = decisive_step(steps)
    before = steps[: next(i for i, step in enumerate(steps) if step is found)]
    if any(step.has_failed for step in steps):
        assert found.has_failed
        assert not any(step.has_failed for step in before)
    elif all(step.has_ended for step in steps):
        assert found is steps[-1]
    else:
        assert not found.has_ended
        assert all(step.has_ended for step in before)
