"""When a pod goes: after its events are delivered, or when the wait for that is over, and never while it is of use.

A finished pod is cheap: the scheduler, the kubelet's pod limit and a ResourceQuota of `pods` do not count it. It only
uses disk for its logs and a place in the kubelet's lists. So it is kept for a long time if its lines were not read, up
to a limit for each node (`Observed.over_unread_limit`). A working collector needs seconds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.common import duration_seconds
from componentrun.core.lifecycle.actions import DeletePod, UnreadPod
from componentrun.core.podstatus.stuck import has_ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRunStatus
    from componentrun.core.lifecycle.observed import Limits, Observed, PodView

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
"""Grace of a deletion that is to end it. Not 0: that removes the object before the containers have been stopped."""

_LATE_SECONDS: Final = 60
"""A working collector has delivered the last lines by then. Before that, the status does not mention the wait, and no
pod is deleted because of the limit."""


def kill(pod: PodView) -> tuple[DeletePod, ...]:
    """Delete the pod with next to no grace, unless that was done already."""
    asked = pod.deleted_at is not None and (pod.deletion_grace_seconds or 0) <= KILL_GRACE_SECONDS
    return () if asked else (DeletePod(pod.name, pod.uid, KILL_GRACE_SECONDS),)


def dismiss(pod: PodView, limits: Limits) -> tuple[DeletePod, ...]:
    """Have the pod of a run that is deleted end as any pod that is stopped, unless it was told to go already.

    The garbage collector does it with the pod's own grace period, the ten minutes that are meant for an upload, where
    it is faster (seen: one in six); then the kubelet obeys that (decision 0010). Where the run was deleted without its
    dependents (`--cascade=orphan`), nobody else does.
    """
    if pod.gone or pod.deleted_at is not None:
        return ()
    running = pod.component is not None and pod.component.state == "running"
    grace = max(KILL_GRACE_SECONDS, int(limits.stop_grace)) if running else KILL_GRACE_SECONDS
    return (DeletePod(pod.name, pod.uid, grace),)


def events_waited_for(o: Observed, pod: PodView | None, end: datetime) -> datetime:
    """Until when to wait for the collector to read what was printed before this time.

    The wait starts again when an operator restarts. It is short if the pod exceeds the limit of its node, or if a
    container (a sidecar that nobody stops) still runs, because that uses resources and may delay the next attempt. A
    pod with a deletion timestamp goes by itself, so a short wait would gain nothing.
    """
    runs_on = pod is not None and not (pod.gone or pod.ended or pod.deleted_at is not None)
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
    if pod is None or pod.gone or not pod.ended or pod.deleted_at is not None:
        return ()
    return (UnreadPod(pod.uid, pod.node, end),)


def kept_until(o: Observed, pod: PodView, end: datetime) -> datetime:
    """Until when the last attempt's pod stays though its events are delivered; the run's end where it does not stay."""
    ttl = o.run.spec.pod_ttl_after_finished
    if ttl is None or not has_ended(pod, o.limits, o.now):
        return end
    return end + timedelta(seconds=duration_seconds(ttl))


def leftovers(o: Observed) -> tuple[tuple[DeletePod, ...], datetime | None, tuple[UnreadPod, ...]]:
    """What is to be done about pods of attempts that another one follows, when to look again, and which are kept.

    A pod whose attempt the status does not know was made by an operator that had been superseded: it goes at once.
    """
    known = {attempt.pod_uid: attempt for attempt in o.run.status.attempts}
    delivered = _delivered(o.run.status)
    actions: tuple[DeletePod, ...] = ()
    times: list[datetime | None] = []
    kept: tuple[UnreadPod, ...] = ()
    for pod in _replaced(o):
        attempt = known.get(pod.uid)
        end = (attempt.completion_time or attempt.start_time) if attempt is not None else o.now
        due = events_waited_for(o, pod, end)
        if attempt is None or attempt.number <= delivered or o.now >= due:
            actions += kill(pod)
        else:
            times.append(due)
            kept += unread_pod(pod, end)
    return actions, earliest(*times), kept


def earliest(*times: datetime | None) -> datetime | None:
    """The first of the times that are given; None where none is."""
    return min((time for time in times if time is not None), default=None)


def _delivered(status: ComponentRunStatus) -> int:
    """Up to which attempt all events are delivered."""
    if status.events is None:
        return 0
    return len(status.attempts) if status.events.delivered else status.events.attempts


def _replaced(o: Observed) -> Iterator[PodView]:
    """Pods that are there and that no decision looks at any more. One of a later attempt is being started."""
    status = o.run.status
    last = status.attempts[-1].number if status.attempts else 0
    if status.next_attempt_time is not None and o.pod is not None and not o.pod.gone and o.pod.attempt <= last:
        yield o.pod
    yield from (pod for pod in o.earlier if pod.attempt <= last)
