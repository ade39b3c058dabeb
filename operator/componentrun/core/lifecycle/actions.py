"""The actions of a plan. Every action can be repeated without harm."""

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
    """Write this status: all fields except `events`, which belongs to the collector.

    Nothing is written if nothing changed. The write carries the observed resourceVersion, so that a cancel in between
    is never missed.
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

    Stops at the first error. Repeated if the pod exists but is not recorded in the status yet.
    """

    number: int


@dataclass(frozen=True, slots=True)
class GiveGrants:
    """Create the Secret of the attempt's recorded pod if it is missing: the pod can't start without it."""

    number: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish what the attempt uploaded (only after phase Publishing is in the status), then write the final status."""

    attempt: int
    write_always_only: bool
    """Publish only the `writeAlways` tables, because the component failed."""


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete exactly this pod."""

    name: str
    uid: str
    grace_seconds: int | None
    """Grace period of the deletion; None for the pod's own."""


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete the run itself, because its time to live is over."""


@dataclass(frozen=True, slots=True)
class KubernetesEvent:
    """A Kubernetes Event about a life-cycle change. Sent only after the status write succeeded."""

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
    """Actions in order, and when to plan again if nothing happens before."""

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    unread_pods: tuple[UnreadPod, ...] = ()
    """Finished pods that are kept until the collector has read their last lines."""
