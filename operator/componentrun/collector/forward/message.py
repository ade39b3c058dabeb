"""An event on its way to a receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from componentrun.storage.events.events import Event

__all__ = ["Message", "size_of"]

_OVERHEAD: Final = 800
"""Bytes of an event without message, params and results: in memory, and as it is sent."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event, and of which run it is."""

    event: Event
    namespace: str
    run_name: str


def size_of(event: Event) -> int:
    """Bytes that an event takes, about."""
    further = len(str(event.params)) if event.params else 0
    return _OVERHEAD + len(event.message) + further + (len(str(event.results)) if event.results else 0)
