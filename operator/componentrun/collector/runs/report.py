"""The patch that reports in a run's status that its events are in Storage. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.core.lifecycle import conditions
from componentrun.core.lifecycle.delivery import conditions_delivered

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.collector.runs.facts import RunFacts

__all__ = ["delivered", "for_this"]


def delivered(run: RunFacts, count: int, message: str, words: str | None, now: datetime) -> dict[str, Any]:
    """The merge patch of a run.

    It applies only to the version of the run that was read: not to a later run of the same name, whose events would
    then be skipped. It includes the condition, so that the operator has nothing to write but the end of the pod. If the
    status lacks the last words, the operator takes them over and sets the condition.

    Args:
        run: the run.
        count: number of events in Storage.
        message: what could not be delivered; empty if everything was.
        words: the component's last words, if the status should have some and has none.
        now: the current time.
    """
    events: dict[str, Any] = {"count": count, "delivered": True, "message": message}
    if words is not None:
        return for_this(run, {"events": {**events, "lastWords": words}})
    known = run.status.conditions
    if not run.ended or conditions.is_settled(known, conditions.EVENTS_DELIVERED):
        return for_this(run, {"events": events})
    changed = conditions_delivered(known, count, generation=run.generation, now=now)
    written = [condition.to_dict() for condition in changed]
    return for_this(run, {"events": events, "conditions": written})


def for_this(run: RunFacts, status: dict[str, Any]) -> dict[str, Any]:
    """The merge patch of a status, which the API server refuses if the run was changed or replaced."""
    return {"metadata": {"resourceVersion": run.version}, "status": status}
