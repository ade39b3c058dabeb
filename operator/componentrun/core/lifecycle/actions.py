"""What the reconciler is told to do. Every action can be repeated without harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRunStatus

__all__ = [
    "Action",
    "DeletePod",
    "DeleteRun",
    "GiveGrants",
    "KubernetesEvent",
    "LookAtPod",
    "Plan",
    "Publish",
    "StartAttempt",
    "UnreadPod",
    "WriteStatus",
]


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Make this the run's status: all fields but `events`, which is the collector's.

    Nothing is written where nothing changed. Written with the resourceVersion that was observed, so that a cancel in
    between is never overlooked.
    """

    status: ComponentRunStatus


@dataclass(frozen=True, slots=True)
class LookAtPod:
    """Read this pod by name from the API server instead of the cache, then plan again.

    It is the only action of its plan. If the pod exists and its labels were changed, they are restored.
    """

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Prepare Storage, network policy and pod of this attempt, write the status, then give the pod its Secret.

    Stops at the first error. Repeated where the pod is there but the status does not know it yet.
    """

    number: int


@dataclass(frozen=True, slots=True)
class GiveGrants:
    """See to it that the pod of this attempt, which the status knows, has its Secret: it can't start without."""

    number: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish what the attempt uploaded (only after phase Publishing is in the status), then write the final status."""

    attempt: int
    write_always_only: bool
    """The component failed: only its `writeAlways` tables."""


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete exactly this pod."""

    name: str
    uid: str
    grace_seconds: int | None
    """None: the pod's own grace period."""


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete the run itself; its time to live is over."""


@dataclass(frozen=True, slots=True)
class KubernetesEvent:
    """Tell `kubectl describe` about a life-cycle change. Sent only after the status write succeeded."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class UnreadPod:
    """A pod that has ended and is kept until the collector has delivered its last lines."""

    uid: str
    node: str
    ended: datetime


Action = WriteStatus | LookAtPod | StartAttempt | GiveGrants | Publish | DeletePod | DeleteRun | KubernetesEvent


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in their order, and when to look again if nothing happens before."""

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    unread_pods: tuple[UnreadPod, ...] = ()
    """Finished pods that are kept until the collector has read their last lines."""
