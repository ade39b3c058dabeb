"""What the collector writes into a run's status once all of its events are in Storage. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.core.lifecycle import conditions
from componentrun.core.lifecycle.ending import conditions_delivered

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.collector.runs.facts import RunFacts

__all__ = ["delivered", "for_this"]


def delivered(run: RunFacts, count: int, message: str, words: str | None, now: datetime) -> dict[str, Any]:
    """The merge patch of a run.

    It holds for the run as it was read and for no other: not for a later one of its name, of which a watch has not told
    yet, and whose events would be left out then. The condition goes with it, so that the operator has nothing to write
    but the pod's end: one write less for each run. Words that the status lacks are the operator's to take over, and the
    condition with them.

    Args:
        run: as it is now.
        count: events in Storage.
        message: what could not be delivered; empty where all was.
        words: the component's last ones, where the status should have some and has none.
        now: the time.
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
    """The merge patch of a status that is refused where the run has changed, or is another one by now."""
    return {"metadata": {"resourceVersion": run.version}, "status": status}
