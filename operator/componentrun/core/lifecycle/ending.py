"""How runs end: from the last observation to the final status."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api.componentrun import PhaseTime
from componentrun.core.lifecycle import conditions
from componentrun.core.lifecycle.steps import moved, with_phase
from componentrun.core.podstatus.diagnosis import Diagnosis
from componentrun.core.podstatus.lastwords import attempt_message, needs_last_words, run_message, with_words
from componentrun.core.podstatus.results import counted
from componentrun.core.request.files import files_status
from componentrun.errors import Reason, TransientError, UnsupportedError, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.common import Condition
    from componentrun.api.componentrun import Attempt, ComponentRun, ComponentRunStatus, Phase, TableStatus
    from componentrun.api.files import FileStatus
    from componentrun.core.lifecycle.observed import Limits, PodView
    from componentrun.errors import ComponentRunError

__all__ = [
    "EVENTS_GIVEN_UP",
    "TERMINAL",
    "events_delivered",
    "events_given_up",
    "events_late",
    "finished",
    "is_terminal",
    "publish_failed",
    "publish_uncertain",
    "published",
    "publishing",
    "publishing_again",
    "publishing_began",
    "refused",
    "seen_again",
    "start_failed",
    "with_end",
]

TERMINAL: Final[frozenset[Phase | None]] = frozenset({"Succeeded", "Failed", "Cancelled"})
EVENTS_GIVEN_UP: Final = ("WaitEnded", "TooManyUnreadPods")
"""Why the operator does not wait for a run's last events any longer."""
_CANCELLED: Final = frozenset({Reason.CANCELLED, Reason.REPLACED})
MOST_WARNINGS: Final = 100
"""That a status names. A component may leave 20,000 files that cause one each, and an object has 1.5 MiB at most."""
MOST_TABLES: Final = 5000
"""That a status names; all are counted."""
_TOO_LATE: Final = "`spec.cancel` was set when the tables were already being published: it came too late."


def is_terminal(status: ComponentRunStatus) -> bool:
    """Whether the run has ended; nothing but its clean-up follows."""
    return status.phase in TERMINAL


def _sentence(text: str) -> str:
    """With one full stop at its end, unless it ends as a question does."""
    stripped = text.rstrip(".")
    return stripped if stripped.endswith("?") else f"{stripped}."


def _is_tried_again(error: ComponentRunError, until: datetime, now: datetime) -> bool:
    """Whether an error may pass. What another release understands is waited for without end: nothing is wrong."""
    return isinstance(error, UnsupportedError) or (isinstance(error, TransientError) and now < until)


def start_failed(run: ComponentRun, error: ComponentRunError, *, limits: Limits, now: datetime) -> ComponentRunStatus:
    """The attempt could not be started.

    Still Queued (write it, try again with backoff) after a TransientError within `limits.start_retry` of the first one,
    else Failed with the error's reason and message.
    """
    if is_terminal(run.status):
        return run.status
    why = _sentence(error.message)
    if _is_tried_again(error, _since(run, "Queued", now) + timedelta(seconds=limits.start_retry), now):
        return moved(run, "Queued", error.reason, f"The run can't start yet, and will be tried again: {why}", now=now)
    waits = not run.status.attempts or run.status.phase in {"Queued", "Pending"}
    what = "The run could not be started" if waits else "The run could not be brought to its end"
    if run.status.next_attempt_time is not None:
        what = "Another attempt could not be started"
    # What is Queued while it waits for a name to be free was refused in the end.
    reason = Reason.POD_REJECTED if error.reason is Reason.QUEUED else error.reason
    return finished(run, Diagnosis(reason, f"{what}: {why}"), now=now)


def publishing(run: ComponentRun, diagnosis: Diagnosis, now: datetime) -> ComponentRunStatus:
    """The output is complete; what is decided about the attempt stands in the status, whatever becomes of its pod."""
    status = moved(run, "Publishing", Reason.PUBLISHING, "The tables are being switched over.", now=now)
    return status.model_copy(
        update={
            "attempts": with_end(status, diagnosis, now),
            "exit_code": diagnosis.exit_code,
            "last_words": diagnosis.last_words,
        }
    )


def publishing_again(run: ComponentRun, now: datetime) -> ComponentRunStatus:
    """Another operator goes on with the publishing: one phase more, so that each knows of the other."""
    again = PhaseTime(phase="Publishing", start_time=now)
    return run.status.model_copy(update={"phases": (*run.status.phases, again)})


def publishing_began(run: ComponentRun) -> datetime:
    """When a run in phase Publishing first came there: the same for all operators."""
    return next(item.start_time for item in run.status.phases if item.phase == "Publishing")


