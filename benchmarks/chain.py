"""The parts of a run, or of a Job, out of what a watcher saw of its pod. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.journal import PODS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.journal import Seen

__all__ = ["JOB_CHAIN", "PARTS", "RUN_CHAIN", "parts"]

PARTS: Final = ("start", "input", "component", "output", "finish")
RUN_CHAIN: Final = ("stage-in", "component", "stage-out")
JOB_CHAIN: Final = ("download", "component", "upload")
"""The containers whose ends divide a run: input is there, component has ended, output is there."""


def parts(begun: float, ended: float, seen: Sequence[Seen], chain: Sequence[str]) -> dict[str, float]:
    """Seconds of each part; together they are the whole time.

    Args:
        begun: when the create call was sent.
        ended: when the last event arrived.
        seen: the pod's events.
        chain: its three containers, in the order in which they end.

    Raises:
        ValueError: there was no such pod, or a container was never seen to end.
    """
    pods = [item for item in seen if item.kind == PODS]
    if not pods:
        raise ValueError("no pod was seen")
    borders = [begun, pods[0].at, *(_end(pods, container) for container in chain), ended]
    # The pod's last event may reach the watcher after the run's: both come from the same change.
    borders = [min(border, ended) for border in borders]
    return {part: end - start for part, start, end in zip(PARTS, borders, borders[1:], strict=False)}


def _end(pods: Sequence[Seen], container: str) -> float:
    for item in pods:
        if "terminated" in _state(item.object, container):
            return item.at
    raise ValueError(f"container {container} was never seen to end")


def _state(pod: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for item in status.get(kind) or []:
            if item["name"] == container:
                return dict(item.get("state") or {})
    return {}
