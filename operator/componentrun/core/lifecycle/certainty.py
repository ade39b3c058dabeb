"""Decides whether a pod must be read from the API server before anything is concluded about its run.

The absence of a watch event proves nothing: the watch selects by labels, which can be edited, and it may be behind or
stand still. So a missing pod or an overdue event counts only after a request for that pod. If the end of the pod was
observed, no request is needed, so a run that ends normally costs none. Decision 0040 lists the rules.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from componentrun.core.lifecycle.actions import LookAtPod
from componentrun.core.lifecycle.ending import is_terminal
from componentrun.core.podstatus.stuck import is_overdue

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import Attempt
    from componentrun.core.lifecycle.observed import Observed
    from componentrun.core.podstatus.facts import PodFacts

__all__ = ["pod_to_read"]


def pod_to_read(o: Observed) -> LookAtPod | None:
    """The pod to read before planning; None if the observations are sufficient."""
    if o.pod_was_read:
        return None
    if o.pod is not None and o.pod.mislabelled and not o.pod.gone:
        return LookAtPod(o.pod.name, o.pod.uid)
    status = o.run.status
    if is_terminal(status) or not status.attempts or status.phase == "Publishing":
        return None
    last = status.attempts[-1]
    if status.next_attempt_time is not None:
        is_needed = _before_the_next(o, o.attempt_pod, status.next_attempt_time)
    else:
        is_needed = _during(o, o.attempt_pod, last)
    return LookAtPod(last.pod, last.pod_uid or "") if is_needed else None


def _during(o: Observed, pod: PodFacts | None, attempt: Attempt) -> bool:
    """Whether the attempt would be ended or stopped without an observed cause."""
    if pod is None:
        return o.now >= attempt.start_time + timedelta(seconds=o.limits.pod_missing)
    if pod.view.gone:
        return not pod.view.confirmed and (not pod.is_complete or pod.is_unfinished)
    return not pod.is_complete and is_overdue(pod, is_stopping=o.run.status.termination is not None)


def _before_the_next(o: Observed, pod: PodFacts | None, begins: datetime) -> bool:
    """Whether another attempt would begin although the end of this one's containers was not observed."""
    if o.run.spec.cancel or o.now < begins:
        return False
    if pod is None:
        return True
    if pod.view.gone:
        return not pod.view.confirmed and not pod.view.is_terminal
    return not pod.view.is_terminal and pod.is_given_up