def published(
    run: ComponentRun,
    *,
    tables: Sequence[TableStatus],
    files: Sequence[FileStatus] = (),
    warnings: Sequence[str],
    now: datetime,
) -> ComponentRunStatus:
    """All is published: the final status, of a run that succeeded or of one that failed but wrote always.

    Args:
        run: the run as observed, in phase Publishing.
        tables: what was published, with rows and bytes.
        files: what was published, too.
        warnings: what a person should see all the same (stage-out's, and those of publishing).
        now: the time.
    """
    if is_terminal(run.status):
        return run.status
    diagnosis = _recorded(run.status)
    total = sum(table.rows or 0 for table in tables)
    message = f"{counted(len(tables), 'table')}, {counted(total, 'row')}."
    if files:
        told = counted(len(files), "file")
        message = f"{told}." if not tables else f"{message.removesuffix('.')}, {told}."
    elif not tables:
        message = "There were no tables to publish."
    if diagnosis.reason is not Reason.SUCCEEDED:
        message = f"Only the `writeAlways` tables: {message}"
    if len(tables) > MOST_TABLES:
        message = f"{message.removesuffix('.')}; `status.outputTables` names the first {MOST_TABLES}."
    base = run.status.model_copy(
        update={
            "output_tables": tuple(tables[:MOST_TABLES]),
            "output_files": files_status(files),
            "conditions": _published(run, run.status.conditions, "True", "Published", message, now),
        }
    )
    return finished(run, diagnosis, now=now, warnings=warnings, base=base)


def refused(run: ComponentRun, error: UserError, now: datetime) -> ComponentRunStatus:
    """A table of a good attempt does not fit what is there: still Publishing, but only what is stored always.

    How the run ends is decided with that, as where the component had failed.
    """
    exit_code = _recorded(run.status).exit_code
    return publishing(run, Diagnosis(error.reason, _unpublished(error), exit_code=exit_code), now)


def _unpublished(error: ComponentRunError) -> str:
    return f"The output is complete, but its tables could not be published: {_sentence(error.message)}"


def publish_failed(
    run: ComponentRun,
    error: ComponentRunError,
    *,
    limits: Limits,
    now: datetime,
    begun: bool = False,
) -> ComponentRunStatus:
    """Publishing failed.

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
    trying = _is_tried_again(error, _since(run, "Publishing", now) + timedelta(seconds=patience), now)
    why = _sentence(error.message)
    told = f"It will be tried again: {why}" if trying else why
    changed = _published(run, run.status.conditions, "Unknown" if trying else "False", error.reason, told, now)
    base = run.status.model_copy(update={"conditions": changed})
    if trying:
        return base
    recorded = _recorded(run.status)
    if recorded.reason is not Reason.SUCCEEDED:
        warning = f"The `writeAlways` tables could not be published: {why}"
        return finished(run, recorded, now=now, warnings=(warning,), base=base)
    reason = error.reason if isinstance(error, UserError) else Reason.PUBLISH_FAILED
    diagnosis = Diagnosis(reason, _unpublished(error), exit_code=recorded.exit_code)
    return finished(run, diagnosis, now=now, base=base)


def publish_uncertain(run: ComponentRun, doubt: ComponentRunError, *, now: datetime) -> ComponentRunStatus:
    """Still Publishing: publishing was given up, but it is not certain that its tables never appear.

    A commit may be on its way, of a loader that was cut off. It is found out, however long that takes: what is said to
    have failed must never be published.
    """
    told = f"It will be tried again, as it is not certain whether the tables are published: {_sentence(doubt.message)}"
    changed = _published(run, run.status.conditions, "Unknown", doubt.reason, told, now)
    return run.status.model_copy(update={"conditions": changed})


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
    noted = tuple(dict.fromkeys((*(status.warnings or ()), *_first(warnings), *((_TOO_LATE,) if late else ()))))
    succeeded = diagnosis.reason is Reason.SUCCEEDED
    phase: Phase = "Succeeded" if succeeded else "Cancelled" if diagnosis.reason in _CANCELLED else "Failed"
    update: dict[str, Any] = {
        "result": ("Warning" if noted else "Success") if succeeded else "Error",
        "reason": diagnosis.reason.value,
        "message": diagnosis.message,
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


def _first(warnings: Sequence[str]) -> Sequence[str]:
    """As many as a status bears."""
    more = len(warnings) - MOST_WARNINGS
    if more <= 0:
        return warnings
    return (*warnings[:MOST_WARNINGS], f"{counted(more, 'more warning')}: see the run's events.")


def events_delivered(run: ComponentRun, now: datetime) -> ComponentRunStatus:
    """The collector has written the last line; the pod is not needed any more."""
    events = run.status.events
    count = events.count if events is not None else 0
    changed = conditions_delivered(run.status.conditions, count, generation=run.metadata.generation, now=now)
    status = run.status.model_copy(update={"conditions": changed})
    if events is None or events.last_words is None or not needs_last_words(run.status):
        return status
    if len(events.last_words) <= len(status.last_words or ""):
        return status
    return with_words(run, status, events.last_words, now)


def seen_again(run: ComponentRun) -> ComponentRunStatus:
    """The status of a run that is over, and whose spec was changed behind its end: all that it says holds all the same.

    `kubectl wait` and kstatus believe only what is said about the present generation.
    """
    generation, told_of = run.metadata.generation, run.status.observed_generation
    if told_of is None or told_of >= generation:
        return run.status
    told = tuple(item.model_copy(update={"observed_generation": generation}) for item in run.status.conditions)
    return run.status.model_copy(update={"conditions": told, "observed_generation": generation})


def conditions_delivered(
    before: Sequence[Condition], count: int, *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions of a run of which all events, so many, are in Storage."""
    message = f"{counted(count, 'event')}."
    return conditions.with_condition(
        before, conditions.EVENTS_DELIVERED, "True", "Delivered", message, generation=generation, now=now
    )


