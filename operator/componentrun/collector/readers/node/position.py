"""How far a container's log was read from the node's files, and how to go on exactly there. Pure.

A cursor is a file and an offset up to which everything was read. A long line is stored in parts, possibly with lines of
the other stream in between. So if a line was unfinished, reading continues from its first part, and lines that were
complete before the cursor are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from componentrun.collector.readers.line import Cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.readers.line import Line

__all__ = ["BEGINNING", "FilePosition"]


BEGINNING: Final = Cursor("", 0)


class FilePosition:
    """How far one container's log was read into events.

    Attributes:
        cursor: end of the last line.
        newest: time of the last line; 0 if nothing was read.
        lines: number of lines that were read.
    """

    def __init__(self, cursor: Cursor = BEGINNING, newest: int = 0, lines: int = 0) -> None:
        """Start at the beginning of the log, or at this cursor."""
        self.cursor, self.newest, self.lines = cursor, newest, lines

    def add(self, lines: Sequence[Line]) -> None:
        """Move behind these lines, which are in the order of the log."""
        last = lines[-1]
        if last.cursor is None:
            raise ValueError("the line was not read from a file of the node")
        self.cursor, self.newest, self.lines = Cursor(*last.cursor), last.time, self.lines + len(lines)

    def to_json(self) -> dict[str, Any]:
        """The document for the checkpoint."""
        document: dict[str, Any] = {
            "file": self.cursor.file, "offset": self.cursor.offset, "newest": self.newest, "lines": self.lines,
        }  # fmt: skip
        if self.cursor.first is not None:
            document["first"] = list(self.cursor.first)
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read the document of a checkpoint."""
        first = (str(document["first"][0]), int(document["first"][1])) if "first" in document else None
        cursor = Cursor(str(document["file"]), int(document["offset"]), first)
        return cls(cursor, int(document["newest"]), int(document["lines"]))
