"""How far a receiver has got the events of one run, which are read from Storage. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.collector.forward.message import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from componentrun.storage.events.events import Event

__all__ = ["Backlog", "Batch", "Selection"]


@dataclass(slots=True)
class Backlog:
    """The events of one run that are still to be sent."""

    run: str
    """Uid of the run."""
    name: str = ""
    """Name of the run."""
    sent: int | None = None
    """Number of the last event that was sent or is not for this receiver; None: the mark in Storage has to be read."""
    is_segment_end: bool = False
    """Whether a segment is known to end with the event `sent`, so that the next one is found by one short listing."""
    written: int = 0
    """Number of the last event that is known to be in Storage."""
    is_finished: bool = False
    """Whether that is the last event of the run."""
    marked: int = 0
    """Number in the mark in Storage."""

    @property
    def is_pending(self) -> bool:
        """Whether Storage may hold more, or the mark has to be removed."""
        return self.sent is None or not self.is_segment_end or self.sent < self.written or self.is_finished

    @property
    def is_done(self) -> bool:
        """Whether the receiver has got all events of the run, and there will be no more."""
        return self.is_finished and self.sent is not None and self.sent >= self.written

    def segment_written(self, first: int, last: int, *, is_wanted: bool, is_finished: bool) -> None:
        """Record that a segment with these events is in Storage.

        Args:
            first: number of its first event.
            last: number of its last event.
            is_wanted: whether the receiver gets any of them. A segment without such events is not read.
            is_finished: whether it ends the run's events.
        """
        if not is_wanted and self.sent == first - 1:
            self.sent, self.is_segment_end = last, True
        self.in_storage(last, is_finished=is_finished)

    def in_storage(self, last: int, *, is_finished: bool) -> None:
        """Record that Storage holds the events up to this one, or more."""
        self.written, self.is_finished = max(self.written, last), self.is_finished or is_finished

    def swept(self, last: int) -> None:
        """Record that Storage does not hold the events behind this one any more."""
        self.is_finished, self.written = True, last

    def advance(self, batch: Batch) -> None:
        """Record that a batch was sent."""
        self.sent, self.is_segment_end = max(batch.last, self.sent or 0), batch.is_segment_end


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one run that are sent together with those of others."""

    backlog: Backlog
    events: tuple[Event, ...]
    last: int
    """All events up to this number are sent, or not for this receiver, once these are sent."""
    is_segment_end: bool
    """Whether a segment ends with `last`. False also if the next segment could not be read."""
    is_part: bool = False
    """Whether it had room for a part of one segment only, so that the same segment has to be read again."""


@dataclass(slots=True)
class Selection:
    """Chooses the events of a batch."""

    last: int
    """Number of the last event that was looked at."""
    most: int
    """Maximum number of events."""
    size: int
    """Bytes that are left; the first event may be larger."""
    events: list[Event] = field(default_factory=list)

    def add(self, events: Iterable[Event], is_wanted: Callable[[str], bool]) -> bool:
        """Add the events behind `last` that are of a wanted source; False if there was not enough room for all."""
        for event in events:
            if event.seq > self.last and is_wanted(event.source):
                self.size -= size_of(event)
                if len(self.events) == self.most or (self.events and self.size < 0):
                    return False
                self.events.append(event)
            self.last = max(self.last, event.seq)
        return True
