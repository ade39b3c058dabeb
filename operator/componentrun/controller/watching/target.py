"""Passes what a watch reports on to what keeps the objects of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from componentrun.controller.metrics import Metrics
    from componentrun.controller.watching.cachekeys import Key
    from componentrun.process.kubernetes.eventerrors import EventErrors
    from componentrun.process.kubernetes.resources import Resource

__all__ = ["CountedTarget"]


class CountedTarget:
    """Receives the changes of one kind of object, and counts the events."""

    def __init__(
        self,
        resource: Resource,
        metrics: Metrics,
        *,
        key_of: Callable[[Mapping[str, Any]], Key],
        saw: Callable[[Mapping[str, Any]], object],
        lost: Callable[[Key, str], object],
        vanished: Callable[[AbstractSet[str], EventErrors], object],
    ) -> None:
        """Call these with what the watch reports.

        Args:
            resource: kind of the objects.
            metrics: counts the events.
            key_of: key under which an object is kept.
            saw: called with each object that is new, changed or listed.
            lost: called with key and uid of each object that was deleted.
            vanished: called with the uids of objects that a listing lacks.
        """
        self._plural = resource.plural
        self._metrics = metrics
        self._key_of = key_of
        self._saw = saw
        self._lost = lost
        self._vanished = vanished

    def changed(self, raw: Mapping[str, Any]) -> None:
        """Handle an object that was created or changed."""
        self._metrics.watch_event(self._plural)
        self._saw(raw)

    def listed(self, raw: Mapping[str, Any]) -> None:
        """Handle a listed object."""
        self.changed(raw)

    def deleted(self, uid: str, last: Mapping[str, Any], /) -> None:
        """Handle a deleted object."""
        self._metrics.watch_event(self._plural)
        self._lost(self._key_of(last), uid)

    def vanished(self, uids: AbstractSet[str], errors: EventErrors, /) -> None:
        """Handle objects that were deleted while nothing was watched."""
        self._vanished(uids, errors)
