"""List and watch: keeps a target up to date with all objects of a kind.

Objects are listed once and then watched from the version of the listing; bookmarks keep that version current. If the
version is too old (410), objects are listed again, and those that the new listing lacks were deleted in between.

An error of the target about one object is logged and counted; other objects are delivered. While there is such an
object, everything is listed again when a watch ends, so that it is retried.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from componentrun.process.kubernetes.errors import GoneError, KubeError
from componentrun.process.kubernetes.eventerrors import EventErrors, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.eventerrors import EventObserver
    from componentrun.process.kubernetes.resources import Resource

__all__ = ["Target", "Watch"]

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0
_LIST_AGAIN_SECONDS: Final = 60.0
"""Minimum time between two listings that retry failed objects."""


class Target(Protocol):
    """Receives changes, on the event loop, one call at a time; must not block.

    An error that it raises about an object does not affect other objects.
    """

    def changed(self, raw: Mapping[str, Any]) -> None:
        """The object was created or changed. No change since the last call about it was missed."""

    def listed(self, raw: Mapping[str, Any]) -> None:
        """A listing has the object. Changes since the last call about it may have been missed."""

    def deleted(self, uid: str, last: Mapping[str, Any], /) -> None:
        """The object was deleted; `last` is its last state."""

    def vanished(self, uids: AbstractSet[str], errors: EventErrors, /) -> None:
        """These objects were deleted while nothing was watched: a listing lacks them.

        Args:
            uids: of the objects.
            errors: `with errors.of(uid, name):` around each.
        """


class Watch:
    """Watches one kind of object.

    Attributes:
        resource: the kind.
        namespace: None: all.
        synced: whether all objects were delivered at least once.
    """

    def __init__(
        self,
        kube: Kube,
        resource: Resource,
        namespace: str | None,
        labels: str,
        target: Target,
        observer: EventObserver,
    ) -> None:
        """Watch objects with these labels in this namespace; None: in all namespaces. The observer counts errors."""
        self.resource, self.namespace = resource, namespace
        self._kube, self._labels = kube, labels
        self._target = target
        self._errors = EventErrors(resource.plural, observer)
        self._known: set[str] = set()
        self._version = ""
        self._listed_at = float("-inf")
        self.synced = False

    def begin_at(self, version: str, known: set[str]) -> None:
        """Start from this version: at it, these uids were listed and delivered to the target."""
        self._version, self._known, self.synced = version, known, True

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._version or self._has_to_list_again():
                    await self._list()
                await self._watch()
                pause = _FIRST_PAUSE
                await asyncio.sleep(_FIRST_PAUSE)  # do not spin if a proxy ends every response at once
            except GoneError:
                log.info("watch of %s: version %s is too old, listing again", self.resource.plural, self._version)
                self._version = ""
            except KubeError as error:
                log.warning("watch of %s, trying again in %.1f s: %s", self.resource.plural, pause, error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _has_to_list_again(self) -> bool:
        """Whether an object failed and the last listing was long enough ago."""
        since_listing = asyncio.get_running_loop().time() - self._listed_at
        return bool(self._errors.failed) and since_listing >= _LIST_AGAIN_SECONDS

    async def _list(self) -> None:
        found: set[str] = set()
        version = ""
        async for page in self._kube.pages(self.resource, self.namespace, self._labels):
            version = page.resource_version
            for raw in page.items:
                uid = raw["metadata"]["uid"]
                found.add(uid)
                with self._errors.of(uid, name_of(raw)):
                    self._target.listed(raw)
        vanished = self._known - found
        self._errors.failed &= found
        if vanished:
            self._target.vanished(vanished, self._errors)
        # A deletion that failed is retried at the next listing, which lacks the object as well.
        self.begin_at(version, found | (vanished & self._errors.failed))
        self._listed_at = asyncio.get_running_loop().time()

    async def _watch(self) -> None:
        async for event in self._kube.watch(self.resource, self.namespace, self._version, self._labels):
            raw = event["object"]
            if event["type"] in {"ADDED", "MODIFIED"}:
                self._tell(raw, deleted=False)
            elif event["type"] == "DELETED":
                self._tell(raw, deleted=True)
            self._version = raw["metadata"]["resourceVersion"]

    def _tell(self, raw: Mapping[str, Any], *, deleted: bool) -> None:
        """Deliver one object to the target."""
        uid = raw["metadata"]["uid"]
        self._known.add(uid)
        has_missed_one = uid in self._errors.failed
        with self._errors.of(uid, name_of(raw)):
            if deleted:
                self._target.deleted(uid, raw)
                self._known.discard(uid)
            elif has_missed_one:
                self._target.listed(raw)
            else:
                self._target.changed(raw)
