"""Errors while one object is taken in: they stay with that object.

A watch tells of thousands of objects. An error in what is done about one of them is logged with its traceback and
counted, and neither ends the watch nor keeps it from telling of the others.
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
    """Told of errors, for metrics."""

    def event_failed(self, resource: str) -> None:
        """What a watch or a listing told of an object could not be taken in."""


class EventErrors:
    """The errors of objects of one kind.

    Attributes:
        failed: uids of objects that were not taken in as they were told last.
    """

    def __init__(self, plural: str, observer: EventObserver) -> None:
        """`plural` names the kind, as in the API."""
        self._plural = plural
        self._observer = observer
        self.failed: set[str] = set()

    @contextmanager
    def of(self, uid: str, name: str) -> Iterator[None]:
        """Take in one object here; what is raised ends the block and nothing else."""
        try:
            yield
        except Exception:
            log.exception("%s %s can't be taken in; it is looked at again with the next listing", self._plural, name)
            self._observer.event_failed(self._plural)
            self.failed.add(uid)
        else:
            self.failed.discard(uid)


def name_of(raw: Mapping[str, Any]) -> str:
    """An object's name as people write it."""
    metadata = raw["metadata"]
    return "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)
