"""What a receiver has not got yet, of each run: in memory while there is room, and always in Storage. Pure.

A run is in one of two states. Usually its events are handed over as they are written, and held. Where the room is used
up, or a collector has taken over, they are read from Storage, until all that is there was read.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.collector.forward.message import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.events.events import Event

__all__ = ["Backlog", "Room", "Share", "Taken"]

_ROOM_BYTES: Final = 8 * 2**20


class Room:
    """Memory that all receivers of a process share."""

    def __init__(self, size: int = _ROOM_BYTES) -> None:
        """So many bytes."""
        self._size = size
        self.used = 0

    def share(self) -> Share:
        """What one receiver uses of it."""
        return Share(self)

    def take(self, size: int) -> bool:
        """Use some of it; False: there is not so much."""
        if self.used + size > self._size:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Give some of it back."""
        self.used -= size


class Share:
    """What one receiver uses of the room. It ends with the receiver, whoever still knows its backlogs.

    Attributes:
        used: bytes.
        closed: nothing is used any more, nor will be.
    """

    def __init__(self, room: Room) -> None:
        """Nothing is used yet."""
        self._room = room
        self.used = 0
        self.closed = False

    def take(self, size: int) -> bool:
        """Use some more; False: there is not so much."""
        if self.closed or not self._room.take(size):
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Give some of it back."""
        if not self.closed:
            self.used -= size
            self._room.give(size)

    def close(self) -> None:
        """Give everything back, for good."""
        self.give(self.used)
        self.closed = True


@dataclass(frozen=True, slots=True)
class Taken:
    """Some events of a run, to be sent."""

    backlog: Backlog
    events: tuple[Event, ...]
    upto: int
    """Once they are sent, all up to this number are."""
    to_the_end: bool = False
    """They were read from Storage, and it holds no more."""


@dataclass(slots=True)
class Backlog:
    """One run."""

    run: str
    room: Share
    sent: int | None = None
    """Up to which number events were sent, or are none that the receiver gets; None: the mark in Storage says it."""
    held: deque[Event] | None = None
    """All events behind `sent` that the receiver gets; None: they have to be read from Storage."""
    written: int = 0
    """Number of the last event that is known to be in Storage."""
    finished: bool = False
    """That was the run's last."""
    name: str = ""
    """Of the run."""
    saved: int = 0
    """What the mark in Storage says."""
    _sizes: deque[int] = field(default_factory=deque)

    @property
    def waiting(self) -> bool:
        """Whether there is something to do."""
        return self.held is None or bool(self.held) or self.done

    @property
    def done(self) -> bool:
        """Whether the receiver has got everything."""
        return self.finished and self.held is not None and not self.held

    def offer(self, numbers: tuple[int, int], wanted: Sequence[Event], *, finished: bool) -> None:
        """Events that were just written.

        Args:
            numbers: of the first and the last one.
            wanted: those of them that the receiver gets.
            finished: whether they are the run's last.
        """
        if numbers[0] != self.written + 1:
            self.release()  # some came in between that nobody handed over
        self.written, self.finished = numbers[1], self.finished or finished
        if self.held is None:
            return
        sizes = [size_of(event) for event in wanted]
        if not self.room.take(sum(sizes)):
            self.release()
            return
        self.held.extend(wanted)
        self._sizes.extend(sizes)
        if not self.held:
            self.sent = self.written

    def overtaken(self, seq: int) -> None:
        """An event of this number is in Storage that nobody handed over."""
        self.release()
        self.written = max(self.written, seq)

    def take(self, most: int, size: int) -> Taken:
        """The next events that are held: at most so many, and of so many bytes but for one."""
        held: Sequence[Event] = self.held or ()
        chosen: list[Event] = []
        for event, bytes_ in zip(held, self._sizes, strict=True):
            if len(chosen) == most or (chosen and size < bytes_):
                break
            chosen.append(event)
            size -= bytes_
        upto = self.written if len(chosen) == len(held) else chosen[-1].seq
        return Taken(self, tuple(chosen), upto)

    def advance(self, upto: int) -> None:
        """All events up to this one were sent, or dropped."""
        self.sent = max(upto, self.sent or 0)
        while self.held and self.held[0].seq <= upto:
            self.held.popleft()
            self.room.give(self._sizes.popleft())

    def caught_up(self, seen: int) -> None:
        """All that is in Storage up to this number was read and sent: from here on it is handed over."""
        if self.held is None and seen >= self.written:
            self.written, self.held = seen, deque()

    def swept(self, seen: int) -> None:
        """What was behind this number is in Storage no more."""
        self.finished, self.written = True, seen

    def release(self) -> None:
        """Hold nothing: it is in Storage."""
        self.room.give(sum(self._sizes))
        self._sizes.clear()
        self.held = None
