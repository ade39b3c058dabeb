"""Creates the pod of an attempt and its Secret, and finds those that exist already.

A kubelet mounts any Secret of the right name, so no pod is created while one of an earlier run exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.core.pod.build import build_pod
from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    KubeError,
    NamespaceTerminatingError,
    NotFoundError,
    QuotaExceededError,
    UnavailableError,
)
from componentrun.process.kubernetes.resources import PODS, SECRETS
from componentrun.process.kubernetes.storages import find_secret

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.watching.caches import Caches
    from componentrun.core.pod.settings import PodSettings
    from componentrun.core.request.resolve import EffectiveRun
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.resources import Resource

__all__ = ["PodCreator"]

_LACKS_RIGHT: Final = " cannot create resource "
"""Text of errors by the API server's own authorization, which runs before all admission."""


class PodCreator:
    """Creates pods of attempts and their Secrets."""

    def __init__(self, kube: Kube, caches: Caches, agent_image: str, settings: PodSettings) -> None:
        """Pods go into the cache of pods."""
        self._kube = kube
        self._caches = caches
        self._agent_image = agent_image
        self._settings = settings

    async def pod(self, run: ComponentRun, number: int, effective: EffectiveRun) -> dict[str, Any]:
        """The attempt's pod, which is created if it does not exist.

        Raises:
            PlatformError: the API server refused the pod, or its name belongs to somebody else.
            TransientError: the API server does not respond, or the name belongs to an earlier run; try again.
            QuotaExceededError: a quota is exhausted.
            NamespaceTerminatingError: the namespace is being deleted.
        """
        pod = await self._pod_with_secret(run, number)
        if pod is None:
            pod = await self._create_pod(run, number, effective)
        self._caches.pods.seen(pod)
        return pod

    async def give(self, run: ComponentRun, secret: dict[str, Any], pod_uid: str) -> None:
        """Create the pod's Secret, after which the pod may run.

        Raises:
            PlatformError: the API server refused, or a Secret of that name has another owner.
            TransientError: the API server does not respond, or an earlier run's Secret still exists; try again.
        """
        namespace = run.metadata.namespace
        try:
            await self._kube.create(SECRETS, namespace, secret)
        except AlreadyExistsError:
            there = await self._there(SECRETS, namespace, secret["metadata"]["name"])
            _check_owner("Secret", there, pod_uid)
        except (TransientError, NamespaceTerminatingError):
            raise  # the caller handles these
        except KubeError as error:  # a webhook may refuse with any status
            raise _without_body(error) from None

    async def has_given(self, run: ComponentRun, number: int, pod_uid: str) -> bool:
        """Whether the pod has its Secret."""
        name = names.pod_name(run.metadata.name, number)
        there = await find_secret(self._kube, run.metadata.namespace, name)
        return there is not None and _is_owned(there, pod_uid)

    async def _pod_with_secret(self, run: ComponentRun, number: int) -> dict[str, Any] | None:
        """The attempt's pod, if a Secret of its name exists; None without such a Secret.

        A kubelet mounts any Secret of that name. So no pod is created while one exists: it may belong to the pod of an
        earlier run, which is not deleted yet, or to a pod that is being deleted.

        Raises:
            TransientError: the Secret, or its pod, belongs to an earlier run of the same name.
            PlatformError: one of them has another owner.
        """
        namespace, name = run.metadata.namespace, names.pod_name(run.metadata.name, number)
        secret = await find_secret(self._kube, namespace, name)
        if secret is None:
            return None
        try:
            pod = await self._kube.get(PODS, namespace, name)
        except NotFoundError:
            pod = None
        _check_owner("Secret", secret, "" if pod is None else pod["metadata"]["uid"])
        if pod is not None:
            _check_owner("pod", pod, run.metadata.uid)
        return pod

    async def _create_pod(self, run: ComponentRun, number: int, effective: EffectiveRun) -> dict[str, Any]:
        """Create the attempt's pod, or find the one that exists."""
        body = build_pod(effective, run, number, self._agent_image, self._settings)
        namespace, name = run.metadata.namespace, names.pod_name(run.metadata.name, number)
        try:
            return await self._kube.create(PODS, namespace, body)
        except AlreadyExistsError:
            pod = await self._there(PODS, namespace, name)
            _check_owner("pod", pod, run.metadata.uid)
            return pod
        except UnavailableError as error:
            raise TransientError(
                f"the pod can't be created now: {error.message.rstrip('.')}",
                Reason.POD_REJECTED,
                advice="If this persists, check the API server and its admission webhooks.",
            ) from error
        except (QuotaExceededError, NamespaceTerminatingError):
            raise  # the caller handles these
        except KubeError as error:  # a webhook may refuse with any status
            raise PlatformError(
                f"the pod was refused: {error.message.rstrip('.')}", Reason.POD_REJECTED, advice=_advice(error)
            ) from error

    async def _there(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """Read the object that made a creation fail with AlreadyExists.

        Raises:
            TransientError: the object was deleted meanwhile, so the name is free.
        """
        try:
            return await self._kube.get(resource, namespace, name)
        except NotFoundError as error:
            raise TransientError(
                f"the object that had the name `{name}` in namespace `{namespace}` was deleted just now", Reason.QUEUED
            ) from error


def _advice(error: KubeError) -> str:
    """Advice for a pod that was refused."""
    if _LACKS_RIGHT in error.message:
        return "The operator lacks this permission: check the roles of its chart."
    return "Change what it names, or the rule of the namespace (limits, pod security, admission)."


def _check_owner(what: str, obj: dict[str, Any], uid: str) -> None:
    """Refuse an object that has the expected name but another owner.

    Raises:
        TransientError: it belongs to an earlier run of the same name and will be deleted.
        PlatformError: it belongs to another owner.
    """
    metadata = obj["metadata"]
    if _is_owned(obj, uid):
        return
    title = f"a {what} `{metadata['name']}` of namespace `{metadata['namespace']}`"
    ours = (metadata.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
    if ours or metadata.get("deletionTimestamp"):
        raise TransientError(
            f"{title} belongs to an earlier run of the same name and is not deleted yet", Reason.QUEUED
        )
    raise PlatformError(
        f"{title} exists and does not belong to this run",
        Reason.POD_REJECTED,
        advice="Delete it, or give the run another name.",
    )


def _is_owned(obj: dict[str, Any], uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in obj["metadata"].get("ownerReferences") or [])


def _without_body(error: KubeError) -> PlatformError:
    """The error without its text, which may quote the Secret."""
    return PlatformError(
        f"the API server refused the attempt's Secret ({error.status})",
        Reason.POD_REJECTED,
        advice="Check the API server's log and the operator's permissions.",
    )
