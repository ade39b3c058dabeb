"""The run's conditions, as the Kubernetes API conventions want them (sig-architecture/api-conventions.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from componentrun.api.common import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["EVENTS_DELIVERED", "PUBLISHED", "STAGED_IN", "SUCCEEDED", "find", "is_settled", "with_condition"]

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
    new = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=old.last_transition_time if old is not None and old.status == status else now,
        observed_generation=generation,
    )
    if old is None:
        return (*conditions, new)
    return tuple(new if condition is old else condition for condition in conditions)
