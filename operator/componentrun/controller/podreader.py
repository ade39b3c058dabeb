"""Reading one pod from the API server, past the caches: before a conclusion that rests on its absence, or on silence.

A pod that is there and whose labels were taken away or changed gets them back, as no watch tells of it without them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from componentrun.core.podidentity import PodIdentity, has_its_labels
from componentrun.process.kubeerrors import ConflictError, KubeError, NotFoundError, UnavailableError
from componentrun.process.logs import RunLogger
from componentrun.process.resources import PODS

if TYPE_CHECKING:
    from componentrun.controller.caches import Caches, Key
    from componentrun.process.kube import Kube

__all__ = ["PodReader"]

_log = logging.getLogger(__name__)


class PodReader:
    """Asks for pods by their names."""

    def __init__(self, kube: Kube, caches: Caches) -> None:
        """What is found goes into the caches."""
        self._kube = kube
        self._caches = caches

    async def read(self, run: Key, name: str, uid: str, identity: PodIdentity) -> None:
        """Find out whether this pod is there, and have the caches know.

        Args:
            run: whose it is.
            name: of the pod.
            uid: of the pod; another one of its name is not it.
            identity: what it was made for.

        Raises:
            KubeError: the API server refused or is away: nothing is known then.
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
        """Ask for pods of which a watch said that they are gone, and no plan asks; see `PodCache.doubtful`.

        Raises:
            KubeError: the API server refused or is away.
        """
        if self._caches.runs.is_anothers(run):
            return
        for owner, pod in self._caches.pods.doubtful(run, run_uid, before_attempt=before_attempt):
            await self.read(run, pod.name, pod.uid, PodIdentity(run.name, owner, pod.attempt))

    async def _with_labels(self, run: Key, pod: dict[str, Any], identity: PodIdentity) -> dict[str, Any]:
        """The pod with its labels; as it was where that is refused.

        Raises:
            ConflictError: it has changed; look again at once.
            UnavailableError: the API server is away.
        """
        metadata = pod["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "labels": identity.labels}}
        try:
            labelled = await self._kube.patch(PODS, run.namespace, metadata["name"], body)
        except (ConflictError, UnavailableError):
            raise
        except NotFoundError:
            return pod  # it went just then, which the next look finds
        except KubeError as error:
            RunLogger(_log, *run).warning("pod %s can't be given its labels: %s", metadata["name"], error.message)
            return pod
        RunLogger(_log, *run).warning("pod %s was given its labels back, which somebody had changed", metadata["name"])
        return labelled
