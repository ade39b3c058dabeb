"""Phases of a run or a Job, derived from watch events of its pod. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.overhead.watch_log import PODS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.overhead.watch_log import WatchEvent

__all__ = ["JOB_CONTAINERS", "PHASES", "RUN_CONTAINERS", "container_state", "phase_seconds"]

PHASES: Final = ("start", "input", "component", "output", "finish")
RUN_CONTAINERS: Final = ("stage-in", "component", "stage-out")
JOB_CONTAINERS: Final = ("download", "component", "upload")
"""The containers whose ends divide a run into phases: input, component, output."""


def phase_seconds(begun: float, ended: float, seen: Sequence[WatchEvent], chain: Sequence[str]) -> dict[str, float]:
    """Return the seconds of each phase; their sum is the whole time.

    Args:
        begun: when the create call was sent.
        ended: when the last event arrived.
        seen: the pod's events.
        chain: the pod's three containers, in the order in which they end.

    Raises:
        ValueError: there is no pod, or a container did not end.
    """
    pods = [item for item in seen if item.kind == PODS]
    if not pods:
        raise ValueError("no pod was seen")
    borders = [begun, pods[0].at, *(_end(pods, container) for container in chain), ended]
    # The pod's last event may arrive after the run's, because both have the same cause.
    borders = [min(border, ended) for border in borders]
    return {part: end - start for part, start, end in zip(PHASES, borders, borders[1:], strict=False)}


def _end(pods: Sequence[WatchEvent], container: str) -> float:
    for item in pods:
        if "terminated" in container_state(item.object, container):
            return item.at
    raise ValueError(f"container {container} was never seen to end")


def container_state(pod: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    """State of a container in a pod from the API server; empty if the pod has no status of it."""
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for item in status.get(kind) or []:
            if item["name"] == container:
                return dict(item.get("state") or {})
    return {}
