"""Reads one pod by name from the API server, before the operator acts on its absence or silence (decision 0040).

If the labels of an existing pod were removed or changed, they are restored, because watches select pods by labels.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from componentrun.core.pod.identity import PodIdentity, has_its_labels
from componentrun.process.kubernetes.errors import ConflictError, KubeError, NotFoundError, UnavailableError
from componentrun.process.kubernetes.resources import PODS
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from componentrun.controller.watching.caches import Caches, Key
    from componentrun.process.kubernetes.client import Kube

__all__ = ["PodReader"]

_log = logging.getLogger(__name__)


class PodReader:
    """Reads pods by name into the cache."""

    def __init__(self, kube: Kube, caches: Caches) -> None:
        """Store results in the caches."""
        self._kube = kube
        self._caches = caches

    async def read(self, run: Key, name: str, uid: str, identity: PodIdentity) -> None:
        """Read a pod and update the cache with its state or its absence.

        Args:
            run: the run that owns it.
            name: name of the pod.
            uid: uid of the pod; a pod of the same name with another uid counts as absent.
            identity: run and attempt that the pod was created for.

        Raises:
            KubeError: the API server refused or does not respond; the cache is unchanged.
        """
        try:
            found = await self._kube.get(PODS, run.namespace, name)
        except NotFoundError:
            found = {"metadata": {}}
        if found["metadata"].get("uid") != uid:
            self._caches.pods.absent(run, uid)
            return
        if not has_its_labels(found, identity):
            found = await self._with_labels(run, found, identity)
        self._caches.pods.found(found, identity)

    async def confirm(self, run: Key, run_uid: str, *, before_attempt: int = 0) -> None:
        """Read pods whose deletion was only reported by a watch and that no plan reads; see `PodCache.unconfirmed`.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        if self._caches.runs.is_anothers(run):
            return
        for owner, pod in self._caches.pods.unconfirmed(run, run_uid, before_attempt=before_attempt):
            await self.read(run, pod.name, pod.uid, PodIdentity(run.name, owner, pod.attempt))

    async def _with_labels(self, run: Key, pod: dict[str, Any], identity: PodIdentity) -> dict[str, Any]:
        """Restore the pod's labels and return it. Returns it unchanged if the API server refuses.

        Raises:
            ConflictError: the pod has changed; try again at once.
            UnavailableError: the API server is unavailable.
        """
        metadata = pod["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "labels": identity.labels}}
        try:
            labelled = await self._kube.patch(PODS, run.namespace, metadata["name"], body)
        except (ConflictError, UnavailableError):
            raise
        except NotFoundError:
            return pod  # it was deleted meanwhile; the next reconcile finds that
        except KubeError as error:
            RunLogger(_log, *run).warning("can't restore the labels of pod %s: %s", metadata["name"], error.message)
            return pod
        RunLogger(_log, *run).warning("labels of pod %s had been changed and were restored", metadata["name"])
        return labelled
