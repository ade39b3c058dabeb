"""Creates, reads and deletes the pods of builds and their Secrets, in the builds' namespace.

A pod owns its Secrets, so the garbage collector deletes them after it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.core.builds.pod import build_pod, build_secrets
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from componentrun.process.kubernetes.resources import PODS, SECRETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.build.componentbuild import BuildPod, ComponentBuild
    from componentrun.controller.builds.logins import BuildLogins
    from componentrun.core.builds.dependencies.layer import DependencyLayer
    from componentrun.core.builds.settings import BuildSettings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["BuildObjects"]

_log = logging.getLogger(__name__)


class BuildObjects:
    """Pods and Secrets of builds.

    They are in the namespace of the settings only: what a status names could have been written by somebody else.
    """

    def __init__(self, kube: Kube, settings: BuildSettings) -> None:
        """Send nothing yet."""
        self._kube = kube
        self._settings = settings

    async def read_pod(self, pod: BuildPod) -> dict[str, Any] | None:
        """A pod as the API server has it now; None if it does not exist any more.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        try:
            found = await self._kube.get(PODS, self._settings.namespace, pod.name)
        except NotFoundError:
            return None
        return found if found["metadata"]["uid"] == pod.uid else None

    async def create_pod(self, build: ComponentBuild) -> dict[str, Any]:
        """Create the next pod of a build, or find the one that an earlier operator created without writing the status.

        Raises:
            KubeError: the API server refused or is unavailable, or another object has the pod's name.
        """
        wanted = build_pod(build, self._settings, build.status.attempts + 1)
        namespace, name = self._settings.namespace, wanted["metadata"]["name"]
        try:
            pod = await self._kube.create(PODS, namespace, wanted)
        except AlreadyExistsError:
            try:
                pod = await self._kube.get(PODS, namespace, name)
            except NotFoundError:
                raise UnavailableError(f"pod {namespace}/{name} was deleted just now") from None
            labels = pod["metadata"].get("labels") or {}
            if labels.get(names.BUILD_UID_LABEL) != build.metadata.uid:
                raise
        else:
            _log.info("pod %s created for ComponentBuild %s/%s", name, build.metadata.namespace, build.metadata.name)
        return pod

    async def create_secrets(
        self, build: ComponentBuild, pod: dict[str, Any], logins: BuildLogins, layers: Sequence[DependencyLayer]
    ) -> None:
        """Create the Secrets of a pod, which then starts. Those that exist are left as they are.

        Args:
            build: the build.
            pod: its pod.
            logins: of its steps.
            layers: layers of dependencies that the repository of the image may have.

        Raises:
            UnavailableError: a Secret of an earlier pod with the same name is not deleted yet.
            KubeError: the API server refused or is unavailable.
        """
        logins_of_steps = (logins.git, logins.registry, logins.pulls, logins.secrets)
        for secret in build_secrets(build, pod, *logins_of_steps, layers, logins.certificate):
            namespace, name = self._settings.namespace, secret["metadata"]["name"]
            try:
                await self._kube.create(SECRETS, namespace, secret)
            except AlreadyExistsError:
                found = await self._kube.get(SECRETS, namespace, name)
                owners = {owner["uid"] for owner in found["metadata"].get("ownerReferences") or ()}
                if pod["metadata"]["uid"] not in owners:
                    raise UnavailableError(f"Secret {namespace}/{name} belongs to another pod") from None

    async def delete_pod(self, name: str, uid: str, *, at_once: bool = False) -> None:
        """Delete a pod. One that is gone is no error.

        Args:
            name: of the pod.
            uid: of the pod.
            at_once: remove the object without waiting for its node, which may be lost.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        namespace = self._settings.namespace
        try:
            await self._kube.delete(PODS, namespace, name, uid, 0 if at_once else None)
        except (NotFoundError, ConflictError):
            return
        _log.info("pod %s/%s of a build deleted", namespace, name)
