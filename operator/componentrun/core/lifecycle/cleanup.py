"""When a pod is deleted: after its events are delivered, or when the wait for them is over.

A finished pod is cheap: the scheduler, the kubelet's pod limit and a ResourceQuota of `pods` do not count it. It only
uses disk for its logs and a place in the kubelet's lists. So it is kept for a long time if its lines were not read, up
to a limit for each node (`Observed.over_unread_limit`). A working collector needs seconds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.common import duration_seconds
from componentrun.core.lifecycle.actions import DeletePod, UnreadPod

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRunStatus
    from componentrun.core.lifecycle.observed import Observed
    from componentrun.core.limits import Limits
    from componentrun.core.podstatus.facts import PodFacts
    from componentrun.core.podstatus.view import PodView

__all__ = [
    "KILL_GRACE_SECONDS",
    "dismiss",
    "earliest",
    "events_late_at",
    "events_waited_for",
    "is_over_unread_limit",
    "kept_until",
    "kill",
    "leftovers",
    "unread_pod",
]

KILL_GRACE_SECONDS: Final = 1
"""Shortest grace period of a deletion. Not 0, which removes the object before its containers have stopped."""

_LATE_SECONDS: Final = 60
"""A working collector has delivered the last lines by then. Before that, the status does not mention the wait, and no
pod is deleted because of the limit."""


def kill(pod: PodView) -> tuple[DeletePod, ...]:
    """Delete the pod with the shortest grace period, unless that was already requested."""
    if pod.is_being_deleted_within(KILL_GRACE_SECONDS):
        return ()
    return (DeletePod(pod.name, pod.uid, KILL_GRACE_SECONDS),)


def dismiss(pod: PodView, limits: Limits) -> tuple[DeletePod, ...]:
    """Stop the pod of a deleted run as any other pod that is stopped, unless its deletion was already requested.

    If the garbage collector is faster (seen: one in six), it deletes the pod with its own grace period, the ten minutes
    that are meant for an upload, and the kubelet honours that (decision 0010). If the run was deleted without its
    dependents (`--cascade=orphan`), only the operator deletes its pods.
    """
    if pod.gone or pod.deleted_at is not None:
        return ()
    grace = max(KILL_GRACE_SECONDS, int(limits.stop_grace)) if pod.component.is_running else KILL_GRACE_SECONDS
    return (DeletePod(pod.name, pod.uid, grace),)


def events_waited_for(o: Observed, pod: PodView | None, end: datetime) -> datetime:
    """Until when to wait for the collector to read what was printed before this time.

    The wait starts again when an operator restarts. It is short if the pod exceeds the limit of its node, or if a
    container (a sidecar that nobody stops) still runs, because that uses resources and may delay the next attempt. A
    pod with a deletion timestamp goes by itself, so a short wait would gain nothing.
    """
    runs_on = pod is not None and not (pod.gone or pod.is_terminal or pod.deleted_at is not None)
    if runs_on or is_over_unread_limit(o, pod):
        return events_late_at(o, end)
    return _waits_since(o, end) + timedelta(seconds=o.limits.events_wait)


def is_over_unread_limit(o: Observed, pod: PodView | None) -> bool:
    """Whether the pod exceeds the limit of unread pods on its node."""
    return pod is not None and pod.uid in o.over_unread_limit


def events_late_at(o: Observed, end: datetime) -> datetime:
    """When a working collector has delivered what was printed before this time."""
    return _waits_since(o, end) + timedelta(seconds=min(_LATE_SECONDS, o.limits.events_wait))


def _waits_since(o: Observed, end: datetime) -> datetime:
    return max(end, o.acting_since or end)


def unread_pod(pod: PodView | None, end: datetime) -> tuple[UnreadPod, ...]:
    """The pod, if it has finished and is kept only for its last lines."""
    if pod is None or pod.gone or not pod.is_terminal or pod.deleted_at is not None:
        return ()
    return (UnreadPod(pod.uid, pod.node, end),)


def kept_until(o: Observed, pod: PodFacts, end: datetime) -> datetime:
    """Until when the last attempt's pod is kept although its events are delivered; the run's end if it is not kept."""
    ttl = o.run.spec.pod_ttl_after_finished
    if ttl is None or not pod.has_finished:
        return end
    return end + timedelta(seconds=duration_seconds(ttl))


def leftovers(o: Observed) -> tuple[tuple[DeletePod, ...], datetime | None, tuple[UnreadPod, ...]]:
    """Deletions of pods whose attempts are followed by another one, when to plan again, and the pods that are kept.

    A pod whose attempt is not in the status was created by an operator that had been superseded; it is deleted at once.
    """
    attempts = {attempt.pod_uid: attempt for attempt in o.run.status.attempts}
    delivered = _delivered(o.run.status)
    actions: tuple[DeletePod, ...] = ()
    times: list[datetime | None] = []
    kept: tuple[UnreadPod, ...] = ()
    for pod in _replaced(o):
        attempt = attempts.get(pod.uid)
        end = (attempt.completion_time or attempt.start_time) if attempt is not None else o.now
        due = events_waited_for(o, pod, end)
        if attempt is None or attempt.number <= delivered or o.now >= due:
            actions += kill(pod)
        else:
            times.append(due)
            kept += unread_pod(pod, end)
    return actions, earliest(*times), kept


def earliest(*times: datetime | None) -> datetime | None:
    """The earliest of the times that are not None; None if there is none."""
    return min((time for time in times if time is not None), default=None)


def _delivered(status: ComponentRunStatus) -> int:
    """Number of the last attempt whose events are all delivered."""
    if status.events is None:
        return 0
    return len(status.attempts) if status.events.delivered else status.events.attempts


def _replaced(o: Observed) -> Iterator[PodView]:
    """Existing pods that no rule considers any more. A pod of a later attempt is being started."""
    status = o.run.status
    last = status.attempts[-1].number if status.attempts else 0
    if status.next_attempt_time is not None and o.pod is not None and not o.pod.gone and o.pod.attempt <= last:
        yield o.pod
    yield from (pod for pod in o.earlier if pod.attempt <= last)
