"""One line of a container's log, and its place in the files of the node. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Line", "Place"]


class Place(NamedTuple):
    """Behind a line."""

    file: str
    """As `process.nodelogs` calls it; empty: nothing was read."""
    offset: int
    first: tuple[str, int] | None = None
    """Where the first line begins that is not finished here; None: there is none."""

    @property
    def start(self) -> tuple[str, int]:
        """Where reading goes on."""
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
    """`stdout` or `stderr`, where whoever read it can tell them apart."""
    place: tuple[str, int] | Place | None = None
    """Where reading goes on behind it, where it was read from a file of the node; a `Place`, or its first two parts."""
