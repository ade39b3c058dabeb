"""Whether another attempt follows one that failed, when it begins, and what has to be over before.

- What happened before the component had started is retried by its reason (`errors.RETRIED_BEFORE_START`). That it had
  not started must be certain: what nobody saw, or what a node that does not answer may still do, counts as a start.
- A component that has started is started again only for the reasons that `retry.afterStart` names.
- When the next attempt begins is written down before it is waited for, and follows from the run and the number of the
  attempt alone: whoever asks again gets the same time.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from componentrun.api.common import duration_seconds
from componentrun.api.retry import Retry
from componentrun.contract import RETRY_WINDOW_SECONDS
from componentrun.core.lifecycle import conditions
from componentrun.core.lifecycle.ending import with_end
from componentrun.core.lifecycle.steps import moved
from componentrun.core.podstatus.facts import failed_stage_in
from componentrun.core.podstatus.stuck import given_up_at
from componentrun.errors import RETRIED_BEFORE_START, RETRIED_IF_NAMED, Reason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.api.retry import Backoff
    from componentrun.core.lifecycle.observed import Limits, PodView
    from componentrun.core.podstatus.diagnosis import Diagnosis

__all__ = [
    "another_attempt",
    "backoff_seconds",
    "in_the_way",
    "may_have_started",
    "policy",
    "was_seen_running",
    "worth_another",
]

_RAN: Final = frozenset({"Running", "StagingOut", "Publishing"})


def policy(run: ComponentRun) -> Retry:
    """What decides: the run's own, its Component's as it was when the run began, or the default."""
    return run.spec.retry or run.status.retry or Retry()


def another_attempt(
    run: ComponentRun, pod: PodView | None, found: Diagnosis, now: datetime
) -> ComponentRunStatus | None:
    """The status of a run whose attempt has ended and is followed by another one; None where none follows.

    Args:
        run: the run, with an attempt.
        pod: of the attempt, ended; None where that is not known.
        found: how the attempt ended.
        now: the time.
    """
    started = may_have_started(pod) or was_seen_running(run)
    if not worth_another(run, found.reason, now, started=started):
        return None
    number = run.status.attempts[-1].number
    begins = _begins(run, number, now)
    of = f"{number} of at most {policy(run).limit + 1}"
    message = f"Attempt {of} ended with {found.reason}; the next one begins at {begins:%H:%M:%S} UTC. {found.message}"
    fresh = run.status.model_copy(
        update={
            "attempts": with_end(run.status, found, now),
            "next_attempt_time": begins,
            # What the attempt left; the next one begins with nothing.
            "termination": None,
            "image_digest": None,
            "result_message": None,
            "conditions": tuple(c for c in run.status.conditions if c.type != conditions.STAGED_IN),
        }
    )
    return moved(run.model_copy(update={"status": fresh}), "Queued", Reason.RETRYING, message, now=now)


def worth_another(run: ComponentRun, reason: Reason, now: datetime, *, started: bool) -> bool:
    """Whether an attempt that ends so is followed by another one."""
    chosen, status = policy(run), run.status
    if run.spec.cancel or not status.attempts or status.attempts[-1].number > chosen.limit:
        return False
    named = reason in RETRIED_IF_NAMED and reason.value in chosen.after_start
    if not named and (started or reason not in RETRIED_BEFORE_START):
        return False
    window = timedelta(seconds=RETRY_WINDOW_SECONDS)
    return _begins(run, status.attempts[-1].number, now) <= status.attempts[0].start_time + window


def may_have_started(pod: PodView | None) -> bool:
    """Whether the component of a pod that has ended may have run, or may do so yet.

    Certain is only what the kubelet said last (it ends a pod that is deleted as Failed before it lets it go), what
    follows from a failed init container, and that a pod without a node was never run.
    """
    if pod is None or pod.missed:
        return True
    component = pod.component
    if component is not None and (component.state != "waiting" or component.restarts or component.ran_before):
        return True
    if pod.ended or (pod.gone and not pod.node):
        return False
    stage_in = pod.stage_in
    return stage_in is None or not failed_stage_in(stage_in) or stage_in.exit_code == 0


def in_the_way(pod: PodView | None, limits: Limits, now: datetime) -> datetime | None:
    """Until when the next attempt waits for the end of the last one's containers; None where nothing is waited for.

    A node that does not answer is not waited for without end. What its pod still does is never published: each attempt
    writes to a place of its own, and the operator publishes only what the latest attempt left.
    """
    if pod is None or pod.gone or pod.ended:
        return None
    lost = given_up_at(pod, limits)
    if lost is None:
        return now + timedelta(seconds=limits.node_lost)
    return None if now >= lost else lost


def backoff_seconds(run_uid: str, attempt: int, backoff: Backoff) -> float:
    """Seconds between the end of this attempt and the begin of the next: doubled each time, up to half of it by chance.

    The chance is the run's and the attempt's own, so that runs that failed together do not come again together, and
    that the same question has the same answer.
    """
    longest = duration_seconds(backoff.max)
    whole = min(longest, duration_seconds(backoff.initial) << (attempt - 1))
    digest = sha256(f"{run_uid} {attempt}".encode()).digest()
    chance = int.from_bytes(digest[:4]) / 2**32
    return whole * (1 + chance) / 2


def was_seen_running(run: ComponentRun) -> bool:
    """Whether the last attempt's component was seen to run, whatever its pod says now."""
    begin = run.status.attempts[-1].start_time if run.status.attempts else None
    return begin is not None and any(item.phase in _RAN and item.start_time >= begin for item in run.status.phases)


def _begins(run: ComponentRun, attempt: int, now: datetime) -> datetime:
    return now + timedelta(seconds=backoff_seconds(run.metadata.uid, attempt, policy(run).backoff))
