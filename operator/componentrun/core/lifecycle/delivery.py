"""What a finished run's status says about the delivery of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from componentrun.core.lifecycle import conditions
from componentrun.core.lifecycle.lastwords import needs_last_words, with_words
from componentrun.core.podstatus.results import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.common import Condition
    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.core.podstatus.view import PodView

__all__ = [
    "EVENTS_GIVEN_UP",
    "conditions_delivered",
    "events_delivered",
    "events_given_up",
    "events_late",
]

EVENTS_GIVEN_UP: Final = ("WaitEnded", "TooManyUnreadPods")
"""Reasons why the operator stops waiting for a run's last events."""


def events_delivered(run: ComponentRun, now: datetime) -> ComponentRunStatus:
    """The status once the collector has delivered the last line; the pod is no longer needed."""
    events = run.status.events
    count = events.count if events is not None else 0
    changed = conditions_delivered(run.status.conditions, count, generation=run.metadata.generation, now=now)
    status = run.status.model_copy(update={"conditions": changed})
    if events is None or events.last_words is None or not needs_last_words(run.status):
        return status
    if len(events.last_words) <= len(status.last_words or ""):
        return status
    return with_words(run, status, events.last_words, now)


def conditions_delivered(
    before: Sequence[Condition], count: int, *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions of a run whose events are all in Storage."""
    message = f"{counted(count, 'event')}."
    return conditions.with_condition(
        before, conditions.EVENTS_DELIVERED, "True", "Delivered", message, generation=generation, now=now
    )


def events_late(run: ComponentRun, pod: PodView | None, until: datetime, now: datetime) -> ComponentRunStatus:
    """The status while the collector is late; the pod, if it exists, is kept until the given time."""
    kept = f"Pod `{pod.name}` on node `{pod.node}` is kept" if pod is not None else "The operator waits for them"
    message = (
        f"The collector has not delivered the last events yet. {kept} until {until:%H:%M:%S} UTC. "
        "Check whether the collector runs and can reach the node and the object store."
    )
    return _with_events_condition(run, "Unknown", "WaitingForCollector", message, now)


def events_given_up(run: ComponentRun, now: datetime, *, over_limit: bool = False) -> ComponentRunStatus:
    """The status once the operator stops waiting; the pod and the rest of its log are deleted."""
    details = run.status.events.message if run.status.events else ""
    why = "while its node kept too many pods that were not read" if over_limit else "in time"
    message = f"The collector did not deliver the last events {why}; the end of the log may be missing."
    reason = EVENTS_GIVEN_UP[over_limit]
    return _with_events_condition(
        run, "False", reason, f"{message} The collector reports: {details}" if details else message, now
    )


def _with_events_condition(
    run: ComponentRun, status: Literal["True", "False", "Unknown"], reason: str, message: str, now: datetime
) -> ComponentRunStatus:
    changed = conditions.with_condition(
        run.status.conditions, conditions.EVENTS_DELIVERED, status, reason, message,
        generation=run.metadata.generation, now=now,
    )  # fmt: skip
    return run.status.model_copy(update={"conditions": changed})
