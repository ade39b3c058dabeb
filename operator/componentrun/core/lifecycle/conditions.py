"""The run's conditions, as the Kubernetes API conventions want them (sig-architecture/api-conventions.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api.common import Condition
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = [
    "ACCEPTED",
    "EVENTS_DELIVERED",
    "PUBLISHED",
    "STAGED_IN",
    "SUCCEEDED",
    "find",
    "is_settled",
    "refused",
    "with_condition",
]

ACCEPTED: Final = "Accepted"
"""False while an operator does not understand the run, or what it names, as in the Gateway API; else it need not be
there. Not `Stalled`: whoever waits with kstatus would take that for a failure."""
SUCCEEDED: Final = "Succeeded"
STAGED_IN: Final = "StagedIn"
PUBLISHED: Final = "Published"
EVENTS_DELIVERED: Final = "EventsDelivered"

_MAX_MESSAGE: Final = 32_768
"""As the CRD says."""


def find(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """The condition of this type, if it is there."""
    return next((condition for condition in conditions if condition.type == kind), None)


def is_settled(conditions: Sequence[Condition], kind: str) -> bool:
    """Whether the condition of this type is there, and will not change any more."""
    found = find(conditions, kind)
    return found is not None and found.status != "Unknown"


def refused(status: Any, problem: str, generation: int, now: datetime) -> list[Any] | None:
    """The conditions of a status that may hold anything, with Accepted False; None where they say so already.

    Args:
        status: as the API server sent it.
        problem: what is not understood.
        generation: of the object.
        now: the time.
    """
    given = status.get("conditions") if isinstance(status, dict) else None
    there = given if isinstance(given, list) else []
    old = next((item for item in there if isinstance(item, dict) and item.get("type") == ACCEPTED), {})
    if (old.get("status"), old.get("message")) == ("False", problem):
        return None
    since = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    new = old | {
        "type": ACCEPTED, "status": "False", "reason": Reason.UNSUPPORTED_VALUE.value, "message": problem,
        "lastTransitionTime": old.get("lastTransitionTime", since) if old.get("status") == "False" else since,
        "observedGeneration": generation,
    }  # fmt: skip
    return [*(item for item in there if item is not old), new]


def with_condition(
    conditions: Sequence[Condition],
    kind: str,
    status: Literal["True", "False", "Unknown"],
    reason: str,
    message: str,
    *,
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """The conditions with this one set, in its old place. Its transition time moves only where its status changes.

    Where nothing but the generation differs, the old one stays: `suspend` and `ttlAfterFinished` change no outcome, and
    a condition must not change with every look at it.
    """
    old = find(conditions, kind)
    message = message[:_MAX_MESSAGE]
    if old is not None and (old.status, old.reason, old.message) == (status, reason, message):
        return tuple(conditions)
    if old is not None:
        since = old.last_transition_time if old.status == status else now
        new = old.model_copy(
            update={
                "status": status,
                "reason": str(reason),
                "message": message,
                "last_transition_time": since,
                "observed_generation": generation,
            }
        )
        return tuple(new if condition is old else condition for condition in conditions)
    new = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=now,
        observed_generation=generation,
    )
    return (*conditions, new)
