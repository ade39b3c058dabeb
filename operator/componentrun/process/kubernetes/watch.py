"""List and watch: keeps a target up to date with all objects of a kind.

Listed once, then watched from the version of the listing; bookmarks keep that version fresh. A version that is too
old (410) means to list again, and what is not in the new listing was deleted in between.

An error of the target about one object is logged and counted, and the others are told all the same. While there is such
an object, everything is listed again where a watch ends, so that it has another chance.
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
"""Shortest time between two listings for the sake of objects that the target did not take in."""


class Target(Protocol):
    """Who is told. Called on the event loop, one call at a time; must not block.

    What it raises about an object stays with that object.
    """

    def changed(self, raw: Mapping[str, Any]) -> None:
        """The object is new, or has changed, or is as it was."""

    def deleted(self, uid: str, last: Mapping[str, Any], /) -> None:
        """The object is gone; `last` is how it was then."""

    def vanished(self, uids: AbstractSet[str], errors: EventErrors, /) -> None:
        """These objects are gone, and their end was missed: all that one listing lacks. Each is taken in by itself.

        Args:
            uids: of the objects.
            errors: `with errors.of(uid, name):` around each.
        """


class Watch:
    """Watches one kind of object.

    Attributes:
        resource: the kind.
        namespace: None: all.
        synced: whether all objects were told at least once.
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
        """Watch objects with these labels in this namespace; None: in all. The observer counts errors of the target."""
        self.resource, self.namespace = resource, namespace
        self._kube, self._labels = kube, labels
        self._target = target
        self._errors = EventErrors(resource.plural, observer)
        self._known: set[str] = set()
        self._version = ""
        self._listed_at = float("-inf")
        self.synced = False

    def begin_at(self, version: str, known: set[str]) -> None:
        """Watch from here on: at this version these uids were listed, and the target was told."""
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
                await asyncio.sleep(_FIRST_PAUSE)  # a proxy that ends every answer at once must not make this spin
            except GoneError:
                log.info("watch of %s: version %s is too old, listing again", self.resource.plural, self._version)
                self._version = ""
            except KubeError as error:
                log.warning("watch of %s, trying again in %.1f s: %s", self.resource.plural, pause, error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _has_to_list_again(self) -> bool:
        """Whether an object has not been taken in, and the last listing is some time ago."""
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
                    self._target.changed(raw)
        vanished = self._known - found
        self._errors.failed &= found
        if vanished:
            self._target.vanished(vanished, self._errors)
        # One whose end was not taken in is not there in the next listing either.
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
        """Tell the target of one object."""
        uid = raw["metadata"]["uid"]
        self._known.add(uid)
        with self._errors.of(uid, name_of(raw)):
            if deleted:
                self._target.deleted(uid, raw)
                self._known.discard(uid)
            else:
                self._target.changed(raw)
