"""What the collector writes into a run's status once all of its events are in Storage. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.core import conditions
from componentrun.core.outcome import conditions_delivered

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.collector.facts import RunFacts

__all__ = ["delivered"]


def delivered(run: RunFacts, count: int, message: str, words: str | None, now: datetime) -> dict[str, Any]:
    """The merge patch of a run.

    The condition goes with it, so that the operator has nothing to write but the pod's end: one write less for each
    run. A list is replaced as a whole, so the patch holds for the run as it was read and for no other. Words that the
    status lacks are the operator's to take over, and the condition with them.

    Args:
        run: as it is now.
        count: events in Storage.
        message: what could not be delivered; empty where all was.
        words: the component's last ones, where the status should have some and has none.
        now: the time.
    """
    events: dict[str, Any] = {"count": count, "delivered": True, "message": message}
    if words is not None:
        return {"status": {"events": {**events, "lastWords": words}}}
    known = run.status.conditions
    if not run.ended or conditions.find(known, conditions.EVENTS_DELIVERED) is not None:
        return {"status": {"events": events}}
    changed = conditions_delivered(known, count, generation=run.generation, now=now)
    written = [condition.to_dict() for condition in changed]
    return {"metadata": {"resourceVersion": run.version}, "status": {"events": events, "conditions": written}}
