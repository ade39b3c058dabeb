"""Carries out requests to build the image of a channel without a run (`componentrun build start`).

A channel is resolved as for a run, which creates a ComponentBuild if the image is not there. The request is looked at
again when the build has changed, and has its answer in the status of the channel. So an operator that starts in between
goes on with the build that the status names.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.controller.images.building import BuildPendingError
from componentrun.controller.images.channels import ChannelWriter
from componentrun.controller.images.logins import secrets_without_run
from componentrun.controller.watching.cachekeys import Key
from componentrun.controller.work.queue import Backoff, WorkQueue
from componentrun.controller.work.tasks import handle_keys
from componentrun.core.builds.lifecycle.starts import MARK, failed_start, open_requests, with_start
from componentrun.core.builds.lifecycle.status import has_ended
from componentrun.errors import PlatformError, Reason, TransientError, UnsupportedError, UserError
from componentrun.process.fairqueue import Flow

if TYPE_CHECKING:
    from componentrun.api.build.componentbuild import ComponentBuild
    from componentrun.api.channels import BuildStart
    from componentrun.api.component import Component
    from componentrun.controller.images.building import KnownBuilds
    from componentrun.controller.images.resolving import Images
    from componentrun.controller.storages.references import References
    from componentrun.controller.watching.caches import Caches
    from componentrun.process.kubernetes.client import Kube

__all__ = ["BuildStarts"]

_log = logging.getLogger(__name__)

_WORKERS: Final = 4
_MOST_WRITES: Final = 5


class BuildStarts:
    """Carries out the requests of the Components that this operator works for."""

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        references: References,
        images: Images,
        objects: KnownBuilds,
        operator_name: str | None = None,
    ) -> None:
        """Do nothing before `activate`.

        Args:
            kube: the API server.
            caches: of the operator.
            references: finds Components.
            images: resolves channels.
            objects: the ComponentBuilds.
            operator_name: value of `OPERATOR_LABEL` on the Components that are this operator's.
        """
        self._caches = caches
        self._references = references
        self._images = images
        self._objects = objects
        self._operator = operator_name
        self._writer = ChannelWriter(kube, caches)
        self._is_active = False
        self._waiting: dict[Key, set[Key]] = {}
        """Builds that requests wait for, by Component."""
        self._queue: WorkQueue[Key] = WorkQueue(
            backoff=Backoff(first=1.0, longest=60.0), flow_of=lambda key: Flow(key.namespace), workers=_WORKERS
        )
        caches.components.listen(self._changed)
        objects.listen(self._build_changed)

    def activate(self, active: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Start or stop. Only the operator that holds the Lease changes anything."""
        self._is_active = active
        if active:
            for key in self._caches.components.all_keys():
                self._changed(key)

    async def run(self) -> None:
        """Work until cancelled."""
        await handle_keys(self._queue, self.reconcile, tasks=_WORKERS, what="start of a build")

    def wants(self, key: Key, _build: ComponentBuild) -> bool:
        """Whether a request waits for a build."""
        return any(key in builds for builds in self._waiting.values())

    async def reconcile(self, key: Key) -> bool:
        """Carry out the requests of a Component as far as possible now.

        Args:
            key: namespace and name of the Component.

        Returns:
            False if a request is to be tried again.

        Raises:
            ComponentRunError: the API server refused or is unavailable.
        """
        component = self._component(key)
        requests = open_requests(component) if component is not None else {}
        answers = [await self._carry_out(key, channel, start) for channel, start in requests.items()]
        self._wait(key, [answer for answer in answers if isinstance(answer, BuildPendingError)])
        return False not in answers

    def _component(self, key: Key) -> Component | None:
        """The Component; None if it was deleted, is not this operator's, or can't be read by this release."""
        if not self._is_active or not self._caches.shard.owns(key.namespace):
            return None
        try:
            component = self._references.cached_component(key)
        except UnsupportedError as error:
            _log.warning("%s", error.message)
            return None
        if component is None or component.metadata.labels.get(names.OPERATOR_LABEL) != self._operator:
            return None
        return component

    async def _carry_out(self, key: Key, channel: str, start: BuildStart) -> BuildPendingError | bool:
        """Carry out one request. Returns the build that it waits for, or False if it is to be tried again."""
        component = self._component(key)
        if component is None:
            return True
        try:
            secrets = await secrets_without_run(self._references, component)
            image = await self._images.built_for(component, channel, start, secrets)
        except BuildPendingError as pending:
            update = {"build": pending.build.name, "build_hash": pending.build.build_hash, "message": pending.message}
            await self._write(key, channel, start.model_copy(update=update))
            return pending
        except TransientError as error:
            await self._write(key, channel, start.model_copy(update={"message": error.message}))
            return False
        except (UserError, PlatformError) as error:
            await self._write(key, channel, failed_start(start, error))
        else:
            await self._write(key, channel, start.model_copy(update={"image": image, "message": None}))
        return True

    def _wait(self, key: Key, pendings: list[BuildPendingError]) -> None:
        """Note which builds the requests of a Component wait for."""
        builds = {Key(key.namespace, pending.build.name): pending.uid for pending in pendings}
        self._waiting.pop(key, None)
        if builds:
            self._waiting[key] = set(builds)
        for build, uid in builds.items():
            try:
                present = self._objects.get(build)
            except UnsupportedError:
                continue
            if present is not None and present.metadata.uid == uid and has_ended(present.status):
                # It ended between the answer that the request has to wait and now.
                self._queue.add(key)

    async def _write(self, key: Key, channel: str, start: BuildStart) -> None:
        """Write the answer to a request, unless there is a later one."""
        for _ in range(_MOST_WRITES):
            component = self._component(key)
            present = open_requests(component).get(channel) if component is not None else None
            if component is None or present is None or present.request != start.request or present == start:
                return
            if await self._writer.write(component, with_start(component, channel, start)) is None:
                return
        raise TransientError(f"the status of Component {key} keeps changing while it is written", Reason.QUEUED)

    def _changed(self, key: Key) -> None:
        """Queue a Component that has changed, if it has requests."""
        document = self._caches.components.document(key)
        if document is None:
            self._queue.forget(key)
            self._waiting.pop(key, None)
        elif self._is_active and MARK in document:
            self._queue.add(key)

    def _build_changed(self, build: Key) -> None:
        for key, builds in self._waiting.items():
            if build in builds:
                self._queue.add(key)
