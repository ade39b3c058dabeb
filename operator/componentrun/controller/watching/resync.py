"""Listing everything: at the start, so that the caches are known to be complete, and now and then afterwards.

A watch that broke may have missed changes and deletions (kopf lists again then, but tells nobody what is gone). What a
listing finds and no event had told is put on the queue, and every run that has not ended is looked at again.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from componentrun.api import names
from componentrun.controller.watching.caches import Caches, Key, run_of_pod
from componentrun.process.kubernetes.errors import ForbiddenError
from componentrun.process.kubernetes.eventerrors import EventErrors, name_of
from componentrun.process.kubernetes.resources import COMPONENTS, PODS, RUNS, STORAGES, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.controller.metrics import Metrics
    from componentrun.controller.work.queue import WorkQueue
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.watch import Watch

__all__ = ["Resync"]

_log = logging.getLogger(__name__)

_UNFINISHED: Final = frozenset({"Queued", "Suspended", "Pending", "StagingIn", "Running", "StagingOut", "Publishing"})


class _Mirror(Protocol):
    """A cache as a listing sees it."""

    def seen(self, obj: Mapping[str, Any]) -> bool: ...

    def vanished(self, key: Key, uid: str) -> bool: ...

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]: ...


@dataclass(frozen=True, slots=True)
class _Listing:
    version: str
    there: set[str]
    """Uids."""
    changes: int
    """That nobody had told."""


class Resync:
    """Compares the caches with the API server."""

    def __init__(
        self, kube: Kube, caches: Caches, queue: WorkQueue[Key], metrics: Metrics, namespaces: Sequence[str]
    ) -> None:
        """Without namespaces, all of them are listed."""
        self._kube = kube
        self._caches = caches
        self._queue = queue
        self._metrics = metrics
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)

    async def everything(self, *, first: bool = False, watches: Sequence[Watch] = ()) -> None:
        """List all that is watched. The first time, what is found was not missed by anybody.

        Args:
            first: whether nothing was listed before.
            watches: have not begun yet, and begin where the listings end.

        Raises:
            KubeError: the API server refused everywhere, or is away; the caches are as they were, or better.
        """
        missed: Counter[str] = Counter()
        refused: list[ForbiddenError] = []
        for namespace in self._namespaces:
            try:
                await self._namespace(namespace, watches, missed)
            except ForbiddenError as error:
                # One that is deleted takes our rights in it along; the others need not wait until that is mended.
                refused.append(error)
                if first and namespace is not None:
                    self._caches.unlisted.add(namespace)
                _log.error("namespace %s can't be listed, and is left out: %s", namespace, error.message)
        if len(refused) == len(self._namespaces):
            raise refused[0]
        for plural, count in missed.items() if not first else ():
            self._metrics.watch_missed(plural, count)
            _log.info("a listing of %s found %d changes that no event had told", plural, count)
        for key in self._caches.runs.all_keys() if first else self._caches.runs.in_phases(_UNFINISHED):
            self._queue.add(key)

    async def late(self) -> None:
        """List the namespaces that were refused the first time, where that is allowed by now.

        Raises:
            KubeError: the API server is away.
        """
        for namespace in sorted(self._caches.unlisted):
            with suppress(ForbiddenError):  # told when all were listed
                await self._namespace(namespace, (), Counter())

    async def _namespace(self, namespace: str | None, watches: Sequence[Watch], missed: Counter[str]) -> None:
        """List everything of one namespace; of all that there are for None."""
        caches = self._caches
        # What runs refer to comes before them, so that a run finds its Component and its Storage.
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
        """List one kind in one namespace."""
        there: set[str] = set()
        changed = 0
        version = ""
        errors = EventErrors(resource.plural, self._metrics)
        async for page in self._kube.pages(resource, namespace, labels):
            version = version or page.resource_version
            for item in page.items:
                uid = item["metadata"]["uid"]
                there.add(uid)
                with errors.of(uid, name_of(item)):
                    if mirror.seen(item):
                        changed += 1
                        self._enqueue(resource, item)
        # What is newer than the listing may be missing in it.
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
