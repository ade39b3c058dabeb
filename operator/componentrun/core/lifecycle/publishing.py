"""How a run is published: the status from the end of its attempt to the final one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.componentrun import PhaseTime
from componentrun.core.lifecycle.ending import finished, is_terminal, with_end
from componentrun.core.lifecycle.lastwords import failed_step, run_message
from componentrun.core.lifecycle.steps import (
    is_tried_again,
    phase_began,
    sentence,
    with_phase_and_reason,
    with_published,
)
from componentrun.core.podstatus.results import counted
from componentrun.core.podstatus.verdict import Diagnosis
from componentrun.core.request.files import files_status
from componentrun.errors import Reason, UserError, without_advice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, TableStatus
    from componentrun.api.mapping.files import FileStatus
    from componentrun.core.limits import Limits
    from componentrun.errors import ComponentRunError

__all__ = [
    "nothing_to_publish",
    "publish_failed",
    "publish_uncertain",
    "published",
    "publishing",
    "publishing_again",
    "publishing_began",
    "refused",
]

_NO_TABLES: Final = "There were no tables to publish."
MOST_TABLES: Final = 5000
"""Maximum number of tables in a status; all are counted."""


def publishing(run: ComponentRun, diagnosis: Diagnosis, now: datetime) -> ComponentRunStatus:
    """The status when publishing begins. It records the end of the attempt, whatever happens to its pod."""
    status = with_phase_and_reason(run, "Publishing", Reason.PUBLISHING, "The tables are being switched over.", now=now)
    return status.model_copy(
        update={
            "attempts": with_end(status, diagnosis, now),
            "exit_code": diagnosis.exit_code,
            "last_words": diagnosis.last_words,
        }
    )


def publishing_again(run: ComponentRun, now: datetime) -> ComponentRunStatus:
    """The status when another operator takes over publishing: one more phase, so that both notice."""
    again = PhaseTime(phase="Publishing", start_time=now)
    return run.status.model_copy(update={"phases": (*run.status.phases, again)})


def publishing_began(run: ComponentRun) -> datetime:
    """When a run in phase Publishing entered it first: the same for all operators."""
    return next(item.start_time for item in run.status.phases if item.phase == "Publishing")


def published(
    run: ComponentRun,
    *,
    tables: Sequence[TableStatus],
    files: Sequence[FileStatus] = (),
    warnings: Sequence[str],
    now: datetime,
) -> ComponentRunStatus:
    """The final status after publishing, of a run that succeeded or that failed with `writeAlways` tables.

    Args:
        run: the run as observed, in phase Publishing.
        tables: what was published, with rows and bytes.
        files: files that were published.
        warnings: warnings of stage-out and of publishing.
        now: the time.
    """
    if is_terminal(run.status):
        return run.status
    diagnosis = _recorded(run.status)
    total = sum(table.rows or 0 for table in tables)
    message = f"{counted(len(tables), 'table')}, {counted(total, 'row')}."
    if files:
        count = counted(len(files), "file")
        message = f"{count}." if not tables else f"{message.removesuffix('.')}, {count}."
    elif not tables:
        message = _NO_TABLES
    if diagnosis.reason is not Reason.SUCCEEDED:
        message = f"Only the `writeAlways` tables: {message}"
    if len(tables) > MOST_TABLES:
        message = f"{message.removesuffix('.')}; `status.outputTables` names the first {MOST_TABLES}."
    base = run.status.model_copy(
        update={
            "output_tables": tuple(tables[:MOST_TABLES]),
            "output_files": files_status(files),
            "conditions": with_published(run, run.status.conditions, "True", "Published", message, now),
        }
    )
    return finished(run, diagnosis, now=now, warnings=warnings, base=base)


def nothing_to_publish(run: ComponentRun, diagnosis: Diagnosis, now: datetime) -> ComponentRunStatus:
    """The final status of a run that succeeded and left nothing to publish. It has no phase Publishing."""
    base = run.status.model_copy(
        update={
            "output_tables": (),
            "output_files": files_status(()),
            "conditions": with_published(run, run.status.conditions, "True", "Published", _NO_TABLES, now),
        }
    )
    return finished(run, diagnosis, now=now, base=base)


def refused(run: ComponentRun, error: UserError, now: datetime) -> ComponentRunStatus:
    """The status after a table was refused: still Publishing, but only the `writeAlways` tables.

    The refusal decides how the run ends, as a failure of the component would.
    """
    exit_code = _recorded(run.status).exit_code
    return publishing(run, _unpublished(error, error.reason, exit_code), now)


def _unpublished(error: ComponentRunError, reason: Reason, exit_code: int | None) -> Diagnosis:
    summary = f"The output is complete, but its tables could not be published: {sentence(error.summary)}"
    return Diagnosis(reason, summary, exit_code=exit_code, advice=error.advice)


def publish_failed(
    run: ComponentRun,
    error: ComponentRunError,
    *,
    limits: Limits,
    now: datetime,
    begun: bool = False,
) -> ComponentRunStatus:
    """The status after publishing failed.

    Still Publishing (write it, try again with backoff) after a TransientError within `limits.start_retry`, else Failed.
    If something of it may be published already, the limit is `limits.publish_retry`.

    Args:
        run: the run as observed, in phase Publishing.
        error: a UserError (the output does not fit its table) keeps its reason; anything else is PUBLISH_FAILED.
        limits: how long to try.
        now: the time.
        begun: whether something of the run may be published, or be on its way.
    """
    if is_terminal(run.status):
        return run.status
    patience = limits.publish_retry if begun else limits.start_retry
    trying = is_tried_again(error, phase_began(run, "Publishing", now) + timedelta(seconds=patience), now)
    why = sentence(error.message)
    message = f"It will be tried again: {why}" if trying else why
    changed = with_published(run, run.status.conditions, "Unknown" if trying else "False", error.reason, message, now)
    base = run.status.model_copy(update={"conditions": changed})
    if trying:
        return base
    recorded = _recorded(run.status)
    if recorded.reason is not Reason.SUCCEEDED:
        warning = f"The `writeAlways` tables could not be published: {why}"
        return finished(run, recorded, now=now, warnings=(warning,), base=base)
    reason = error.reason if isinstance(error, UserError) else Reason.PUBLISH_FAILED
    return finished(run, _unpublished(error, reason, recorded.exit_code), now=now, base=base)


def publish_uncertain(run: ComponentRun, doubt: ComponentRunError, *, now: datetime) -> ComponentRunStatus:
    """Still Publishing: publishing was given up, but its tables may still appear.

    A loader that was cut off may have sent a commit. The operator waits until that is certain, however long it takes,
    because a run that is reported as failed must never be published.
    """
    message = (
        f"It will be tried again, as it is not certain whether the tables are published: {sentence(doubt.message)}"
    )
    changed = with_published(run, run.status.conditions, "Unknown", doubt.reason, message, now)
    return run.status.model_copy(update={"conditions": changed})


def _recorded(status: ComponentRunStatus) -> Diagnosis:
    """The diagnosis of the attempt, as recorded when publishing began."""
    last = status.attempts[-1] if status.attempts else None
    if last is None or last.reason is None:
        return Diagnosis(Reason.INTERNAL, "The run was published without a recorded end of its attempt.")
    try:
        reason = Reason(last.reason)
    except ValueError:
        reason = Reason.INTERNAL
    advice = last.advice or ""
    summary = without_advice(run_message(last.message or "", reason, status.last_words, failed_step(status)), advice)
    return Diagnosis(reason, summary, exit_code=last.exit_code, last_words=status.last_words, advice=advice)
