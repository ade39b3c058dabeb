"""An event that is sent to a receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from componentrun.storage.events.events import Event

__all__ = ["Message", "size_of"]

_OVERHEAD: Final = 800
"""Approximate bytes of an event without message, params and results."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event and its run."""

    event: Event
    namespace: str
    run_name: str


def size_of(event: Event) -> int:
    """Approximate bytes of an event."""
    further = len(str(event.params)) if event.params else 0
    return _OVERHEAD + len(event.message) + further + (len(str(event.results)) if event.results else 0)
