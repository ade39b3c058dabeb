"""A pod is sorted once for a plan: each question has one place, each message is parsed once, and there is one clock."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from componentrun.core.lifecycle.plan import plan
from componentrun.core.podstatus import results
from componentrun.errors import Reason
from tests.unit.core.make import (
    STAGED_IN,
    STAGED_OUT,
    at,
    done_out,
    ended,
    facts,
    make_pod,
    make_run,
    observe,
    running,
    saved_out,
    stamp,
    started_status,
    waiting,
    written,
)

CORE = Path(__file__).parents[3] / "operator" / "componentrun" / "core"
STAGED = ended(message=STAGED_IN, start=2, end=4)


def reached(phase: str, *times: tuple[str, float], **more: Any) -> dict[str, Any]:
    """The status of a run whose phases were observed at these times."""
    phases = [{"phase": name, "startTime": stamp(time)} for name, time in (("Pending", 0), *times)]
    return started_status(phase=phase, phases=phases, **more)


LIFE = [
    ("staging in", make_pod(stage_out=running(1), stage_in=running(2), component=waiting(), phase="Pending"), 0, 0),
    ("input is in", make_pod(stage_out=running(1), stage_in=STAGED, component=waiting(), phase="Pending"), 1, 0),
    ("running", make_pod(stage_out=running(1), stage_in=STAGED, component=running(5)), 1, 0),
    ("uploading", make_pod(stage_out=running(1), stage_in=STAGED, component=ended(start=5, end=8)), 1, 0),
    ("succeeded", make_pod(stage_out=done_out(9), stage_in=STAGED, component=ended(), phase="Succeeded"), 1, 1),
    ("failed", make_pod(stage_out=saved_out(end=9), stage_in=STAGED, component=ended(1), phase="Failed"), 1, 1),
    (
        "lost its node",
        make_pod(stage_out=ended(137, "Unknown"), stage_in=STAGED, component=ended(137, "Unknown")),
        1,
        1,
    ),
]


class Parsed(Counter[type]):
    """How often which result was parsed."""

    def from_json(self, kind: type, text: str) -> Any:
        self[kind] += 1
        return parse(kind, text)


parse = results.from_json


@pytest.mark.parametrize(
    "status", [reached("StagingIn", ("StagingIn", 2)), {"stopped": True}], ids=["goes on", "stopped"]
)
@pytest.mark.parametrize(("pod", "inputs", "outputs"), [pytest.param(*row[1:], id=row[0]) for row in LIFE])
def test_a_plan_parses_each_agents_message_once(
    monkeypatch: pytest.MonkeyPatch, pod: dict[str, Any], inputs: int, outputs: int, status: dict[str, Any]
) -> None:
    """With the reading of the pod: the plan itself parses nothing."""
    if "stopped" in status:
        termination = {"reason": "Timeout", "message": "Too long.", "time": stamp(9)}
        status = reached("Running", ("StagingIn", 2), ("Running", 5), termination=termination)
    parsed = Parsed()
    monkeypatch.setattr(results, "from_json", parsed.from_json)
    results._read_stage_in.cache_clear()
    results._read_stage_out.cache_clear()
    observed = observe(make_run(status=status), pod)
    assert (parsed[results.StageInResult], parsed[results.StageOutResult]) == (inputs, outputs)
    plan(observed)
    assert parsed.total() == inputs + outputs


def test_whether_a_container_started_or_ended_is_decided_in_one_module() -> None:
    asks = re.compile(r"\.state\s*(==|!=|in)\s|stage_(in|out)_result\(")
    paths = {path.relative_to(CORE).as_posix(): path for path in CORE.rglob("*.py")}
    # Builds have pods of their own, and other things with a `state`.
    asking = {name for name, path in paths.items() if asks.search(path.read_text()) and not name.startswith("builds/")}
    assert asking == {"podstatus/reading.py", "podstatus/results.py", "podstatus/view.py"}


class TestANodeWhoseClockIsAMinuteAhead:
    """Times of its containers are corrected by when the operator saw them; the API server's are right as they are."""

    STATUS = reached("Running", ("StagingIn", 2), ("Running", 5))
    STAGED = ended(message=STAGED_IN, start=62, end=64)

    def test_has_its_containers_times_corrected_for_every_rule(self) -> None:
        pod = facts(make_pod(stage_in=self.STAGED, component=running(65), stage_out=running(61)), self.STATUS)
        assert (pod.stage_in.started_at, pod.stage_in.finished_at, pod.component.started_at) == (at(2), at(4), at(5))

    def test_does_not_make_a_failure_before_a_deletion_look_like_its_consequence(self) -> None:
        """The component fails after 20 s, which its node calls 80; somebody deletes the pod after 40 s."""
        failed = ended(1, message="ValueError: no such column", start=65, end=80)
        uploaded = ended(message=STAGED_OUT, start=61, end=82)
        pod = make_pod(stage_in=self.STAGED, component=failed, stage_out=uploaded, phase="Failed", deleted=(40, 30))
        after = written(plan(observe(make_run(status=self.STATUS), pod, seconds=45, gone=True)))
        assert after.reason == Reason.USER_ERROR
        assert "ValueError: no such column" in (after.message or "")

    def test_still_has_a_component_that_ended_after_the_deletion_interrupted(self) -> None:
        stopped = ended(143, start=65, end=102)
        pod = make_pod(
            stage_in=self.STAGED,
            component=stopped,
            stage_out=ended(start=61, end=103),
            phase="Failed",
            deleted=(40, 30),
        )
        after = written(plan(observe(make_run(status=self.STATUS), pod, seconds=45, gone=True)))
        assert after.reason == Reason.POD_DELETED

    def test_gives_phases_their_time_by_the_operators_clock(self) -> None:
        pod = make_pod(stage_in=self.STAGED, component=ended(start=65, end=70), stage_out=running(61))
        after = written(plan(observe(make_run(status=reached("StagingIn", ("StagingIn", 2))), pod, seconds=14)))
        assert [(item.phase, item.start_time) for item in after.phases[-2:]] == [
            ("Running", at(5)),
            ("StagingOut", at(10)),
        ]


def test_a_node_whose_clock_is_behind_has_no_time_before_the_pod_was_created() -> None:
    pod = facts(make_pod(stage_in=ended(start=-60, end=-58), component=running(-57), stage_out=running(-61)))
    assert (pod.stage_in.finished_at, pod.component.started_at) == (at(0), at(0))
    assert pod.timeout_at == at(3600)
