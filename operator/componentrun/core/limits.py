"""How long the operator waits for what. Set in the chart (`operator.limits`)."""

from __future__ import annotations

from dataclasses import dataclass

from componentrun.contract import EVENTS_WAIT_SECONDS

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the operator waits for what, in seconds."""

    pending: float = 600
    """For a node and a kubelet, until stage-in starts."""
    image_pull: float = 60
    """For an image whose pull fails, from its first request, when the pod was bound to its node."""
    stop_grace: float = 30
    """For a component that is being stopped, from SIGTERM to SIGKILL."""
    stop_upload: float = 60
    """Added to `stop_grace` if the run has `writeAlways` tables, so that stage-out can upload them."""
    events_wait: float = EVENTS_WAIT_SECONDS
    """For the collector to read the lines of a finished pod, before the pod is deleted anyway."""
    start_retry: float = 120
    """For a store or an API server that does not respond when a run starts or publishes."""
    stage_in: float = 3600
    """For stage-in and the pull of the component's image, from the start of stage-in to that of the component."""
    pod_missing: float = 30
    """For a pod that was created but has not reached the cache, from the start of its attempt."""
    node_lost: float = 60
    """For a pod that still exists although its deletion or its upload should be over, and for its kubelet to notice the
    deletion."""
    publish_retry: float = 3600
    """For a loader, a catalog or a store that stopped responding when part of the output may have been published."""
