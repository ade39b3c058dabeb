"""Executes ComponentBuilds: one pod at a time, and a status that follows it to its end.

A build is looked at when it or its pod changes. The pod is read from the API server each time, so that no verdict
rests on a cache. An operator that ends between two writes leaves what the next one goes on with:

    nothing                  the next one starts the build
    pod                      it has no Secrets yet, so it can't start; the next one finds it by its name
    pod, status              the next one creates the Secrets
    pod, status, Secrets     the next one follows the pod
    final status, pod        the next one deletes the pod

A pod that has stopped is deleted when its lines are among the events of the runs that waited for it (`unread`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.build.componentbuild import BuildPod
from componentrun.controller.builds.logins import read_build_logins
from componentrun.controller.builds.objects import BuildObjects
from componentrun.controller.builds.seen import make_build_watches
from componentrun.controller.work.queue import Backoff, WorkQueue
from componentrun.controller.work.tasks import handle_keys
from componentrun.core.builds.lifecycle.history import outdated, reusable_layers
from componentrun.core.builds.lifecycle.status import (
    CANCELLED,
    UNWANTED,
    changes,
    failed,
    failure_of,
    followed,
    has_ended,
    is_decided,
    is_lost,
    may_be_unwanted,
    with_pod,
)
from componentrun.core.builds.observed import has_stopped, read_build_pod
from componentrun.core.builds.pod import check_build, parents_of
from componentrun.core.images.allowed import check_allowed
from componentrun.core.images.reference import parse_reference
from componentrun.errors import ComponentRunError, Reason, UnsupportedError, UserError
from componentrun.process.fairqueue import Flow
from componentrun.process.kubernetes.errors import ForbiddenError, InvalidError, NotFoundError
from componentrun.process.kubernetes.resources import BUILDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from componentrun.api.build.componentbuild import ComponentBuild, ComponentBuildStatus
    from componentrun.controller.builds.logins import BuildLogins
    from componentrun.controller.builds.seen import BuildsSeen, SeenPod
    from componentrun.controller.builds.unread import UnreadBuilds
    from componentrun.controller.metrics import Metrics
    from componentrun.controller.storages.references import References
    from componentrun.controller.watching.cachekeys import Key
    from componentrun.core.builds.observed import BuildFailure
    from componentrun.core.builds.settings import BuildSettings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Builds"]

_log = logging.getLogger(__name__)

_WORKERS: Final = 8
_NOT_YET_SECONDS: Final = 1.0
"""How long a build waits for the first listing."""
_LOOK_AGAIN_SECONDS: Final = 30.0
"""How often a build in progress is looked at without an event: whether it is wanted may change without one."""
_PRUNE_SECONDS: Final = 3600.0
"""How often ComponentBuilds are deleted that are too old."""
_REFUSALS: Final = (ForbiddenError, InvalidError, NotFoundError)
"""Answers to the creation of a pod that stay the same: not allowed, invalid, no such namespace."""


def _always(_key: Key, _build: ComponentBuild) -> bool:
    return True


class Builds:
    """Executes the builds of the namespaces that this operator works for.

    Attributes:
        seen: the ComponentBuilds.
        is_wanted: whether a run waits for a build; a build that is not wanted is cancelled.
    """

    def __init__(
        self,
        kube: Kube,
        seen: BuildsSeen,
        references: References,
        settings: BuildSettings,
        metrics: Metrics,
        clock: Callable[[], datetime],
        allowed_registries: Sequence[str] = (),
        is_wanted: Callable[[Key, ComponentBuild], bool] = _always,
        unread: UnreadBuilds | None = None,
    ) -> None:
        """Do nothing before `activate`.

        Args:
            kube: the API server.
            seen: the ComponentBuilds.
            references: finds Components.
            settings: of the chart.
            metrics: count builds.
            clock: returns the API server's time.
            allowed_registries: registries that parent images may come from, in the form of `normal_prefix`; empty: all.
            is_wanted: see the attribute.
            unread: knows which runs lack lines of a build; None: its pod is deleted at once.
        """
        self._kube = kube
        self.seen = seen
        self.is_wanted = is_wanted
        self._references = references
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._allowed = tuple(allowed_registries)
        self._is_active = False
        self._objects = BuildObjects(kube, settings)
        self._unread = unread
        self._has_secrets: set[str] = set()
        """Uids of the pods whose Secrets this operator has created."""
        self._queue: WorkQueue[Key] = WorkQueue(
            backoff=Backoff(first=0.5, longest=60.0), flow_of=lambda key: Flow(key.namespace), workers=_WORKERS
        )
        self._watches = make_build_watches(kube, seen, metrics, settings.namespace) if settings.is_enabled else []
        seen.listen(self.look)
        if unread is not None:
            unread.listen(self.look)

    def activate(self, active: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Start or stop. Only the operator that holds the Lease changes anything."""
        self._is_active = active
        if active:
            for key in self.seen.all_keys():
                self._queue.add(key)

    def look(self, key: Key) -> None:
        """Look at a build soon, because it, its pod, or who waits for it has changed."""
        self._queue.add(key)

    async def run(self) -> None:
        """Work until cancelled."""
        if not self._settings.is_enabled:
            return
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.run(), name=f"watch of {watch.resource.plural} of builds")
            handling = handle_keys(self._queue, self.reconcile, tasks=_WORKERS, what="build")
            group.create_task(handling, name="builds")
            group.create_task(self._prune_regularly(), name="history of builds")

    async def reconcile(self, key: Key) -> bool:
        """Bring a build one step further.

        Args:
            key: namespace and name of the ComponentBuild, which may not exist any more.

        Returns:
            True: nothing is to be tried again.

        Raises:
            ComponentRunError: the API server refused or is unavailable.
        """
        if not self._is_active or not self._settings.is_enabled or not self.seen.owns(key.namespace):
            return True
        if not all(watch.synced for watch in self._watches):
            self._queue.add_after(key, _NOT_YET_SECONDS)
            return True
        try:
            build = self.seen.get(key)
        except UnsupportedError as error:
            _log.warning("%s", error.message)
            return True
        uid = "" if build is None else build.metadata.uid
        pods = [pod for pod in self.seen.pods(key) if not pod.is_ending]
        await self._remove_others(key, [pod for pod in pods if pod.build_uid != uid])
        if build is None or not self.seen.is_ours(build):
            return True
        if has_ended(build.status):
            await self._clean_up(key, build)
        elif build.status.pod is None:
            await self._begin(key, build)
        else:
            await self._follow(key, build, build.status.pod)
        return True

    async def prune(self) -> None:
        """Delete the ComponentBuilds that are too old.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        if not self._is_active:
            return
        for builds in self.seen.by_component().values():
            for build in outdated(builds, self._clock()):
                if self.seen.is_ours(build):
                    await self.seen.delete(build)

    async def _prune_regularly(self) -> None:
        while True:
            await asyncio.sleep(_PRUNE_SECONDS)
            try:
                await self.prune()
            except ComponentRunError as error:
                _log.warning("old ComponentBuilds can't be deleted, again in %.0f s: %s", _PRUNE_SECONDS, error.message)

    async def _remove_others(self, key: Key, pods: Sequence[SeenPod]) -> None:
        """Delete pods whose ComponentBuild does not exist, according to the API server."""
        if not pods:
            return
        try:
            present = await self.seen.read(key)
        except UnsupportedError:
            return  # it exists
        for pod in pods:
            if present is None or pod.build_uid != present.metadata.uid:
                await self._delete(pod.name, pod.uid)

    async def _begin(self, key: Key, build: ComponentBuild) -> None:
        """Create the first pod of a build, or the next one."""
        failure = self._stopped(key, build)
        if failure is not None:
            await self._end(key, build, failed(build, failure, self._clock()))
            return
        try:
            logins = await self._checked(build)
        except UserError as error:
            await self._end(key, build, failed(build, failure_of(error), self._clock()))
            return
        try:
            pod = await self._objects.create_pod(build)
        except _REFUSALS as error:
            failure = failure_of(error, Reason.POD_REJECTED)
            await self._end(key, build, failed(build, failure, self._clock()))
            return
        metadata = pod["metadata"]
        named = BuildPod(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])
        written = await self._write(key, build, with_pod(build, named, self._clock()))
        if written is not None:
            await self._create_secrets(written, pod, logins)
            self._queue.add_after(key, _LOOK_AGAIN_SECONDS)

    async def _checked(self, build: ComponentBuild) -> BuildLogins:
        """The logins of a build that may run.

        Raises:
            UserError: it may not, or a login is missing.
            KubeError: the API server refused or is unavailable.
        """
        check_build(build, self._settings)
        for field, image in parents_of(build.spec):
            check_allowed(parse_reference(image, field), self._allowed)
        return await read_build_logins(self._kube, self._references, build, self._settings)

    async def _follow(self, key: Key, build: ComponentBuild, named: BuildPod) -> None:
        """Write what the pod says; replace a pod that is gone; end the build."""
        pod = await self._objects.read_pod(named)
        now = self._clock()
        state = read_build_pod(pod, build.spec, now)
        if is_decided(build, state):
            await self._end(key, build, followed(build, state, now))
            return
        failure = self._stopped(key, build)
        if failure is not None:
            await self._end(key, build, failed(build, failure, now, state.steps))
            return
        if pod is None or is_lost(state):
            if pod is not None:
                await self._delete(named.name, pod["metadata"]["uid"], at_once=True)
            await self._begin(key, build)
            return
        if state.phase == "Pending" and named.uid not in self._has_secrets and not await self._resume(key, build, pod):
            return
        await self._write(key, build, followed(build, state, now))
        seconds = _LOOK_AGAIN_SECONDS
        if state.look_again_at is not None:
            seconds = min(seconds, max((state.look_again_at - now).total_seconds(), _NOT_YET_SECONDS))
        self._queue.add_after(key, seconds)

    async def _resume(self, key: Key, build: ComponentBuild, pod: dict[str, Any]) -> bool:
        """Create the Secrets of a pod that an earlier operator created. Returns False if that is impossible."""
        try:
            logins = await self._checked(build)
        except UserError as error:
            await self._end(key, build, failed(build, failure_of(error), self._clock()))
            return False
        await self._create_secrets(build, pod, logins)
        return True

    async def _create_secrets(self, build: ComponentBuild, pod: dict[str, Any], logins: BuildLogins) -> None:
        others = self.seen.of_component(build.metadata.namespace, build.spec.component)
        layers = reusable_layers(build, [other for other in others if self.seen.is_ours(other)])
        await self._objects.create_secrets(build, pod, logins, layers)
        self._has_secrets.add(pod["metadata"]["uid"])

    def _stopped(self, key: Key, build: ComponentBuild) -> BuildFailure | None:
        """Why a build is to be stopped; None if it goes on."""
        if build.spec.cancel:
            return CANCELLED
        if may_be_unwanted(build, self._clock()) and not self.is_wanted(key, build):
            return UNWANTED
        return None

    async def _end(self, key: Key, build: ComponentBuild, status: ComponentBuildStatus) -> None:
        """Write the final status, and then delete the pod if it is not needed any more."""
        written = await self._write(key, build, status)
        if written is None:
            return
        reason, now = status.reason or "", self._clock()
        began = status.start_time or build.metadata.creation_timestamp or now
        self._metrics.build_ended(reason, (now - began).total_seconds())
        _log.info("ComponentBuild %s ended: %s: %s", key, reason, status.message)
        await self._clean_up(key, written)

    async def _clean_up(self, key: Key, build: ComponentBuild) -> None:
        """Delete the pods of a build that has ended. One that has stopped is kept until its lines have been read."""
        until = None if self._unread is None else self._unread.kept_until(key, build)
        for pod in self._pods_of(key, build):
            found = None if until is None else await self._objects.read_pod(pod)
            if until is not None and found is not None and has_stopped(found):
                self._queue.add_after(key, max((until - self._clock()).total_seconds(), _NOT_YET_SECONDS))
            elif pod.uid is not None:
                await self._delete(pod.name, pod.uid)

    def _pods_of(self, key: Key, build: ComponentBuild) -> list[BuildPod]:
        """The pods of a build: those that the watch has reported, and the one in its status."""
        uid, named = build.metadata.uid, build.status.pod
        pods = [
            BuildPod(namespace=self._settings.namespace, name=pod.name, uid=pod.uid)
            for pod in self.seen.pods(key)
            if pod.build_uid == uid and not pod.is_ending
        ]
        return pods if named is None or any(pod.uid == named.uid for pod in pods) else [*pods, named]

    async def _write(self, key: Key, build: ComponentBuild, status: ComponentBuildStatus) -> ComponentBuild | None:
        """Write what has changed of the status, which follows from this version of the build.

        Returns:
            The build with its new status; None if it was deleted.

        Raises:
            ConflictError: it has changed.
            KubeError: the API server refused or is unavailable.
        """
        fields = changes(build.status, status)
        if not fields:
            return build
        body = {"metadata": {"resourceVersion": build.metadata.resource_version}, "status": fields}
        try:
            answer = await self._kube.patch(BUILDS, key.namespace, key.name, body, "status")
        except NotFoundError:
            self.seen.lost_build(key, build.metadata.uid)
            return None
        return self.seen.answered(answer)

    async def _delete(self, name: str, uid: str, *, at_once: bool = False) -> None:
        await self._objects.delete_pod(name, uid, at_once=at_once)
        self._has_secrets.discard(uid)
