"""How far a container's log was read from the node's files, and how to go on exactly there. Pure.

A place is a file and an offset: whatever is before it was read. A long line lies in the files in parts, and lines of
the other stream may lie between them; so where a line was unfinished, reading goes on from its first part, and what was
complete before the place is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from componentrun.collector.readers.line import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.readers.line import Line

__all__ = ["BEGINNING", "FilePosition"]


BEGINNING: Final = Place("", 0)


class FilePosition:
    """What was read of one container's log. Grows with every line that went into an event.

    Attributes:
        place: behind the last of them.
        newest: its time; 0: nothing was read.
        lines: lines read in all.
    """

    def __init__(self, place: Place = BEGINNING, newest: int = 0, lines: int = 0) -> None:
        """Begin at the beginning of the log, or there."""
        self.place, self.newest, self.lines = place, newest, lines

    def add(self, lines: Sequence[Line]) -> None:
        """These lines went into events, in the order in which they stand in the log."""
        last = lines[-1]
        if last.place is None:
            raise ValueError("the line was not read from a file of the node")
        self.place, self.newest, self.lines = Place(*last.place), last.time, self.lines + len(lines)

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        document: dict[str, Any] = {
            "file": self.place.file, "offset": self.place.offset, "newest": self.newest, "lines": self.lines,
        }  # fmt: skip
        if self.place.first is not None:
            document["first"] = list(self.place.first)
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """From the checkpoint."""
        first = (str(document["first"][0]), int(document["first"][1])) if "first" in document else None
        place = Place(str(document["file"]), int(document["offset"]), first)
        return cls(place, int(document["newest"]), int(document["lines"]))
