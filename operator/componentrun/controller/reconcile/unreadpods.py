"""Counts, for each node, the finished pods that are kept until the collector has read their last lines.

The pods come from the plans of their runs (`Plan.unread_pods`), so a restarted operator finds the same ones. When a
node exceeds the limit, the run whose pod ended first is reconciled again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from componentrun.controller.watching.caches import Key
    from componentrun.core.lifecycle.actions import UnreadPod

__all__ = ["DEFAULT_MOST", "UnreadPods"]

DEFAULT_MOST: Final = 110
"""The kubelet's default maximum of pods. If all pods of a full node end while the collector is down, the kubelet then
manages at most twice that number."""


class _Kept(NamedTuple):
    ended: datetime
    uid: str
    run: Key


class UnreadPods:
    """Finished pods that are kept, by node."""

    def __init__(self, look: Callable[[Key], object], limit: int = DEFAULT_MOST) -> None:
        """Start empty.

        Args:
            look: called with each run that must be reconciled because its pod exceeds the limit.
            limit: maximum number of kept pods on a node.
        """
        self._look, self._limit = look, limit
        self._runs: dict[Key, tuple[UnreadPod, ...]] = {}
        self._nodes: dict[str, list[_Kept]] = {}
        """Kept pods by node, in the order in which they ended."""

    def __len__(self) -> int:
        """Number of kept pods."""
        return sum(len(kept) for kept in self._nodes.values())

    @property
    def oldest(self) -> datetime | None:
        """End time of the oldest kept pod; None if there is none."""
        return min((kept[0].ended for kept in self._nodes.values()), default=None)

    def over_limit(self, run: Key) -> frozenset[str]:
        """Uids of this run's pods that exceed the limit of their node."""
        return frozenset(pod.uid for pod in self._runs.get(run, ()) if self._is_over_limit(_kept(run, pod), pod.node))

    def note(self, run: Key, pods: Sequence[UnreadPod]) -> None:
        """Replace the list of kept pods of a run."""
        before = self._runs.pop(run, ())
        if pods:
            self._runs[run] = tuple(pods)
        for pod in before:
            if pod not in pods:
                self._remove(_kept(run, pod), pod.node)
        for pod in pods:
            if pod not in before:
                self._add(_kept(run, pod), pod.node)

    def _add(self, kept: _Kept, node: str) -> None:
        on_node = self._nodes.setdefault(node, [])
        insort(on_node, kept)
        excess = len(on_node) - self._limit
        if excess > 0:
            # One more pod exceeds the limit now. It is this one if it ended before a pod that already exceeded it.
            self._look(on_node[min(bisect_left(on_node, kept), excess - 1)].run)

    def _remove(self, kept: _Kept, node: str) -> None:
        on_node = self._nodes[node]
        del on_node[bisect_left(on_node, kept)]
        if not on_node:
            del self._nodes[node]

    def _is_over_limit(self, kept: _Kept, node: str) -> bool:
        on_node = self._nodes[node]
        return bisect_left(on_node, kept) < len(on_node) - self._limit


def _kept(run: Key, pod: UnreadPod) -> _Kept:
    return _Kept(pod.ended, pod.uid, run)
