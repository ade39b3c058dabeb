"""One line of a container's log, and where it ends in the files of the node. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Cursor", "Line"]


class Cursor(NamedTuple):
    """Where reading continues after a line."""

    file: str
    """Name of the file as in `wire.logserver`; empty if nothing was read."""
    offset: int
    first: tuple[str, int] | None = None
    """Where the first unfinished line begins; None if there is none."""

    @property
    def start(self) -> tuple[str, int]:
        """File and offset of the next request."""
        return self.first or (self.file, self.offset)


class Line(NamedTuple):
    """A line of a container's log."""

    time: int
    """Nanoseconds since 1970 (UTC)."""
    text: bytes
    """What the container printed; at most `KEPT_BYTES` with the timestamp."""
    size: int
    """Bytes of the whole line with its timestamp."""
    digest: bytes
    """Of the whole line, timestamp included."""
    stream: str | None = None
    """`stdout` or `stderr`; None if the reader can't tell."""
    cursor: tuple[str, int] | Cursor | None = None
    """Where reading continues after it, with the reader `node`: a `Cursor`, or its first two fields."""
