"""Watches the pods of runs.

Pods change most often, so they are not watched through kopf, which takes ten times as long per event (decision 0068).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.controller.watching.caches import Key, run_of_pod
from componentrun.controller.watching.events import DELETED, MODIFIED, take_in
from componentrun.process.kubernetes.resources import PODS
from componentrun.process.kubernetes.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from componentrun.controller.metrics import Metrics
    from componentrun.controller.watching.caches import Caches
    from componentrun.controller.work.queue import WorkQueue
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.eventerrors import EventErrors

__all__ = ["make_pod_watches"]


def make_pod_watches(
    kube: Kube, caches: Caches, queue: WorkQueue[Key], metrics: Metrics, namespaces: Sequence[str]
) -> list[Watch]:
    """One watch for each of these namespaces, or one for all."""
    target = _Target(caches, queue, metrics)
    scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)
    return [Watch(kube, PODS, namespace, names.OUR_PODS, target, metrics) for namespace in scopes]


class _Target:
    """Applies events of pods to the cache, and queues their runs."""

    def __init__(self, caches: Caches, queue: WorkQueue[Key], metrics: Metrics) -> None:
        self._caches = caches
        self._queue = queue
        self._metrics = metrics

    def changed(self, raw: Mapping[str, Any]) -> None:
        """Handle a pod that was created or changed."""
        self._take_in(MODIFIED, raw)

    def listed(self, raw: Mapping[str, Any]) -> None:
        """Handle a listed pod."""
        self._take_in(None, raw)

    def deleted(self, _uid: str, last: Mapping[str, Any], /) -> None:
        """Handle a deleted pod; `last` is its last state."""
        self._take_in(DELETED, last)

    def vanished(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Handle pods that were deleted without an event being received."""
        for key, uid in self._caches.pods.older_than(sys.maxsize, None):
            if uid in uids:
                with errors.of(uid, str(key)):
                    self._queue.add(key)
                    self._caches.pods.vanished(key, uid)

    def _take_in(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        self._metrics.watch_event(PODS.plural)
        try:
            take_in(self._caches, self._queue, PODS.plural, kind, raw)
        except Exception:
            # The watch logs the error. The caches may be partially updated, so the run is reconciled.
            run = run_of_pod(raw)
            if run is not None:
                self._queue.add(run)
            raise
