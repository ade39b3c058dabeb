"""Reconciles Components whose channels set `prePull`: DaemonSets, and what the status says about the nodes.

A Component is reconciled when it, one of its DaemonSets, or one of their pods changes. Nothing is polled, except while
something is wrong. Runs are not affected by anything here.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from componentrun.controller.images.logins import secrets_without_run
from componentrun.controller.prepull.objects import REFUSALS, PrePullObjects, refusal
from componentrun.controller.prepull.seen import PrePullsSeen, make_pre_pull_watches
from componentrun.controller.watching.cachekeys import Key
from componentrun.controller.work.queue import Backoff, WorkQueue
from componentrun.controller.work.tasks import handle_keys
from componentrun.core.images.prepull import (
    build_daemon_set,
    daemon_set_name,
    namespace_of,
    pre_pull_channels,
)
from componentrun.core.images.prepullstatus import (
    ChannelState,
    PrePullProblem,
    disabled_status,
    missing_pods,
    state_of,
    status_with,
)
from componentrun.errors import UnsupportedError, UserError
from componentrun.process.fairqueue import Flow
from componentrun.process.kubernetes.components import patch_status
from componentrun.process.kubernetes.errors import NotFoundError
from componentrun.process.kubernetes.resources import component_resource
from componentrun.registry.errors import RegistryAwayError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from componentrun.api.channels import Channel
    from componentrun.api.component import Component
    from componentrun.api.componentstatus import ComponentStatus
    from componentrun.controller.images.resolving import Images
    from componentrun.controller.metrics import Metrics
    from componentrun.controller.storages.references import References
    from componentrun.controller.watching.caches import Caches
    from componentrun.core.images.prepull import PrePullSettings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["PrePulls"]

_log = logging.getLogger(__name__)

_WORKERS: Final = 8
"""They mostly wait for registries, and a slow one must not hold up the images of other tenants."""
_TOGETHER_SECONDS: Final = 1.0
"""Changes of pods and DaemonSets within this time are written to the status together."""
_PATIENCE: Final = timedelta(seconds=3)
"""Time that the DaemonSet controller has to create pods before the operator finds out why there are none."""
_LOOK_AGAIN_SECONDS: Final = 60.0
"""How often it finds that out while pods are missing."""
_MARKS: Final = (b'"prePull', b'"PrePulled"')
"""What the document of a Component contains that wants its images on nodes, or whose status says that it did."""


class PrePulls:
    """Brings images to nodes."""

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        references: References,
        images: Images,
        settings: PrePullSettings,
        metrics: Metrics,
        clock: Callable[[], datetime],
        namespaces: Sequence[str] = (),
    ) -> None:
        """Do nothing before `activate`. `clock` returns the API server's time; `namespaces`: empty for all."""
        self._kube = kube
        self._caches = caches
        self._references = references
        self._images = images
        self._settings = settings
        self._clock = clock
        self._is_active = False
        self.seen = PrePullsSeen(self._seen_change)
        self._objects = PrePullObjects(kube, self.seen, clock)
        self._watches = make_pre_pull_watches(kube, self.seen, metrics, namespaces) if settings.is_enabled else []
        self._being_written: Key | None = None
        """A Component whose status this is writing now, which is no news."""
        self._missing_since: dict[Key, datetime] = {}
        """Since when pods of a DaemonSet are missing."""
        self._queue: WorkQueue[Key] = WorkQueue(
            backoff=Backoff(first=2.0, longest=300.0), flow_of=lambda key: Flow(key.namespace), workers=_WORKERS
        )
        caches.components.listen(self._changed)
        caches.cluster_components.listen(self._changed)

    def activate(self, active: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Start or stop. Only the operator that holds the Lease changes anything."""
        self._is_active = active
        if active:
            for key in (*self._caches.components.all_keys(), *self._caches.cluster_components.all_keys()):
                self._changed(key)
            for key in self.seen.owners():
                self._queue.add(key)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.run(), name=f"watch of {watch.resource.plural} that keep images")
            handling = handle_keys(self._queue, self.reconcile, tasks=_WORKERS, what="prePull")
            group.create_task(handling, name="images on nodes")

    async def reconcile(self, key: Key) -> bool:
        """Bring the images of a Component to nodes, and write its status if that has changed.

        Args:
            key: namespace, empty for a ClusterComponent, and name.

        Returns:
            False if there is a problem that may pass without an event.

        Raises:
            ComponentRunError: the API server refused or is unavailable.
        """
        component = self._component(key)
        if component is None:
            return True
        if not self._settings.is_enabled:
            await self._write(component, disabled_status(component, self._clock()))
            return True
        if not all(watch.synced for watch in self._watches):
            self._queue.add_after(key, _TOGETHER_SECONDS)
            return True
        channels = pre_pull_channels(component)
        problems = {channel.name: await self._bring(key, component, channel) for channel in channels}
        if not await self._remove_others(key, component, channels):
            return True  # it was changed just now, and is in the queue again
        states = [await self._state(key, component, channel, problems[channel.name]) for channel in channels]
        # Resolving a channel has changed the Component.
        present = self._component(key)
        if present is not None and present.metadata.uid == component.metadata.uid:
            await self._write(present, status_with(present, states, self._clock()))
        return not any(problems.values())

    def _component(self, key: Key) -> Component | None:
        """The Component; None if it was deleted, is not this operator's, or can't be read by this release."""
        is_ours = self._caches.shard.owns(key.namespace) if key.namespace else self._caches.shard.is_first
        if not self._is_active or not is_ours:
            return None
        try:
            component = self._references.cached_component(key)
        except UnsupportedError as error:
            _log.warning("%s", error.message)
            return None
        return component

    async def _bring(self, key: Key, component: Component, channel: Channel) -> PrePullProblem | None:
        """Create the DaemonSet of a channel, or bring it up to date. Returns why that is impossible."""
        try:
            namespace = namespace_of(component, self._settings)
            # A ClusterComponent has no Storage: its pods are in the operator's namespace.
            secrets = await secrets_without_run(self._references, component, self._settings.pull_secrets)
            image = await self._images.of_channel(component, channel.name, namespace, secrets)
        except (UserError, RegistryAwayError) as error:
            return PrePullProblem("NotResolved", error.message)
        wanted = build_daemon_set(component, channel, image, namespace, secrets, self._settings)
        try:
            again = await self._objects.apply(wanted)
        except REFUSALS as error:
            return refusal(error)
        if again is not None:
            self._queue.add_after(key, again.total_seconds())
        return None

    async def _remove_others(self, key: Key, component: Component, channels: Sequence[Channel]) -> bool:
        """Delete the DaemonSets of a Component that no channel wants.

        Returns:
            False if the Component has changed meanwhile, so that this is not certain.
        """
        wanted = {daemon_set_name(component, channel.name) for channel in channels}
        there = self.seen.of_owner(component.metadata.uid)
        others = [item for item in there if item["metadata"]["name"] not in wanted]
        if others and not await self._is_present(key, component):
            return False
        for daemon_set in others:
            await self._objects.delete(daemon_set)
            self._missing_since.pop(Key.of(daemon_set), None)
        return True

    async def _is_present(self, key: Key, component: Component) -> bool:
        """Whether the API server has this version of the spec. If not, the cache gets the present one."""
        try:
            found = await self._kube.get(component_resource(component.KIND), key.namespace or None, key.name)
        except NotFoundError:
            return False  # the garbage collector deletes what it owned
        self._caches.components_of(key.namespace).seen(found)
        metadata = found["metadata"]
        is_same = (metadata["uid"], metadata.get("generation")) == (
            component.metadata.uid,
            component.metadata.generation,
        )
        if not is_same:
            self._queue.add(key)
        return is_same

    async def _state(
        self, key: Key, component: Component, channel: Channel, problem: PrePullProblem | None
    ) -> ChannelState:
        namespace = component.metadata.namespace or self._settings.namespace or ""
        name = Key(namespace, daemon_set_name(component, channel.name))
        daemon_set, pods = self.seen.daemon_set(name), self.seen.pods(name)
        if daemon_set is not None and problem is None and missing_pods(daemon_set, pods):
            problem = await self._why_missing(key, name, daemon_set)
        else:
            self._missing_since.pop(name, None)
        return state_of(channel.name, daemon_set, pods, problem)

    async def _why_missing(self, key: Key, name: Key, daemon_set: dict[str, Any]) -> PrePullProblem | None:
        """Why pods are missing; None if it is too early to say, or nothing keeps the controller from creating them."""
        self._missing_since = {k: since for k, since in self._missing_since.items() if self.seen.daemon_set(k)}
        since = self._missing_since.setdefault(name, self._clock())
        if self._clock() - since < _PATIENCE:
            self._queue.add_after(key, _PATIENCE.total_seconds())
            return None
        self._queue.add_after(key, _LOOK_AGAIN_SECONDS)
        return await self._objects.why_no_pods(daemon_set)

    async def _write(self, component: Component, status: ComponentStatus) -> None:
        """Write the status if it is new."""
        if status == component.status:
            return
        document = status.to_dict()
        fields = {name: document.get(name, []) for name in ("channels", "conditions")}
        try:
            answer = await patch_status(self._kube, component, fields)
        except NotFoundError:
            return  # it was deleted
        self._being_written = Key.of(answer)
        try:
            self._caches.components_of(component.metadata.namespace).seen(answer)
        finally:
            self._being_written = None

    def _changed(self, key: Key) -> None:
        """Queue a Component that has changed, if it wants its images on nodes or did so before."""
        document = self._caches.components_of(key.namespace).document(key)
        if document is None:
            self._queue.forget(key)
        elif key == self._being_written:
            return
        elif any(mark in document for mark in _MARKS):
            self._queue.add(key)

    def _seen_change(self, key: Key) -> None:
        self._queue.add_after(key, _TOGETHER_SECONDS)
