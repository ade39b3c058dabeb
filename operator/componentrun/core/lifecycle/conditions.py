"""The run's conditions, following the Kubernetes API conventions (sig-architecture/api-conventions.md)."""

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
"""False while an operator does not understand the run or what it refers to, as in the Gateway API; otherwise optional.
Not `Stalled`, which kstatus treats as a failure."""
SUCCEEDED: Final = "Succeeded"
STAGED_IN: Final = "StagedIn"
PUBLISHED: Final = "Published"
EVENTS_DELIVERED: Final = "EventsDelivered"

_MAX_MESSAGE: Final = 32_768
"""Maximum length in the CRD."""


def find(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """The condition of this type; None if it is not set."""
    return next((condition for condition in conditions if condition.type == kind), None)


def is_settled(conditions: Sequence[Condition], kind: str) -> bool:
    """Whether the condition of this type is set to True or False."""
    found = find(conditions, kind)
    return found is not None and found.status != "Unknown"


def refused(status: Any, problem: str, generation: int, now: datetime) -> list[Any] | None:
    """The conditions of an unvalidated status with Accepted set to False; None if they already say so.

    Args:
        status: as the API server sent it.
        problem: what is not understood.
        generation: of the object.
        now: the time.
    """
    given = status.get("conditions") if isinstance(status, dict) else None
    existing = given if isinstance(given, list) else []
    old = next((item for item in existing if isinstance(item, dict) and item.get("type") == ACCEPTED), {})
    if (old.get("status"), old.get("message")) == ("False", problem):
        return None
    since = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    new = old | {
        "type": ACCEPTED, "status": "False", "reason": Reason.UNSUPPORTED_VALUE.value, "message": problem,
        "lastTransitionTime": old.get("lastTransitionTime", since) if old.get("status") == "False" else since,
        "observedGeneration": generation,
    }  # fmt: skip
    return [*(item for item in existing if item is not old), new]


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
    """The conditions with this one set, at its old position. Its transition time changes only with its status.

    If only the generation differs, the condition is unchanged: `suspend` and `ttlAfterFinished` change no outcome, and
    a condition must not change with every reconciliation.
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
