"""How many lines of builds have become events of a run. Pure.

Each run that waits for a build has its lines. So that a build that prints without end does not fill the store once for
each of them, only the first lines become events. The others are read and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.core.podstatus.results import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.collector.readers.line import Line

__all__ = ["MOST_BYTES", "MOST_LINES", "BuildLinesTaken"]

MOST_LINES: Final = 10_000
MOST_BYTES: Final = 4 * 2**20


class BuildLinesTaken:
    """The lines of builds that one run has.

    Attributes:
        left_lines: lines beyond the limit.
        left_bytes: their size.
        masked: uids of the pods with lines that asked to redact a value. The values are not in the checkpoint.
    """

    def __init__(self) -> None:
        """Start without lines."""
        self._lines = 0
        self._bytes = 0
        self.left_lines = 0
        self.left_bytes = 0
        self.masked: set[str] = set()

    @property
    def limit_message(self) -> str:
        """What an event says when the first line is left out."""
        return (
            f"the run has {MOST_LINES:,} lines or {MOST_BYTES:,} bytes of builds, the most that a run may have: what "
            "its builds print from here on is left out"
        )

    @property
    def left_message(self) -> str:
        """What an event says at the end of the run."""
        left = f"{counted(self.left_lines, 'line')} of {self.left_bytes:,} bytes"
        return f"{left} of builds were left out: they printed too much"

    def take(self, lines: Sequence[Line]) -> bool:
        """Count lines. Returns whether they become events."""
        size = sum([len(line.text) for line in lines])
        if self._lines >= MOST_LINES or self._bytes >= MOST_BYTES:
            self.left_lines += len(lines)
            self.left_bytes += size
            return False
        self._lines += len(lines)
        self._bytes += size
        return True

    def ends_in(self, lines: Sequence[Line], held: tuple[int, int]) -> bool:
        """Whether the limit is among these lines, or those of which number and size are held."""
        room, size = MOST_LINES - self._lines, MOST_BYTES - self._bytes
        if room <= 0 or size <= 0:
            return False  # all of them are beyond
        return len(lines) + held[0] > room or sum([line.size for line in lines]) + held[1] >= size

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint; empty if the run has waited for no build."""
        if not self._lines:
            return {}
        counts = [self._lines, self._bytes, self.left_lines, self.left_bytes]
        return {"counts": counts, "masked": sorted(self.masked)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> BuildLinesTaken:
        """Go on with what `to_json` returned."""
        taken = cls()
        counts = (int(value) for value in document.get("counts", (0, 0, 0, 0)))
        taken._lines, taken._bytes, taken.left_lines, taken.left_bytes = counts
        taken.masked = set(document.get("masked", ()))
        return taken
