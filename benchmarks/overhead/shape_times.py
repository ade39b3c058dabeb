"""Times of a pod in one of the shapes, derived from its watch events. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from benchmarks.overhead.phases import container_state
from benchmarks.overhead.watch_log import PODS
from componentrun.api import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.overhead.pod_shapes import Shape
    from benchmarks.overhead.watch_log import WatchEvent

__all__ = ["AREA", "Moment", "is_over", "shape_seconds"]

AREA: Final = "overhead.shape"
"""Beginning of the figures' names."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time by two clocks, to compare times of this process with those of a container."""

    monotonic: float
    """time.monotonic(), for watch events."""
    wall: float
    """Seconds since the epoch, for a container's clock."""

    @classmethod
    def now(cls) -> Self:
        """The present."""
        return cls(time.monotonic(), time.time())


def is_over(shape: Shape, event: WatchEvent) -> bool:
    """Whether the pod has ended, or its component if the pod does not end by itself.

    Raises:
        AssertionError: the pod or its component has failed.
    """
    status = event.object.get("status") or {}
    assert status.get("phase") != "Failed", f"the pod of shape {shape.title} failed: {status}"
    if shape.ends:
        return status.get("phase") == "Succeeded"
    end = container_state(event.object, names.COMPONENT).get("terminated")
    assert end is None or end["exitCode"] == 0, f"the component of shape {shape.title} failed: {status}"
    return end is not None


def shape_seconds(shape: Shape, created: Moment, seen: Sequence[WatchEvent]) -> dict[str, float]:
    """Return the times of a pod, in seconds since its creation, by the names of figures.

    `component`: its process starts. `seen`: a watcher of the pod sees that it runs or has ended. Without a suffix: the
    pod has ended; left out if it does not end by itself.

    Args:
        shape: the shape.
        created: when the create call was sent.
        seen: the pod's events, up to the one for which `is_over` holds.

    Raises:
        ValueError: the component did not end or did not report its start, or its clock differs from this machine's.
    """
    pods = [item for item in seen if item.kind == PODS]
    states = [(item.at, container_state(item.object, names.COMPONENT)) for item in pods]
    shown = next((at for at, state in states if "running" in state or "terminated" in state), None)
    ended = next(((at, state["terminated"]) for at, state in states if "terminated" in state), None)
    if shown is None or ended is None:
        raise ValueError(f"the component of shape {shape.title} was never seen to end")
    start = _reported_start(ended[1].get("message", "")) - created.wall
    if not 0 < start < ended[0] - created.monotonic:
        raise ValueError(
            f"the component reports a start {start:.3f} s after the creation of its pod, and was seen to end "
            f"{ended[0] - created.monotonic:.3f} s after it: the node's clock must be that of this machine"
        )
    times = {f"{AREA}.{shape.title}.component": start, f"{AREA}.{shape.title}.seen": shown - created.monotonic}
    if not shape.ends:
        return times
    return {f"{AREA}.{shape.title}": pods[-1].at - created.monotonic} | times


def _reported_start(message: str) -> float:
    try:
        return float(message)
    except ValueError as error:
        raise ValueError(
            f"the component reported {message!r}; expected its start in seconds since the epoch"
        ) from error
