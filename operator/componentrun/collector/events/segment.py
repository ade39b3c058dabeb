"""A segment that is ready to be written: its events and its checkpoint. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.collector.events.pending import Entry, PlainEvents
from componentrun.collector.readers.api.lines import stamp_of, stamps_of
from componentrun.storage.events.events import Event
from componentrun.storage.events.lines import LineWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from componentrun.collector.runs.facts import RunFacts

__all__ = ["ReadySegment"]


@dataclass(frozen=True, slots=True)
class ReadySegment:
    """One segment."""

    first_seq: int
    run: RunFacts
    parts: tuple[Entry | PlainEvents, ...]
    """All events, in order."""
    checkpoint: dict[str, Any]
    size: int
    """Approximate number of bytes."""
    oldest: int
    """Time of the oldest line, in nanoseconds; 0 if there is no line."""

    @property
    def count(self) -> int:
        """Number of events."""
        return sum([part.amount for part in self.parts])

    @property
    def last_seq(self) -> int:
        """Number of the last event."""
        return self.first_seq + self.count - 1

    @property
    def events(self) -> tuple[Event, ...]:
        """All events as objects."""
        return tuple(
            self._event(seq + at, part.entry(at)) for seq, part in self._numbered() for at in range(part.amount)
        )

    def has_event_of(self, is_wanted: Callable[[str], bool]) -> bool:
        """Whether any event is of a source that is wanted."""
        return any(is_wanted(part.source) for part in self.parts)

    @property
    def ends(self) -> tuple[Event, Event]:
        """The first event, and the one with the latest time."""
        seq, part = max(self._numbered(), key=lambda numbered: numbered[1].latest)
        at = part.latest_at()
        return self._event(self.first_seq, self.parts[0].entry(0)), self._event(seq + at, part.entry(at))

    @property
    def counts(self) -> Counter[str]:
        """Number of events of each type."""
        found: Counter[str] = Counter(part.what.type for part in self.parts if isinstance(part, Entry))
        if plain := sum([part.amount for part in self.parts if isinstance(part, PlainEvents)]):
            found["info"] += plain
        return found

    def lines(self) -> bytes:
        """All events in the stored form."""
        writer = LineWriter()
        text = "".join([_lines(writer, seq, part) for seq, part in self._numbered()])
        return text.encode(errors="backslashreplace")

    def _numbered(self) -> Iterator[tuple[int, Entry | PlainEvents]]:
        """Each part with the number of its first event."""
        seq = self.first_seq
        for part in self.parts:
            yield seq, part
            seq += part.amount

    def _event(self, seq: int, entry: Entry) -> Event:
        run, (time, what, source, attempt) = self.run, entry
        return Event(
            id=f"{run.uid}-{seq}",
            seq=seq,
            time=stamp_of(time),
            run=run.uid,
            component=run.component,
            configuration=run.configuration,
            type=what.type,
            message=what.message,
            params=what.params,
            source=source,
            attempt=attempt,
        )


def _lines(writer: LineWriter, seq: int, part: Entry | PlainEvents) -> str:
    if isinstance(part, PlainEvents):
        return writer.plain(seq, stamps_of(part.times), part.messages, part.source, part.attempt)
    time, what, source, attempt = part
    return writer.one(seq, stamp_of(time), what.type, what.message, what.params, source, attempt)
