"""Single steps that statuses are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.api.componentrun import PhaseTime
from componentrun.core.lifecycle import conditions

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, Phase
    from componentrun.errors import Reason

__all__ = ["moved", "said", "with_phase"]


def moved(run: ComponentRun, phase: Phase, reason: Reason, message: str, *, now: datetime) -> ComponentRunStatus:
    """The run is in this phase, and why."""
    return said(with_phase(run.status, phase, now), run, reason, message, now)


def with_phase(status: ComponentRunStatus, phase: Phase, now: datetime) -> ComponentRunStatus:
    """The status in this phase, with the time at which it began; unchanged where it is there already."""
    if status.phase == phase:
        return status
    update: dict[str, Any] = {"phase": phase, "phases": (*status.phases, PhaseTime(phase=phase, start_time=now))}
    if phase != "Queued":
        update["queue"] = None
    return status.model_copy(update=update)


def said(
    status: ComponentRunStatus, run: ComponentRun, reason: Reason, message: str, now: datetime
) -> ComponentRunStatus:
    """Not decided yet, and why: condition Succeeded is Unknown."""
    return status.model_copy(
        update={
            "reason": reason.value,
            "message": message,
            "observed_generation": run.metadata.generation,
            "conditions": conditions.with_condition(
                status.conditions, conditions.SUCCEEDED, "Unknown", reason, message,
                generation=run.metadata.generation, now=now,
            ),
        }
    )  # fmt: skip
