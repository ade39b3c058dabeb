"""Pods that have ended and are kept for the collector to read their last lines: how many there are on each node.

What is kept follows from the plans of their runs (`Plan.unread`), so that after a restart the same comes out. A node
keeps so many of them at most: when there is one more, the run whose pod ended first is looked at again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from componentrun.controller.caches import Key
    from componentrun.core.actions import UnreadPod

__all__ = ["DEFAULT_MOST", "UnreadPods"]

DEFAULT_MOST: Final = 110
"""As many as a kubelet runs at a time unless it is told otherwise: all pods of a full node may end while the collector
is away, and the kubelet has at most twice as many pods to look after as it is made for."""


class _Kept(NamedTuple):
    ended: datetime
    uid: str
    run: Key


class UnreadPods:
    """See the module."""

    def __init__(self, look: Callable[[Key], object], limit: int = DEFAULT_MOST) -> None:
        """None is known.

        Args:
            look: called with each run that is to be looked at again, as its pod is one too many.
            limit: how many a node keeps.
        """
        self._look, self._limit = look, limit
        self._runs: dict[Key, tuple[UnreadPod, ...]] = {}
        self._nodes: dict[str, list[_Kept]] = {}
        """In the order in which they ended."""

    def __len__(self) -> int:
        """How many there are."""
        return sum(len(kept) for kept in self._nodes.values())

    @property
    def oldest(self) -> datetime | None:
        """When the first of them ended; None where there is none."""
        return min((kept[0].ended for kept in self._nodes.values()), default=None)

    def over_limit(self, run: Key) -> frozenset[str]:
        """Uids of those of this run that are too many on their node."""
        return frozenset(pod.uid for pod in self._runs.get(run, ()) if self._is_over_limit(_kept(run, pod), pod.node))

    def note(self, run: Key, pods: Sequence[UnreadPod]) -> None:
        """These are the run's pods that are kept, and no others."""
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
            # One more is too many: this one, if it ended before one that was already.
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
