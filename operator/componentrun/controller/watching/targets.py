"""What is watched without kopf: runs and pods. Each run changes some eight times and its pod as often.

kopf keeps a queue and a task for each object, and works out for each event what handlers there might be for; for the
two kinds of which there are many, that took more time than everything that is done about a run (decision 0025).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.controller.watching.caches import Key, run_of_pod
from componentrun.controller.watching.handlers import DELETED, take_in
from componentrun.process.kubernetes.resources import PODS, RUNS
from componentrun.process.kubernetes.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from componentrun.controller.metrics import Metrics
    from componentrun.controller.watching.caches import Caches
    from componentrun.controller.work.queue import WorkQueue
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.eventerrors import EventErrors
    from componentrun.process.kubernetes.resources import Resource

__all__ = ["make_watches"]

_LABELS: Final = {RUNS: "", PODS: names.OUR_PODS}


def make_watches(
    kube: Kube, caches: Caches, queue: WorkQueue[Key], metrics: Metrics, namespaces: Sequence[str]
) -> list[Watch]:
    """Watches of runs and of their pods, in these namespaces; without any, in all."""
    where: tuple[str | None, ...] = tuple(namespaces) or (None,)
    return [
        Watch(kube, resource, namespace, labels, _Target(resource, caches, queue, metrics), metrics)
        for resource, labels in _LABELS.items()
        for namespace in where
    ]


class _Target:
    """Lets what a watch tells change the caches."""

    def __init__(self, resource: Resource, caches: Caches, queue: WorkQueue[Key], metrics: Metrics) -> None:
        self._plural = resource.plural
        self._caches = caches
        self._mirror = caches.runs if resource is RUNS else caches.pods
        self._queue = queue
        self._metrics = metrics

    def changed(self, raw: Mapping[str, Any]) -> None:
        """An object as it is now."""
        self._take_in(None, raw)

    def deleted(self, _uid: str, last: Mapping[str, Any], /) -> None:
        """An object is gone."""
        self._take_in(DELETED, last)

    def vanished(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Objects are gone, and their end was missed."""
        for key, uid in self._mirror.older_than(sys.maxsize, None):
            if uid in uids:
                with errors.of(uid, str(key)):
                    self._queue.add(key)
                    self._mirror.vanished(key, uid)

    def _take_in(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        self._metrics.watch_event(self._plural)
        try:
            take_in(self._caches, self._queue, self._plural, kind, raw)
        except Exception:
            # The watch logs it. What the caches have got of it already may still have to be acted upon.
            run = Key.of(raw) if self._mirror is self._caches.runs else run_of_pod(raw)
            if run is not None:
                self._queue.add(run)
            raise
