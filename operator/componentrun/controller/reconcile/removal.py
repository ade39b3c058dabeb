"""Deleting pods: those that a plan says, and those whose run is deleted."""

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
    from componentrun.core.lifecycle.observed import Limits
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Remover"]

_log = logging.getLogger(__name__)


class Remover:
    """Deletes pods; each of them may be gone already."""

    def __init__(self, kube: Kube, caches: Caches, limits: Limits) -> None:
        """The limits say how much time a component gets to end by itself."""
        self._kube = kube
        self._caches = caches
        self._limits = limits

    async def delete(self, run: Key, action: DeletePod) -> None:
        """Delete this pod of a run.

        Raises:
            KubeError: the API server refused or is away.
        """
        try:
            answer = await self._kube.delete(PODS, run.namespace, action.name, action.uid, action.grace_seconds)
        except NotFoundError:
            # Its event was missed, or is on its way: from now on it counts as gone.
            if self._caches.pods.absent(run, action.uid):
                RunLogger(_log, *run).info("pod %s was gone already", action.name)
        except ConflictError:
            # Another pod of that name: ours is gone.
            self._caches.pods.absent(run, action.uid)
        else:
            self._caches.pods.expect_deletion(action.uid)
            if answer.get("kind") == "Pod":
                # With its deletion time, so that it is not deleted again before its event comes.
                self._caches.pods.seen(answer)

    async def sweep(self, run: Key, but: str = "") -> None:
        """End the pods of a deleted run, but those of other operators; see `core.lifecycle.cleanup.dismiss`.

        Args:
            run: its name.
            but: uid of the run that has the name now.

        Raises:
            KubeError: the API server refused or is away.
        """
        if self._caches.runs.is_anothers(run):
            return
        pods = [(uid, pod) for uid, pod in self._caches.pods.there(run) if not self._caches.runs.was_anothers(uid)]
        actions = [(uid, action) for uid, pod in pods if uid != but for action in dismiss(pod, self._limits)]
        if not actions:
            return
        # A new run may be known here by its pod only.
        try:
            there = await self._kube.get(RUNS, *run)
        except NotFoundError:
            there = {"metadata": {}}
        attempts = (there.get("status") or {}).get("attempts") or ()
        recorded = {attempt.get("podUID") for attempt in attempts}
        for uid, action in actions:
            # What the run's status knows is its pod, whatever somebody has written on it.
            if uid != there["metadata"].get("uid") and action.uid not in recorded:
                RunLogger(_log, *run).info("pod %s is told to end, as its run is deleted", action.name)
                await self.delete(run, action)
