"""Deletes pods: those that a plan names, and those of deleted runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from componentrun.core.lifecycle.cleanup import dismiss
from componentrun.process.kubernetes.errors import ConflictError, NotFoundError
from componentrun.process.kubernetes.resources import PODS, RUNS
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from componentrun.controller.watching.caches import Caches, Key
    from componentrun.core.lifecycle.actions import DeletePod
    from componentrun.core.limits import Limits
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Remover"]

_log = logging.getLogger(__name__)


class Remover:
    """Deletes pods. A pod may already be deleted."""

    def __init__(self, kube: Kube, caches: Caches, limits: Limits) -> None:
        """`limits` contains the time that a component gets to end by itself."""
        self._kube = kube
        self._caches = caches
        self._limits = limits

    async def delete(self, run: Key, action: DeletePod) -> None:
        """Delete this pod of a run.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        try:
            answer = await self._kube.delete(PODS, run.namespace, action.name, action.uid, action.grace_seconds)
        except NotFoundError:
            # Its event was missed or is still to come: from now on the pod counts as deleted.
            if self._caches.pods.absent(run, action.uid):
                RunLogger(_log, *run).info("pod %s was gone already", action.name)
        except ConflictError:
            # Another pod has the name, so this one was deleted.
            self._caches.pods.absent(run, action.uid)
        else:
            self._caches.pods.expect_deletion(action.uid)
            if answer.get("kind") == "Pod":
                # The response contains the deletion time, so the pod is not deleted again before the event arrives.
                self._caches.pods.seen(answer)

    async def sweep(self, run: Key, but: str = "") -> None:
        """Delete the pods of a deleted run, except those of other operators; see `core.lifecycle.cleanup.dismiss`.

        Args:
            run: name of the deleted run.
            but: uid of the run that has this name now.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        if self._caches.runs.is_anothers(run):
            return
        pods = [(uid, pod) for uid, pod in self._caches.pods.there(run) if not self._caches.runs.was_anothers(uid)]
        actions = [(uid, action) for uid, pod in pods if uid != but for action in dismiss(pod, self._limits)]
        if not actions:
            return
        # The run may be a new one of which only a pod is known.
        try:
            there = await self._kube.get(RUNS, *run)
        except NotFoundError:
            there = {"metadata": {}}
        attempts = (there.get("status") or {}).get("attempts") or ()
        recorded = {attempt.get("podUID") for attempt in attempts}
        for uid, action in actions:
            # A pod that the run's status records is its pod, whatever the labels are.
            if uid != there["metadata"].get("uid") and action.uid not in recorded:
                RunLogger(_log, *run).info("pod %s is told to end, as its run is deleted", action.name)
                await self.delete(run, action)
