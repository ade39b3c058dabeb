"""What a run's containers printed: events, their places in time, and the segments that hold them.

How segments are stored: `storage.events.segments`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AHEAD", "About", "Event", "EventType", "Placed", "Segment", "event_dict"]

AHEAD: Final = timedelta(minutes=1)
"""How much later than it was written an event may say that it happened, clocks being what they are. Whatever it says
beyond that does not count for its place among others."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

EventType = Literal["info", "success", "warn", "error"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run."""

    id: str
    seq: int
    """1 for the run's first."""
    time: str
    """RFC 3339 in UTC, as precise as the source."""
    run: str
    """Uid."""
    component: str
    configuration: str
    type: EventType
    message: str
    params: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] | None = None
    source: str = ""
    """Container and stream it came from, or the part of ComponentRun that says it."""
    attempt: int | None = None
    """The attempt that it is about, from 1; None where it is about the run as a whole."""


@dataclass(frozen=True, slots=True)
class About:
    """What a run's events come to, up to the end of a segment. Empty where nobody counted."""

    name: str = ""
    """Of the run."""
    written: str = ""
    """When the segment was written: RFC 3339."""
    begin: str = ""
    """Place in time of the run's first event."""
    latest_before: str = ""
    """Place in time of the last event before the segment."""
    latest: str = ""
    """Place in time of its last event."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Events of each type since the run's first."""

    def following(
        self, name: str, events: Sequence[Event], written: datetime, told: Mapping[str, int] | None = None
    ) -> About:
        """What the next segment says, which holds these events.

        Args:
            name: of the run.
            events: of the segment; where they are counted already, the first and the latest are enough.
            written: when.
            told: how many of each type there are.
        """
        # Before it is known what is latest, the events' places don't depend on it.
        before = About(written=written.isoformat(), latest_before=self.latest)
        places = before.places([events[0], max(events, key=lambda event: event.time)])
        counts = Counter(self.counts)
        counts.update((event.type for event in events) if told is None else told)
        return About(
            name=name,
            written=before.written,
            begin=self.begin or places[0].isoformat(),
            latest_before=self.latest,
            latest=places[-1].isoformat(),
            counts=dict(counts),
        )

    def places(self, events: Sequence[Event]) -> list[datetime]:
        """Where in time the events of the segment stand among those of other runs.

        Their own times, but never before that of an event of the same run with a smaller number, and never much later
        than they were written: so a run's events stand in their order, and none stands behind the end of its run.
        """
        latest = datetime.fromisoformat(self.latest_before) if self.latest_before else _LONG_AGO
        ceiling = datetime.fromisoformat(self.written) + AHEAD if self.written else None
        places = []
        for event in events:
            latest = max(latest, datetime.fromisoformat(event.time))
            if ceiling is not None:
                latest = min(latest, ceiling)
            places.append(latest)
        return places


@dataclass(frozen=True, slots=True)
class Placed:
    """An event and where it stands among those of other runs; these sort."""

    time: datetime
    event: Event
    name: str = ""
    """Of its run."""

    @property
    def place(self) -> tuple[datetime, str, int]:
        """What to sort by."""
        return self.time, self.event.run, self.event.seq

    def __lt__(self, other: Placed) -> bool:
        """Whether it comes first."""
        return self.place < other.place


@dataclass(frozen=True, slots=True)
class Segment:
    """Events that were written together."""

    run: str
    first_seq: int
    checkpoint: dict[str, Any]
    """The collector's own; opaque here."""
    events: tuple[Event, ...]
    about: About = field(default_factory=About)

    @property
    def placed(self) -> list[Placed]:
        """Its events with their places."""
        places = self.about.places(self.events)
        return [Placed(time, event, self.about.name) for time, event in zip(places, self.events, strict=True)]

    def upto(self, types: frozenset[str]) -> int | None:
        """How many events of these types (none: of all) the run has up to the segment's end; None: nobody counted."""
        counts = self.about.counts
        if sum(counts.values()) != self.next_seq - 1:
            return None
        return sum(count for kind, count in counts.items() if not types or kind in types)

    def before(self, types: frozenset[str]) -> int | None:
        """How many it has before the segment."""
        upto = self.upto(types)
        return None if upto is None else upto - sum(not types or event.type in types for event in self.events)

    @property
    def next_seq(self) -> int:
        """The number that the next segment starts with."""
        return self.first_seq + len(self.events)


def event_dict(event: Event) -> dict[str, Any]:
    """The event as JSON has it."""
    # Not `asdict`: it copies deeply, and this runs for every line of every log.
    return {name: value for name in Event.__slots__ if (value := getattr(event, name)) is not None}
