"""Status of queued runs: what they wait for, and how often their position is updated.

When one run ends, the positions of all runs after it change, and each status write has a cost. So only the front of a
queue is updated at every step, and at most once every 10 seconds. The others are updated when their distance from the
front is half of that in their status.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.componentrun import QueueStatus, Termination
from componentrun.core.lifecycle.steps import with_phase_and_reason
from componentrun.core.podstatus.verdict import Diagnosis, verdict
from componentrun.core.queue.admission import FRONT
from componentrun.errors import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.core.queue.admission import Turn

__all__ = ["UPDATED_EVERY_SECONDS", "forbidden", "look_again", "queued", "replaced", "replacement"]

UPDATED_EVERY_SECONDS: Final = 10
"""Minimum time between two updates of a position."""
_BACKSTOP_SECONDS: Final = 30
"""How often the first run checks whether it may start even without an event, because the place of a pod on a lost node
becomes free without one."""


def queued(run: ComponentRun, turn: Turn, now: datetime) -> ComponentRunStatus:
    """The status of a waiting run; unchanged if the change is not worth a write."""
    if turn.waiting_for is None or not _is_worth_an_update(run.status.queue, turn, now):
        return run.status
    status = with_phase_and_reason(run, "Queued", Reason.QUEUED, _sentence(turn), now=now)
    queue = QueueStatus(
        waiting_for=turn.waiting_for,
        position=max(turn.position, 1),
        group=turn.group,
        number=turn.number or None,
        updated=now,
    )
    return status.model_copy(update={"queue": queue})


def look_again(run: ComponentRun, turn: Turn, now: datetime) -> datetime | None:
    """When to reconcile a waiting run if nothing happens; None for never."""
    if turn.position > FRONT:
        return None
    queue = run.status.queue
    if queue is not None and queue.position != turn.position and not _is_worth_an_update(queue, turn, now):
        return queue.updated + timedelta(seconds=UPDATED_EVERY_SECONDS)
    return now + timedelta(seconds=_BACKSTOP_SECONDS) if turn.position == 1 else None


def forbidden(turn: Turn) -> Diagnosis:
    """The diagnosis of a run with the policy Forbid if an earlier run of its group exists."""
    summary = (
        f"Run `{turn.ahead[0]}` of concurrency group `{turn.group}` was there before, and this one's policy is Forbid: "
        "it did not start."
    )
    return verdict(Reason.CONCURRENCY_FORBIDDEN, summary)


def replaced(turn: Turn) -> Diagnosis:
    """The diagnosis of a run that a newer run replaces while it has no pod, before its first attempt or between two."""
    return Diagnosis(Reason.REPLACED, f"{_taken_by(turn)} while it had no pod; nothing was published.")


def replacement(turn: Turn, now: datetime) -> Termination | None:
    """The decision to stop a run that a newer one replaces; None if there is none."""
    if turn.replaced_by is None:
        return None
    return Termination(reason=Reason.REPLACED, message=f"{_taken_by(turn)}.", time=now)


def _taken_by(turn: Turn) -> str:
    return f"Run `{turn.replaced_by}` of concurrency group `{turn.group}`, whose policy is Replace, took its place"


def _is_worth_an_update(queue: QueueStatus | None, turn: Turn, now: datetime) -> bool:
    if queue is None or queue.position is None:
        return True
    if (queue.waiting_for, queue.group) != (turn.waiting_for, turn.group):
        return True
    if now < queue.updated + timedelta(seconds=UPDATED_EVERY_SECONDS):
        return False
    return queue.position != turn.position if turn.position <= FRONT else 2 * turn.position <= queue.position


def _sentence(turn: Turn) -> str:
    place = f"place {max(turn.position, 1)} in line"
    ahead = ", ".join(f"`{name}`" for name in turn.ahead)
    match turn.waiting_for:
        case "ConcurrencyGroup":
            return f"The run waits for others of its concurrency group `{turn.group}` ({place}): {ahead}."
        case "MaxRunning":
            count = "1 run has a pod" if turn.limit == 1 else f"{turn.limit} runs have pods"
            return f"The run waits until the namespace has room ({place}): {count}, as many as `maxRunning` allows."
        case _:
            ahead = f"; {ahead} goes first" if turn.ahead else ""
            return f"The run waits for room in a quota of the namespace ({place}{ahead}): {turn.quota}."
