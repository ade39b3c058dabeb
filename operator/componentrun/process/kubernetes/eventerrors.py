"""Errors while one object is processed do not affect other objects.

A watch delivers thousands of objects. An error while one of them is processed is logged with its traceback and counted;
the watch goes on.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["EventErrors", "EventObserver", "name_of"]

log = logging.getLogger(__name__)


class EventObserver(Protocol):
    """Counts errors, for metrics."""

    def event_failed(self, resource: str) -> None:
        """An object of a watch or a listing could not be processed."""


class EventErrors:
    """The errors of objects of one kind.

    Attributes:
        failed: uids of objects whose last state was not processed.
    """

    def __init__(self, plural: str, observer: EventObserver) -> None:
        """`plural` names the kind, as in the API."""
        self._plural = plural
        self._observer = observer
        self.failed: set[str] = set()

    @contextmanager
    def of(self, uid: str, name: str) -> Iterator[None]:
        """Process one object inside this block; an error ends the block only."""
        try:
            yield
        except Exception:
            log.exception("%s %s can't be taken in; it is looked at again with the next listing", self._plural, name)
            self._observer.event_failed(self._plural)
            self.failed.add(uid)
        else:
            self.failed.discard(uid)


def name_of(raw: Mapping[str, Any]) -> str:
    """Namespace and name of an object, separated by a slash."""
    metadata = raw["metadata"]
    return "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)