def events_late(run: ComponentRun, pod: PodView | None, until: datetime, now: datetime) -> ComponentRunStatus:
    """The collector is later than it should be: the pod, if there is one, is kept for it until then."""
    kept = f"Pod `{pod.name}` on node `{pod.node}` is kept" if pod is not None else "The operator waits for them"
    message = (
        f"The collector has not delivered the last events yet. {kept} until {until:%H:%M:%S} UTC. "
        "Look whether the collector runs and whether it reaches the node and the object store."
    )
    return _told(run, "Unknown", "WaitingForCollector", message, now)


def events_given_up(run: ComponentRun, now: datetime, *, over_limit: bool = False) -> ComponentRunStatus:
    """The operator does not wait any longer; the pod, and with it what is left of its log, goes."""
    said = run.status.events.message if run.status.events else ""
    why = "while its node kept too many pods that were not read" if over_limit else "in time"
    message = f"The collector did not deliver the last events {why}; the end of the log may be missing."
    reason = EVENTS_GIVEN_UP[over_limit]
    return _told(run, "False", reason, f"{message} It said: {said}" if said else message, now)


def _told(
    run: ComponentRun, status: Literal["True", "False", "Unknown"], reason: str, message: str, now: datetime
) -> ComponentRunStatus:
    changed = conditions.with_condition(
        run.status.conditions, conditions.EVENTS_DELIVERED, status, reason, message,
        generation=run.metadata.generation, now=now,
    )  # fmt: skip
    return run.status.model_copy(update={"conditions": changed})


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
        # A run that is given up while it publishes: nobody knows how far it came.
        begun = status.phase == "Publishing"
        told = "Publishing was not brought to its end." if begun else "Nothing was published."
        result = _published(run, result, "False", diagnosis.reason, told, now)
    if not status.attempts:
        result = conditions.with_condition(
            result, conditions.EVENTS_DELIVERED, "True", "NothingToDeliver", "There was no pod.",
            generation=generation, now=now,
        )  # fmt: skip
    # What was said before the spec was edited holds for all of it, now that the run has ended.
    return tuple(item.model_copy(update={"observed_generation": generation}) for item in result)


def _published(
    run: ComponentRun, before: Sequence[Condition], status: str, reason: str, message: str, now: datetime
) -> tuple[Condition, ...]:
    value: Any = status
    return conditions.with_condition(
        before, conditions.PUBLISHED, value, reason, message, generation=run.metadata.generation, now=now
    )


def with_end(status: ComponentRunStatus, diagnosis: Diagnosis, now: datetime) -> tuple[Attempt, ...]:
    """The attempts with the last one's end; the time of its end stays where it is known already.

    What becomes of a run between two attempts is not the end of the one before.
    """
    if not status.attempts or status.next_attempt_time is not None:
        return status.attempts
    last = status.attempts[-1]
    ended = last.model_copy(
        update={
            "completion_time": last.completion_time or now,
            "reason": diagnosis.reason.value,
            "message": attempt_message(diagnosis.message),
            "exit_code": diagnosis.exit_code if diagnosis.exit_code is not None else last.exit_code,
        }
    )
    return (*status.attempts[:-1], ended)


def _recorded(status: ComponentRunStatus) -> Diagnosis:
    """What was decided about the attempt before publishing began."""
    last = status.attempts[-1] if status.attempts else None
    if last is None or last.reason is None:
        return Diagnosis(Reason.INTERNAL, "The run was published without a recorded end of its attempt.")
    try:
        reason = Reason(last.reason)
    except ValueError:
        reason = Reason.INTERNAL
    message = run_message(last.message or "", reason, status.last_words)
    return Diagnosis(reason, message, exit_code=last.exit_code, last_words=status.last_words)


def _since(run: ComponentRun, phase: Phase, now: datetime) -> datetime:
    """When this phase began; now where it is not the present one."""
    last = run.status.phases[-1] if run.status.phases else None
    return last.start_time if last is not None and last.phase == phase else now
