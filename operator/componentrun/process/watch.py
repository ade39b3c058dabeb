"""List and watch: keeps a target up to date with all objects of a kind.

Listed once, then watched from the version of the listing; bookmarks keep that version fresh. A version that is too
old (410) means to list again, and what is not in the new listing was deleted in between.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from componentrun.process.kubeerrors import GoneError, KubeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.process.kube import Kube
    from componentrun.process.resources import Resource

__all__ = ["Target", "Watch"]

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0


class Target(Protocol):
    """Who is told. Called on the event loop, one call at a time; must not block."""

    def changed(self, raw: Mapping[str, Any]) -> None:
        """The object is new, or has changed, or is as it was."""

    def deleted(self, uid: str, last: Mapping[str, Any] | None, /) -> None:
        """The object is gone; `last` is how it was then, None where its end was missed."""


class Watch:
    """Watches one kind of object.

    Attributes:
        resource: the kind.
        namespace: None: all.
        synced: whether all objects were told at least once.
    """

    def __init__(self, kube: Kube, resource: Resource, namespace: str | None, labels: str, target: Target) -> None:
        """Watch objects with these labels in this namespace; None: in all."""
        self.resource, self.namespace = resource, namespace
        self._kube, self._labels = kube, labels
        self._target = target
        self._known: set[str] = set()
        self._version = ""
        self.synced = False

    def begin_at(self, version: str, known: set[str]) -> None:
        """Watch from here on: at this version these uids were listed, and the target was told."""
        self._version, self._known, self.synced = version, known, True

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._version:
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

    async def _list(self) -> None:
        found: set[str] = set()
        version = ""
        async for page in self._kube.pages(self.resource, self.namespace, self._labels):
            version = page.resource_version
            for raw in page.items:
                found.add(raw["metadata"]["uid"])
                self._target.changed(raw)
        for uid in self._known - found:
            self._target.deleted(uid, None)
        self.begin_at(version, found)

    async def _watch(self) -> None:
        async for event in self._kube.watch(self.resource, self.namespace, self._version, self._labels):
            raw = event["object"]
            metadata = raw["metadata"]
            if event["type"] in {"ADDED", "MODIFIED"}:
                self._known.add(metadata["uid"])
                self._target.changed(raw)
            elif event["type"] == "DELETED":
                self._known.discard(metadata["uid"])
                self._target.deleted(metadata["uid"], raw)
            self._version = metadata["resourceVersion"]
