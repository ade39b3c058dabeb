"""Building blocks of statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.api.componentrun import PhaseTime
from componentrun.core.lifecycle import conditions
from componentrun.errors import TransientError, UnsupportedError, with_advice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.common import Condition
    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, Phase
    from componentrun.errors import ComponentRunError, Reason

__all__ = [
    "is_tried_again",
    "phase_began",
    "sentence",
    "with_phase",
    "with_phase_and_reason",
    "with_published",
    "with_reason",
]


def with_phase_and_reason(
    run: ComponentRun, phase: Phase, reason: Reason, summary: str, *, now: datetime, advice: str = ""
) -> ComponentRunStatus:
    """The run's status in this phase, for this reason."""
    return with_reason(with_phase(run.status, phase, now), run, reason, summary, now, advice=advice)


def with_phase(status: ComponentRunStatus, phase: Phase, now: datetime) -> ComponentRunStatus:
    """The status in this phase, with its start time; unchanged if the phase is the same."""
    if status.phase == phase:
        return status
    update: dict[str, Any] = {"phase": phase, "phases": (*status.phases, PhaseTime(phase=phase, start_time=now))}
    if phase != "Queued":
        update["queue"] = None
    return status.model_copy(update=update)


def with_reason(
    status: ComponentRunStatus, run: ComponentRun, reason: Reason, summary: str, now: datetime, *, advice: str = ""
) -> ComponentRunStatus:
    """The status of a run that has not ended, with this reason: the condition Succeeded is Unknown."""
    message = with_advice(summary, advice)
    return status.model_copy(
        update={
            "reason": reason.value,
            "message": message,
            "advice": advice or None,
            "observed_generation": run.metadata.generation,
            "conditions": conditions.with_condition(
                status.conditions, conditions.SUCCEEDED, "Unknown", reason, message,
                generation=run.metadata.generation, now=now,
            ),
        }
    )  # fmt: skip


def sentence(text: str) -> str:
    """The text with one full stop at its end, unless it is a question."""
    stripped = text.rstrip(".")
    return stripped if stripped.endswith("?") else f"{stripped}."


def is_tried_again(error: ComponentRunError, until: datetime, now: datetime) -> bool:
    """Whether to retry after an error. Values of another release are waited for without limit: nothing is wrong."""
    return isinstance(error, UnsupportedError) or (isinstance(error, TransientError) and now < until)


def phase_began(run: ComponentRun, phase: Phase, now: datetime) -> datetime:
    """When this phase began; now if it is not the current phase."""
    last = run.status.phases[-1] if run.status.phases else None
    return last.start_time if last is not None and last.phase == phase else now


def with_published(
    run: ComponentRun, before: Sequence[Condition], status: str, reason: str, message: str, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with `Published` set."""
    value: Any = status
    return conditions.with_condition(
        before, conditions.PUBLISHED, value, reason, message, generation=run.metadata.generation, now=now
    )
