"""When a pod goes: after its events are delivered, or when the wait for that is over, and never while it is of use."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.common import duration_seconds
from componentrun.core.actions import DeletePod
from componentrun.core.waiting import has_ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRunStatus
    from componentrun.core.observed import Limits, Observed, PodView

__all__ = ["KILL_GRACE_SECONDS", "dismiss", "earliest", "events_waited_for", "kept_until", "kill", "leftovers"]

KILL_GRACE_SECONDS: Final = 1
"""Grace of a deletion that is to end it. Not 0: that removes the object before the containers have been stopped."""


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


def events_waited_for(o: Observed, end: datetime) -> datetime:
    """Until when the collector may read what was printed before this time. Not over when an operator comes back."""
    return max(end, o.acting_since or end) + timedelta(seconds=o.limits.events_wait)


def kept_until(o: Observed, pod: PodView, end: datetime) -> datetime:
    """Until when the last attempt's pod stays though its events are delivered; the run's end where it does not stay."""
    ttl = o.run.spec.pod_ttl_after_finished
    if ttl is None or not has_ended(pod, o.limits, o.now):
        return end
    return end + timedelta(seconds=duration_seconds(ttl))


def leftovers(o: Observed) -> tuple[tuple[DeletePod, ...], datetime | None]:
    """What is to be done about pods of attempts that another one follows, and when to look at them again.

    A pod whose attempt the status does not know was made by an operator that had been superseded: it goes at once.
    """
    known = {attempt.pod_uid: attempt for attempt in o.run.status.attempts}
    delivered = _delivered(o.run.status)
    actions: tuple[DeletePod, ...] = ()
    times: list[datetime | None] = []
    for pod in _replaced(o):
        attempt = known.get(pod.uid)
        due = events_waited_for(o, (attempt.completion_time or attempt.start_time) if attempt is not None else o.now)
        if attempt is None or attempt.number <= delivered or o.now >= due:
            actions += kill(pod)
        else:
            times.append(due)
    return actions, earliest(*times)


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
