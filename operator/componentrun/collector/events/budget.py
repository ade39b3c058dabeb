"""How much of the collector's memory the events of one run may take while they wait. Pure.

A store that is away, or a run that prints without end, must not take the memory that others need. So all runs together
may hold so many bytes, and each that holds something an equal part: a large one while few print, as large segments cost
less, and a small one while many do.

Positions are not counted here: they are bounded by themselves, to about 25 KiB for each container that is read
(`position`), which is 20 MiB for 800 of them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MemoryBudget"]

_TOTAL: Final = 32 * 2**20
_MOST: Final = 2**20
_LEAST: Final = 32 * 2**10


class MemoryBudget:
    """Counts who holds something."""

    def __init__(self, total: int = _TOTAL) -> None:
        """All together may hold so many bytes; each a little in any case."""
        self._total = total
        self._holders: set[object] = set()

    @property
    def each(self) -> int:
        """Bytes for each of those who hold something."""
        return max(_LEAST, min(_MOST, self._total // max(len(self._holders), 1)))

    def enter(self, holder: object) -> int:
        """It holds something; its share."""
        self._holders.add(holder)
        return self.each

    def leave(self, holder: object) -> None:
        """It holds nothing."""
        self._holders.discard(holder)
