"""One run in the admission queue of its namespace, and its place in the order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from componentrun.api.common import Policy

__all__ = ["Entry", "Order"]


class Order(NamedTuple):
    """Sort key of the queue. Creation times are whole seconds, so a number breaks ties."""

    created: str
    """metadata.creationTimestamp."""
    number: int
    """The run's resource version when it was first seen."""
    uid: str


@dataclass(frozen=True, slots=True)
class Entry:
    """The attributes of a run that decide when it may start."""

    name: str
    order: Order
    group: str | None = None
    """Concurrency group; None if it waits for no other run."""
    policy: Policy = "Queue"
    parallelism: int = 1
    """Maximum number of runs of its group with a place, including this one."""
    placed: bool = False
    """Whether it has a place; if not, it waits for one."""
    claimed: bool = False
    """Whether it has a place because it is being started, without a result yet."""
    counted: bool = True
    """Whether it counts towards the namespace's limit."""
    quota_class: str = ""
    """Priority class. Runs of one class are subject to the same quotas."""
