"""A segment, ready to be written: what its events say, and the checkpoint that goes with them. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.collector.events.pending import Entry, Plain
from componentrun.collector.readers.api.lines import stamp_of, stamps_of
from componentrun.storage.events.events import Event
from componentrun.storage.events.lines import LineWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from componentrun.collector.runs.facts import RunFacts

__all__ = ["ReadySegment"]


@dataclass(frozen=True, slots=True)
class ReadySegment:
    """One segment, ready to be written."""

    first_seq: int
    run: RunFacts
    said: tuple[Entry | Plain, ...]
    """All events, in their order."""
    checkpoint: dict[str, Any]
    size: int
    """Bytes, about."""
    oldest: int
    """Time of the oldest line in it, nanoseconds; 0: it holds no line."""

    @property
    def count(self) -> int:
        """How many events there are."""
        return sum([part.amount for part in self.said])

    @property
    def last_seq(self) -> int:
        """Number of the last event."""
        return self.first_seq + self.count - 1

    @property
    def events(self) -> tuple[Event, ...]:
        """All of them as objects."""
        return self.said_by(lambda _: True)

    def said_by(self, wanted: Callable[[str], bool]) -> tuple[Event, ...]:
        """Those of wanted sources as objects."""
        return tuple(
            self._event(seq + at, part.entry(at))
            for seq, part in self._numbered()
            if wanted(part.source)
            for at in range(part.amount)
        )

    @property
    def ends(self) -> tuple[Event, Event]:
        """The first event, and the one with the latest time."""
        seq, part = max(self._numbered(), key=lambda numbered: numbered[1].latest)
        at = part.latest_at()
        return self._event(self.first_seq, self.said[0].entry(0)), self._event(seq + at, part.entry(at))

    @property
    def counts(self) -> Counter[str]:
        """How many events there are of each type."""
        found: Counter[str] = Counter(part.what.type for part in self.said if isinstance(part, Entry))
        if plain := sum([part.amount for part in self.said if isinstance(part, Plain)]):
            found["info"] += plain
        return found

    def lines(self) -> bytes:
        """All of them as they are stored."""
        writer = LineWriter(self.run.uid, self.run.component, self.run.configuration)
        text = "".join([_lines(writer, seq, part) for seq, part in self._numbered()])
        return text.encode(errors="backslashreplace")

    def _numbered(self) -> Iterator[tuple[int, Entry | Plain]]:
        """Each part, and the number of its first event."""
        seq = self.first_seq
        for part in self.said:
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


def _lines(writer: LineWriter, seq: int, part: Entry | Plain) -> str:
    if isinstance(part, Plain):
        return writer.plain(seq, stamps_of(part.times), part.messages, part.source, part.attempt)
    time, what, source, attempt = part
    return writer.one(seq, stamp_of(time), what.type, what.message, what.params, source, attempt)
