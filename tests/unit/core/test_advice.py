"""What to do is a field of its own, from where it is found out to the status; the message has it at its end."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.api.componentrun import Termination
from componentrun.core.lifecycle import status
from componentrun.core.lifecycle.plan import plan
from componentrun.core.podstatus.diagnosis import diagnose
from componentrun.core.podstatus.verdict import Diagnosis
from componentrun.core.queue import texts
from componentrun.core.queue.admission import Turn
from componentrun.core.redact.status import redact_status
from componentrun.errors import PlatformError, TransientError, UserError
from componentrun.reasons import GUIDANCE, Reason
from componentrun.wire.agents import StageInResult, StageOutResult, to_json
from tests.unit.core.make import (
    LIMITS,
    NOW,
    at,
    condition,
    done_in,
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
from tests.unit.core.test_diagnosis import ROWS

ADVICE = "Add the column."
ERROR = UserError("`t` has no column `a`", Reason.OUTPUT_INVALID, advice=ADVICE)
KILLED = make_pod(stage_in=done_in(), component=ended(137, "OOMKilled"), stage_out=saved_out(), phase="Failed")


def last(message: Any) -> str:
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("pod", [pytest.param(row[1], id=row[0]) for row in ROWS])
def test_the_message_of_an_end_is_its_summary_and_then_its_advice(pod: dict[str, Any]) -> None:
    found = diagnose(facts(pod))
    assert found.message == f"{found.summary} {found.advice}".strip()
    if found.reason not in {Reason.SUCCEEDED, Reason.USER_ERROR} and "refused" not in found.summary:
        assert found.advice or "Bringing the input failed" in found.summary


def test_a_failed_run_has_advice_beside_its_message() -> None:
    final = status.finished(make_run(status=started_status()), diagnose(facts(KILLED)), now=at(9))
    assert final.advice == GUIDANCE[Reason.OUT_OF_MEMORY].advice
    assert last(final.message).endswith(f"(killed by SIGKILL)). {final.advice}")
    assert (final.attempts[-1].message, final.attempts[-1].advice) == (final.message, final.advice)
    assert next(c.message for c in final.conditions if c.type == "Succeeded") == final.message


def test_a_run_that_succeeds_has_none() -> None:
    pod = make_pod(stage_in=done_in(), component=ended(), stage_out=done_out(), phase="Succeeded")
    final = status.finished(make_run(status=started_status()), diagnose(facts(pod)), now=at(9))
    assert (final.advice, final.message) == (None, "The component ended with exit code 0.")


def test_the_next_attempt_begins_without_that_of_the_last() -> None:
    document = started_status(phase="Queued", advice=ADVICE, message=f"It failed. {ADVICE}")
    pod = make_pod(stage_in=running(1), component=waiting(), stage_out=running(0), phase="Pending")
    after = written(plan(observe(make_run(status=document), pod)))
    assert (after.phase, after.advice) == ("StagingIn", None)


@pytest.mark.parametrize("long", [False, True])
def test_it_is_kept_while_tables_that_are_always_written_are_published(long: bool) -> None:
    run = make_run(status=started_status())
    summary = "x" * 600 + "." if long else "The kernel killed the component."
    publishing = status.publishing(run, Diagnosis(Reason.OUT_OF_MEMORY, summary, advice=ADVICE), at(20))
    assert (publishing.advice, publishing.attempts[-1].advice) == (None, ADVICE)
    again = make_run(status=publishing.to_dict())
    final = status.published(again, tables=(), warnings=(), now=at(30))
    assert (final.reason, final.advice) == ("OutOfMemory", ADVICE)
    assert last(final.message).endswith(ADVICE)
    assert last(final.message).count(ADVICE) == 1
    assert len(last(final.message)) <= 600


class TestOfAStop:
    STOP = Termination(reason="Timeout", message=f"It ran longer than 5m. {ADVICE}", advice=ADVICE, time=NOW)

    def test_stands_behind_what_became_of_the_component(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(143), stage_out=done_out(), phase="Failed")
        found = diagnose(facts(pod), termination=self.STOP)
        assert found.message == f"It ran longer than 5m. It ended with exit code 143 (killed by SIGTERM). {ADVICE}"

    def test_of_an_earlier_release_has_it_in_its_message_alone(self) -> None:
        old = self.STOP.model_copy(update={"advice": None})
        pod = make_pod(stage_in=done_in(), component=running(3), stage_out=running(0))
        assert diagnose(facts(pod), termination=old).message == f"It ran longer than 5m. {ADVICE}"

    def test_is_in_the_status_from_the_decision_on(self) -> None:
        pod = make_pod(stage_in=done_in(), component=running(1), stage_out=running(0))
        phases = [{"phase": "Pending", "startTime": stamp(0)}, {"phase": "Running", "startTime": stamp(1)}]
        after = written(
            plan(observe(make_run(status=started_status(phase="Running", phases=phases)), pod, seconds=4000))
        )
        assert after.termination is not None
        assert after.advice == after.termination.advice == GUIDANCE[Reason.TIMEOUT].advice


class TestOfAnError:
    def test_is_kept_while_the_start_is_tried_again_and_when_that_failed(self) -> None:
        away = TransientError("The registry is away", Reason.REGISTRY_UNAVAILABLE, advice=ADVICE)
        waits = status.start_failed(make_run(), away, limits=LIMITS, now=NOW)
        assert (waits.phase, waits.advice) == ("Queued", ADVICE)
        assert waits.message == f"The run can't start yet, and will be tried again: The registry is away. {ADVICE}"
        final = status.start_failed(make_run(), ERROR, limits=LIMITS, now=NOW)
        assert final.message == f"The run could not be started: `t` has no column `a`. {ADVICE}"
        assert (final.advice, condition(final, "Succeeded")) == (ADVICE, ("False", "OutputInvalid"))

    def test_is_kept_when_tables_do_not_fit_or_are_not_published(self) -> None:
        good = Diagnosis(Reason.SUCCEEDED, "Well.", exit_code=0)
        run = make_run(status=status.publishing(make_run(status=started_status()), good, at(9)).to_dict())
        assert status.refused(run, ERROR, at(10)).attempts[-1].advice == ADVICE
        final = status.publish_failed(run, PlatformError("It broke", advice=ADVICE), limits=LIMITS, now=at(10))
        assert (final.reason, final.advice) == ("PublishFailed", ADVICE)
        assert last(final.message).endswith(f"It broke. {ADVICE}")

    @pytest.mark.parametrize("container", ["stage-in", "stage-out"])
    def test_comes_from_an_agents_result(self, container: str) -> None:
        more = {"ok": False, "reason": ERROR.reason, "message": ERROR.message, "advice": ERROR.advice}
        refused_in, refused_out = to_json(StageInResult(**more)), to_json(StageOutResult(**more))
        pod = (
            make_pod(stage_in=ended(1, message=refused_in), component=waiting(), stage_out=running(0))
            if container == "stage-in"
            else make_pod(stage_in=done_in(), component=ended(), stage_out=ended(1, message=refused_out))
        )
        found = diagnose(facts(pod))
        assert (found.reason, found.advice, found.container) == (Reason.OUTPUT_INVALID, ADVICE, container)
        assert found.message.endswith(f"`t` has no column `a`. {ADVICE}")


def test_a_run_that_may_not_run_beside_another_is_told_what_to_do() -> None:
    found = texts.forbidden(Turn("forbidden", "ConcurrencyGroup", 1, "g", ("first",)))
    assert found.advice == GUIDANCE[Reason.CONCURRENCY_FORBIDDEN].advice
    assert found.message.endswith(found.advice)


def test_no_secret_appears_in_it() -> None:
    error = UserError("The key was refused", Reason.INPUT_INVALID, advice="Replace `correct-horse`.")
    final = status.start_failed(make_run(status=started_status()), error, limits=LIMITS, now=NOW)
    clean = redact_status(final, ["correct-horse"])
    assert "correct-horse" not in clean.model_dump_json()
    assert last(clean.advice).startswith("Replace `")
    assert clean.attempts[-1].advice == clean.advice
