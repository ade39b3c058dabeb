"""Memory for the events of each run that are pending, or written and not merged yet. Pure.

An unavailable store, or a run that prints without end, must not use up the memory of other runs. All runs together have
a fixed budget. A part of it keeps written segments until they are merged, so that they need not be read back. The rest
is divided equally among the runs with pending events: large shares while few runs print, as large segments are cheaper,
and small ones while many do.

Positions are not counted here. They are limited to about 25 KiB for each container that is read (`position`), which is
20 MiB for 800 containers.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MemoryBudget"]

_TOTAL: Final = 32 * 2**20
_MOST: Final = 2**20
_LEAST: Final = 32 * 2**10
_KEPT_SHARE: Final = 4
"""At most a quarter of the budget keeps written segments."""


class MemoryBudget:
    """Divides the budget among the runs with pending events, and counts the written segments that are kept."""

    def __init__(self, total: int = _TOTAL) -> None:
        """Divide this many bytes; each holder gets a minimum in any case."""
        self._total = total
        self._holders: set[object] = set()
        self.kept = 0
        """Bytes of written segments that are kept."""

    @property
    def each(self) -> int:
        """Bytes for each holder."""
        return max(_LEAST, min(_MOST, (self._total - self.kept) // max(len(self._holders), 1)))

    def enter(self, holder: object) -> int:
        """Add a holder, and return its share in bytes."""
        self._holders.add(holder)
        return self.each

    def leave(self, holder: object) -> None:
        """Remove a holder."""
        self._holders.discard(holder)

    def keep(self, size: int) -> bool:
        """Count this many bytes of a written segment as kept. Returns False if there is no room for them."""
        if self.kept + size > self._total // _KEPT_SHARE:
            return False
        self.kept += size
        return True

    def drop(self, size: int) -> None:
        """Count this many bytes as no longer kept."""
        self.kept -= size
