"""Whether another attempt follows one that failed, when it begins, and what has to be over before.

- A failure before the component started is retried depending on its reason (`reasons.RETRIED_BEFORE_START`). It must
  be certain that it had not started: an unobserved pod, or a node that does not respond, counts as a start. So does a
  refused pod, unless its refusal was seen to be the first thing that its kubelet did with it (decision 0092).
- A component that has started is started again only for the reasons in `retry.afterStart`.
- The start time of the next attempt is recorded before it is waited for. It depends only on the run and the number of
  the attempt, so every call returns the same time.
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
from componentrun.core.lifecycle.steps import with_phase_and_reason
from componentrun.core.lifecycle.stepstatus import steps_to_repeat
from componentrun.reasons import RETRIED_BEFORE_START, RETRIED_IF_NAMED, Reason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.api.retry import Backoff
    from componentrun.core.podstatus.facts import PodFacts
    from componentrun.core.podstatus.verdict import Diagnosis

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
    """The retry policy: the run's own, its Component's when the run started, or the default."""
    return run.spec.retry or run.status.retry or Retry()


def another_attempt(
    run: ComponentRun, pod: PodFacts | None, found: Diagnosis, now: datetime
) -> ComponentRunStatus | None:
    """The status of a run whose attempt is followed by another one; None if no attempt follows.

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
    summary = f"Attempt {of} ended with {found.reason}; the next one begins at {begins:%H:%M:%S} UTC. {found.summary}"
    fresh = run.status.model_copy(
        update={
            "attempts": with_end(run.status, found, now),
            "next_attempt_time": begins,
            # What the attempt left; the next one begins with nothing but the digests of its images.
            "termination": None,
            "image_digest": None,
            "steps": steps_to_repeat(run.status.steps),
            "result_message": None,
            "conditions": tuple(c for c in run.status.conditions if c.type != conditions.STAGED_IN),
        }
    )
    return with_phase_and_reason(
        run.model_copy(update={"status": fresh}), "Queued", Reason.RETRYING, summary, now=now, advice=found.advice
    )


def worth_another(run: ComponentRun, reason: Reason, now: datetime, *, started: bool) -> bool:
    """Whether an attempt that ends with this reason is followed by another one."""
    chosen, status = policy(run), run.status
    if run.spec.cancel or not status.attempts or status.attempts[-1].number > chosen.limit:
        return False
    named = reason in RETRIED_IF_NAMED and reason.value in chosen.after_start
    if not named and (started or reason not in RETRIED_BEFORE_START):
        return False
    window = timedelta(seconds=RETRY_WINDOW_SECONDS)
    return _begins(run, status.attempts[-1].number, now) <= status.attempts[0].start_time + window


def may_have_started(pod: PodFacts | None) -> bool:
    """Whether the component of a pod that has ended, or is not known, may have run or may still do so."""
    return pod is None or pod.may_have_run_component


def in_the_way(pod: PodFacts | None) -> datetime | None:
    """Until when the next attempt waits for the end of the last one's containers; None if it need not wait.

    A node that does not respond is not waited for indefinitely. What its pod still does is never published: each
    attempt writes below its own prefix, and the operator publishes only what the latest attempt left.
    """
    if pod is None or pod.view.gone or pod.view.is_terminal:
        return None
    if pod.given_up_at is None:
        return pod.now + timedelta(seconds=pod.limits.node_lost)
    return None if pod.is_given_up else pod.given_up_at


def backoff_seconds(run_uid: str, attempt: int, backoff: Backoff) -> float:
    """Seconds between the end of this attempt and the start of the next: doubled each time, up to half of it random.

    The random part is derived from the run and the attempt, so that runs that failed together do not retry together,
    and every call returns the same value.
    """
    longest = duration_seconds(backoff.max)
    whole = min(longest, duration_seconds(backoff.initial) << (attempt - 1))
    digest = sha256(f"{run_uid} {attempt}".encode()).digest()
    chance = int.from_bytes(digest[:4]) / 2**32
    return whole * (1 + chance) / 2


def was_seen_running(run: ComponentRun) -> bool:
    """Whether the last attempt's component was seen running, whatever its pod says now."""
    begin = run.status.attempts[-1].start_time if run.status.attempts else None
    return begin is not None and any(item.phase in _RAN and item.start_time >= begin for item in run.status.phases)


def _begins(run: ComponentRun, attempt: int, now: datetime) -> datetime:
    return now + timedelta(seconds=backoff_seconds(run.metadata.uid, attempt, policy(run).backoff))
