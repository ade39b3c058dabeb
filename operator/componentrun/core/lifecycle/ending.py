"""How runs end: from the last observation to the final status."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from componentrun.core.lifecycle import conditions
from componentrun.core.lifecycle.lastwords import attempt_message
from componentrun.core.lifecycle.steps import (
    is_tried_again,
    phase_began,
    sentence,
    with_phase,
    with_phase_and_reason,
    with_published,
)
from componentrun.core.podstatus.results import counted
from componentrun.core.podstatus.verdict import Diagnosis
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.common import Condition
    from componentrun.api.componentrun import Attempt, ComponentRun, ComponentRunStatus, Phase
    from componentrun.core.limits import Limits
    from componentrun.errors import ComponentRunError

__all__ = [
    "TERMINAL",
    "finished",
    "is_terminal",
    "seen_again",
    "start_failed",
    "with_end",
]

TERMINAL: Final[frozenset[Phase | None]] = frozenset({"Succeeded", "Failed", "Cancelled"})
_CANCELLED: Final = frozenset({Reason.CANCELLED, Reason.REPLACED})
MOST_WARNINGS: Final = 100
"""Maximum number of warnings in a status: a component may cause 20,000, and an object is limited to 1.5 MiB."""
_TOO_LATE: Final = "`spec.cancel` was set when the tables were already being published: it came too late."


def is_terminal(status: ComponentRunStatus) -> bool:
    """Whether the run has ended, so that only its clean-up follows."""
    return status.phase in TERMINAL


def start_failed(run: ComponentRun, error: ComponentRunError, *, limits: Limits, now: datetime) -> ComponentRunStatus:
    """The status after an attempt could not be started.

    Still Queued (write it, try again with backoff) after a TransientError within `limits.start_retry` of the first one,
    else Failed with the error's reason and message.
    """
    if is_terminal(run.status):
        return run.status
    why = sentence(error.summary)
    if is_tried_again(error, phase_began(run, "Queued", now) + timedelta(seconds=limits.start_retry), now):
        return with_phase_and_reason(
            run,
            "Queued",
            error.reason,
            f"The run can't start yet, and will be tried again: {why}",
            now=now,
            advice=error.advice,
        )
    waits = not run.status.attempts or run.status.phase in {"Queued", "Building", "Pending"}
    what = "The run could not be started" if waits else "The run could not be brought to its end"
    if run.status.next_attempt_time is not None:
        what = "Another attempt could not be started"
    # What is Queued while it waits for a name to be free was refused in the end.
    reason = Reason.POD_REJECTED if error.reason is Reason.QUEUED else error.reason
    return finished(run, Diagnosis(reason, f"{what}: {why}", advice=error.advice), now=now)


def finished(
    run: ComponentRun,
    diagnosis: Diagnosis,
    *,
    now: datetime,
    warnings: Sequence[str] = (),
    base: ComponentRunStatus | None = None,
) -> ComponentRunStatus:
    """The final status. Total and final: called for a run that has ended it changes nothing.

    Args:
        run: the run as observed.
        diagnosis: how it ended.
        now: the time.
        warnings: what a person should see all the same.
        base: the status to go on from, where something of it has changed already; the observed one where not given.
    """
    status = base or run.status
    if is_terminal(status):
        return status
    late = run.spec.cancel and run.status.phase == "Publishing"
    noted = tuple(dict.fromkeys((*(status.warnings or ()), *_limited(warnings), *((_TOO_LATE,) if late else ()))))
    succeeded = diagnosis.reason is Reason.SUCCEEDED
    phase: Phase = "Succeeded" if succeeded else "Cancelled" if diagnosis.reason in _CANCELLED else "Failed"
    update: dict[str, Any] = {
        "result": ("Warning" if noted else "Success") if succeeded else "Error",
        "reason": diagnosis.reason.value,
        "message": diagnosis.message,
        "advice": diagnosis.advice or None,
        "observed_generation": run.metadata.generation,
        "completion_time": now,
        "attempts": with_end(status, diagnosis, now),
        "conditions": _final(run, status, diagnosis, now),
        "warnings": noted or None,
        "next_attempt_time": None,
    }
    if diagnosis.exit_code is not None:
        update["exit_code"] = diagnosis.exit_code
    if diagnosis.last_words is not None:
        update["last_words"] = diagnosis.last_words
    return with_phase(status, phase, now).model_copy(update=update)


def _limited(warnings: Sequence[str]) -> Sequence[str]:
    """As many as a status may hold."""
    more = len(warnings) - MOST_WARNINGS
    if more <= 0:
        return warnings
    return (*warnings[:MOST_WARNINGS], f"{counted(more, 'more warning')}: see the run's events.")


def seen_again(run: ComponentRun) -> ComponentRunStatus:
    """The status of a finished run whose spec was changed afterwards: everything in it still holds.

    `kubectl wait` and kstatus only accept a status of the current generation.
    """
    generation, told_of = run.metadata.generation, run.status.observed_generation
    if told_of is None or told_of >= generation:
        return run.status
    updated = tuple(item.model_copy(update={"observed_generation": generation}) for item in run.status.conditions)
    return run.status.model_copy(update={"conditions": updated, "observed_generation": generation})


def _final(run: ComponentRun, status: ComponentRunStatus, diagnosis: Diagnosis, now: datetime) -> tuple[Condition, ...]:
    """All four conditions of a run that has ended."""
    generation = run.metadata.generation
    succeeded = diagnosis.reason is Reason.SUCCEEDED
    result = conditions.with_condition(
        status.conditions, conditions.SUCCEEDED, "True" if succeeded else "False", diagnosis.reason, diagnosis.message,
        generation=generation, now=now,
    )  # fmt: skip
    if conditions.find(result, conditions.STAGED_IN) is None:
        result = conditions.with_condition(
            result, conditions.STAGED_IN, "False", diagnosis.reason, "The input was not brought in.",
            generation=generation, now=now,
        )  # fmt: skip
    if conditions.find(result, conditions.PUBLISHED) is None:
        # Publishing was given up: how far it came is not known.
        begun = status.phase == "Publishing"
        message = "Publishing was not finished." if begun else "Nothing was published."
        result = with_published(run, result, "False", diagnosis.reason, message, now)
    if not status.attempts:
        result = conditions.with_condition(
            result, conditions.EVENTS_DELIVERED, "True", "NothingToDeliver", "There was no pod.",
            generation=generation, now=now,
        )  # fmt: skip
    # The run has ended, so conditions from before an edit of the spec hold for it, too.
    return tuple(item.model_copy(update={"observed_generation": generation}) for item in result)


def with_end(status: ComponentRunStatus, diagnosis: Diagnosis, now: datetime) -> tuple[Attempt, ...]:
    """The attempts with the end of the last one; a known end time is kept.

    Between two attempts, the previous attempt has already ended.
    """
    if not status.attempts or status.next_attempt_time is not None:
        return status.attempts
    last = status.attempts[-1]
    ended = last.model_copy(
        update={
            "completion_time": last.completion_time or now,
            "reason": diagnosis.reason.value,
            "message": attempt_message(diagnosis.summary, diagnosis.advice),
            "advice": diagnosis.advice or None,
            "exit_code": diagnosis.exit_code if diagnosis.exit_code is not None else last.exit_code,
        }
    )
    return (*status.attempts[:-1], ended)
