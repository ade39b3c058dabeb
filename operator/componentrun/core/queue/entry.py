"""One run in the admission queue of its namespace, and its place in the order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from componentrun.api.common import Policy

__all__ = ["Entry", "Order"]


class Order(NamedTuple):
    """By which runs stand in line. The API server tells whole seconds, so a number goes before chance."""

    created: str
    """metadata.creationTimestamp."""
    number: int
    """The run's resource version when it was seen first."""
    uid: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What counts about a run."""

    name: str
    order: Order
    group: str | None = None
    """Concurrency group; None: it minds nobody."""
    policy: Policy = "Queue"
    parallelism: int = 1
    """How many of its group may have a place for this one to get one, too."""
    placed: bool = False
    """Whether it has a place; it waits for one where not."""
    claimed: bool = False
    """It has a place because it is being started; whether that succeeds is not known yet."""
    counted: bool = True
    """Whether it counts towards the namespace's limit."""
    quota_class: str = ""
    """Runs of one class meet the same quotas."""
