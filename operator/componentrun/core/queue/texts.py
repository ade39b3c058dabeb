"""What a run that waits for its turn says of it, and how often.

A status write costs the API server as much as any other, and when one run ends, all behind it move up. So only the
front of a line is told every step, and not more often than every few seconds; the others when they are half as far
from the front as they were told last.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.componentrun import QueueStatus, Termination
from componentrun.core.lifecycle.steps import moved
from componentrun.core.podstatus.diagnosis import Diagnosis
from componentrun.core.queue.admission import FRONT
from componentrun.errors import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.core.queue.admission import Turn

__all__ = ["TOLD_EVERY_SECONDS", "forbidden", "look_again", "queued", "replaced", "replacement"]

TOLD_EVERY_SECONDS: Final = 10
"""A run's place is not written more often than that."""
_BACKSTOP_SECONDS: Final = 30
"""The first in line looks whether it is its turn though nothing has happened: a lost node's pod holds a place until a
time, and no event says that it has come."""


def queued(run: ComponentRun, turn: Turn, now: datetime) -> ComponentRunStatus:
    """The run waits; unchanged where it is not worth a write."""
    if turn.waiting_for is None or not _worth_telling(run.status.queue, turn, now):
        return run.status
    status = moved(run, "Queued", Reason.QUEUED, _sentence(turn), now=now)
    told = QueueStatus(
        waiting_for=turn.waiting_for,
        position=max(turn.position, 1),
        group=turn.group,
        number=turn.number or None,
        updated=now,
    )
    return status.model_copy(update={"queue": told})


def look_again(run: ComponentRun, turn: Turn, now: datetime) -> datetime | None:
    """When a run that waits is looked at though nothing happens; None: never."""
    if turn.position > FRONT:
        return None
    told = run.status.queue
    if told is not None and told.position != turn.position and not _worth_telling(told, turn, now):
        return told.updated + timedelta(seconds=TOLD_EVERY_SECONDS)
    return now + timedelta(seconds=_BACKSTOP_SECONDS) if turn.position == 1 else None


def forbidden(turn: Turn) -> Diagnosis:
    """How a run with the policy Forbid ends where others are there before it."""
    message = (
        f"Run `{turn.ahead[0]}` of concurrency group `{turn.group}` was there before, and this one's policy is Forbid: "
        "it did not start. Create it again when the other one has ended."
    )
    return Diagnosis(Reason.CONCURRENCY_FORBIDDEN, message)


def replaced(turn: Turn) -> Diagnosis:
    """How a run that has no pod, before its first attempt or between two, ends where a newer one takes its place."""
    return Diagnosis(Reason.REPLACED, f"{_taken_by(turn)} while it had no pod; nothing was published.")


def replacement(turn: Turn, now: datetime) -> Termination | None:
    """The decision to stop a run where a newer one takes its place."""
    if turn.replaced_by is None:
        return None
    return Termination(reason=Reason.REPLACED, message=f"{_taken_by(turn)}.", time=now)


def _taken_by(turn: Turn) -> str:
    return f"Run `{turn.replaced_by}` of concurrency group `{turn.group}`, whose policy is Replace, took its place"


def _worth_telling(told: QueueStatus | None, turn: Turn, now: datetime) -> bool:
    if told is None or told.position is None:
        return True
    if (told.waiting_for, told.group) != (turn.waiting_for, turn.group):
        return True
    if now < told.updated + timedelta(seconds=TOLD_EVERY_SECONDS):
        return False
    return told.position != turn.position if turn.position <= FRONT else 2 * turn.position <= told.position


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
