"""Full resync: lists all objects, at the start to fill the caches, and regularly to recover from missed watch events.

A broken watch may miss changes and deletions. (kopf then lists again, but does not report deletions.) Runs that a
listing finds changed are queued, and so is every run that has not ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from componentrun.api import names
from componentrun.controller.watching.caches import Caches, Key, run_of_pod
from componentrun.process.kubernetes.errors import ForbiddenError
from componentrun.process.kubernetes.eventerrors import EventErrors, name_of
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, PODS, RUNS, STORAGES, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.controller.metrics import Metrics
    from componentrun.controller.work.queue import WorkQueue
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.watch import Watch

__all__ = ["Relists", "Resync"]

_log = logging.getLogger(__name__)

_UNFINISHED: Final = frozenset({
    "Queued", "Suspended", "Building", "Pending", "StagingIn", "Running", "StagingOut", "Publishing",
})  # fmt: skip
_QUIET_SECONDS: Final = 2.0
"""Seconds without a listed object after which a listing counts as finished."""


class Relists:
    """Detects that kopf lists objects: at its start, and after a watch whose version was too old (410).

    Objects that were deleted before are missing in the listing; kopf reports them to no handler.
    """

    def __init__(self) -> None:
        """Start without any listing."""
        self._listed = asyncio.Event()

    def note(self) -> None:
        """Record that an object was listed, or that kopf was restarted."""
        self._listed.set()

    async def wait(self) -> None:
        """Return when a listing has finished."""
        await self._listed.wait()
        while self._listed.is_set():
            self._listed.clear()
            await asyncio.sleep(_QUIET_SECONDS)


class _Mirror(Protocol):
    """The part of a cache that a listing uses."""

    def seen(self, obj: Mapping[str, Any]) -> bool: ...

    def vanished(self, key: Key, uid: str) -> bool: ...

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]: ...


@dataclass(frozen=True, slots=True)
class _Listing:
    version: str
    there: set[str]
    """Uids of the listed objects."""
    changes: int
    """Number of changes that no event had reported."""


class Resync:
    """Lists objects and updates the caches."""

    def __init__(
        self, kube: Kube, caches: Caches, queue: WorkQueue[Key], metrics: Metrics, namespaces: Sequence[str]
    ) -> None:
        """`namespaces` is empty for all namespaces."""
        self._kube = kube
        self._caches = caches
        self._queue = queue
        self._metrics = metrics
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)

    async def everything(self, *, first: bool = False, watches: Sequence[Watch] = ()) -> None:
        """List everything that is watched. In the first listing, differences do not count as missed events.

        Args:
            first: whether this is the first listing.
            watches: watches that are not started yet; they begin at the version of the listing.

        Raises:
            KubeError: all namespaces were refused, or the API server does not respond; the caches stay valid.
        """
        missed: Counter[str] = Counter()
        refused: list[ForbiddenError] = []
        if self._caches.uses_cluster_components:
            listing = await self._one(CLUSTER_COMPONENTS, self._caches.cluster_components, "", None)
            if listing.changes:
                missed[CLUSTER_COMPONENTS.plural] += listing.changes
        for namespace in self._namespaces:
            try:
                await self._namespace(namespace, watches, missed)
            except ForbiddenError as error:
                # When a namespace is deleted, so are the operator's permissions in it. The others are still listed.
                refused.append(error)
                if first and namespace is not None:
                    self._caches.unlisted.add(namespace)
                _log.error("namespace %s can't be listed, and is left out: %s", namespace, error.message)
        if len(refused) == len(self._namespaces):
            raise refused[0]
        for plural, count in missed.items() if not first else ():
            self._metrics.watch_missed(plural, count)
            _log.info("a listing of %s found %d changes that no event had reported", plural, count)
        for key in self._caches.runs.all_keys() if first else self._caches.runs.in_phases(_UNFINISHED):
            self._queue.add(key)

    async def late(self) -> None:
        """List the namespaces whose first listing was refused, if that is allowed now.

        Raises:
            KubeError: the API server does not respond.
        """
        for namespace in sorted(self._caches.unlisted):
            with suppress(ForbiddenError):  # logged by `everything`
                await self._namespace(namespace, (), Counter())

    async def _namespace(self, namespace: str | None, watches: Sequence[Watch], missed: Counter[str]) -> None:
        """List everything in one namespace; None: in all of them."""
        caches = self._caches
        # List Components and Storages before the runs that refer to them.
        kinds: tuple[tuple[Resource, _Mirror, str], ...] = (
            (COMPONENTS, caches.components, ""),
            (STORAGES, caches.storages, ""),
            (PODS, caches.pods, names.OUR_PODS),
            (RUNS, caches.runs, ""),
        )
        for resource, mirror, labels in kinds:
            listing = await self._one(resource, mirror, labels, namespace)
            if listing.changes:
                missed[resource.plural] += listing.changes
            for watch in watches:
                if (watch.resource, watch.namespace) == (resource, namespace):
                    watch.begin_at(listing.version, listing.there)
        if namespace in caches.unlisted:
            caches.unlisted.discard(namespace)
            for key in caches.runs.all_keys():
                if key.namespace == namespace:
                    self._queue.add(key)

    async def _one(self, resource: Resource, mirror: _Mirror, labels: str, namespace: str | None) -> _Listing:
        """List objects of one kind in one namespace; None: in all of them. Those of other shards are left out."""
        there: set[str] = set()
        changed = 0
        version = ""
        errors = EventErrors(resource.plural, self._metrics)
        async for page in self._kube.pages(resource, namespace, labels):
            version = version or page.resource_version
            for item in page.items:
                if resource.is_namespaced and not self._caches.shard.owns(item["metadata"].get("namespace", "")):
                    continue
                uid = item["metadata"]["uid"]
                there.add(uid)
                with errors.of(uid, name_of(item)):
                    if mirror.seen(item):
                        changed += 1
                        self._enqueue(resource, item)
        # The listing does not contain objects that are newer than it.
        for key, uid in mirror.older_than(int(version) if version.isdigit() else 0, namespace):
            if uid in there:
                continue
            with errors.of(uid, str(key)):
                if mirror.vanished(key, uid):
                    changed += 1
                    if resource in {RUNS, PODS}:
                        self._queue.add(key)
        return _Listing(version, there, changed)

    def _enqueue(self, resource: Resource, item: dict[str, Any]) -> None:
        if resource is RUNS:
            self._queue.add(Key.of(item))
        elif resource is PODS and (run := run_of_pod(item)) is not None:
            self._queue.add(run)
