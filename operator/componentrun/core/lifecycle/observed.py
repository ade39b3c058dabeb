"""What the reconciler has seen when it asks `core.lifecycle.plan` what to do: plain frozen facts, no clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from componentrun.contract import EVENTS_WAIT_SECONDS
from componentrun.core.queue.admission import START, Turn

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun

__all__ = ["ContainerView", "Limits", "Observed", "PodView"]


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container's status."""

    name: str
    state: Literal["waiting", "running", "terminated"]
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    image_id: str = ""
    restarts: int = 0
    ran_before: bool = False
    """It has a last state: a kubelet that lost sight of a container that ran says `waiting` of it (seen)."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod's status, sorted once so that no later step looks at raw JSON."""

    name: str
    uid: str
    attempt: int
    created: datetime
    phase: str
    """The pod's own phase; it ignores a sidecar's exit code, so decisions read the containers."""
    node: str = ""
    reason: str = ""
    message: str = ""
    scheduled: bool = False
    gates: tuple[str, ...] = ()
    """Scheduling gates: no scheduler looks at the pod before the last of them is taken away."""
    admitted_at: datetime | None = None
    """When the operator saw that the last gate was gone; None where there was none."""
    scheduled_at: datetime | None = None
    """When it got its node, which may have been made for it; None where it has none, or nobody says."""
    unschedulable: str = ""
    """The scheduler's message while no node fits."""
    disruption: str = ""
    """Reason of the condition DisruptionTarget: EvictionByEvictionAPI, PreemptionByScheduler, ..."""
    disruption_said: str = ""
    """Its message."""
    disrupted_at: datetime | None = None
    """When the condition was set. The kubelet's own disruption does not start the timer: it sets this time
    anew when all containers have ended (Kubernetes, status_manager.go, mergePodStatus)."""
    deleted_at: datetime | None = None
    """metadata.deletionTimestamp: when the grace period ends."""
    deletion_grace_seconds: int | None = None
    deletion_asked_at: datetime | None = None
    """When somebody first asked for its deletion; the kubelet's own, last one gives `deleted_at` another meaning."""
    heard: bool = True
    """The kubelet knows of the deletion; so, too, where a kubelet tells no generation (Kubernetes before 1.34)."""
    gone: bool = False
    """Whether it disappeared from watch and listing; this is its last known state. It may still exist: a watch with a
    label selector reports DELETED when a pod loses a label."""
    confirmed: bool = False
    """Whether a request by name has confirmed that it does not exist."""
    mislabelled: bool = False
    """Whether one of the labels that select it is missing or changed, so that watches may not report its changes."""
    clock_ahead: timedelta = timedelta()
    """By how much its node's clock is ahead, at least: a container can't have begun after it was seen to have."""
    missed: bool = False
    """Nobody saw it go: it may have come further than this."""
    group: str = ""
    """The concurrency group of its run, as was fixed when it was made; empty: none."""
    counted: bool = True
    """Whether it counts towards the namespace's limit."""
    timeout_seconds: int = 0
    """Timeout of its component, fixed when the pod was created."""
    upload_seconds: int = 0
    """Timeout of stage-out, fixed when the pod was created."""
    stage_in: ContainerView | None = None
    stage_out: ContainerView | None = None
    component: ContainerView | None = None

    @property
    def ended(self) -> bool:
        """Whether its kubelet has said that all its containers ended, and none is started again."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def available(self) -> datetime:
        """From when on the cluster could have started it."""
        return self.admitted_at or self.created

    @property
    def placed(self) -> datetime:
        """From when on its node could have started it; where it has none, the same."""
        return max(self.available, self.scheduled_at or self.available)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the operator waits for what; seconds. Set in the chart."""

    pending: float = 600
    """For a node."""
    image_pull: float = 60
    """For an image whose pull fails, from when it was asked for first (when the pod got its node)."""
    stop_grace: float = 30
    """For a component that is stopped, from SIGTERM to SIGKILL."""
    stop_upload: float = 60
    """Added to that where a run has `writeAlways` tables, so that stage-out can save them."""
    events_wait: float = EVENTS_WAIT_SECONDS
    """For the collector, before a finished pod is deleted all the same."""
    start_retry: float = 120
    """For a store or an API server that is away when a run starts or publishes."""
    stage_in: float = 3600
    """For stage-in and what follows it, from its start to the component's."""
    pod_missing: float = 30
    """For a pod that was created but is not in the cache, from the attempt's start."""
    node_lost: float = 60
    """For a pod that is still there though its deletion, or its upload, should be over; and for its kubelet to hear of
    the deletion."""
    publish_retry: float = 3600
    """For a loader, a catalog or a store that went away when something of the run's output may have been published."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One run, its current attempt's pod if there is one (or was, see `PodView.gone`), and the time."""

    run: ComponentRun
    pod: PodView | None
    now: datetime
    limits: Limits
    earlier: tuple[PodView, ...] = ()
    """Other pods of the run that are still there: those of earlier attempts."""
    turn: Turn = START
    """Whether it may start, where it has not; whether another one takes its place."""
    granted: bool = True
    """The pod's Secret is known to be there."""
    pod_was_read: bool = False
    """Whether the pod was just read from the API server by name, so that a missing pod does not exist."""
    over_unread_limit: frozenset[str] = frozenset()
    """Uids of finished, unread pods that exceed the limit of their node, because they ended first."""
    acting_since: datetime | None = None
    """When this operator began to act: what the collector is given to read a log begins no earlier, as both may have
    been away. None: long ago."""
