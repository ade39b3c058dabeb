"""Events of a run, their positions in time, and the segments that contain them.

`storage.events.segments` describes how segments are stored.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AHEAD", "About", "Event", "EventRun", "EventType", "Placed", "Segment", "event_dict"]

AHEAD: Final = timedelta(minutes=1)
"""Tolerance for an event's time after the time of its write, because clocks differ. A later time does not count for its
position among events."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

EventType = Literal["info", "success", "warn", "error"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run."""

    id: str
    seq: int
    """Sequence number; 1 for the run's first event."""
    time: str
    """RFC 3339 in UTC, with the precision of the source."""
    run: str
    """Uid of the run."""
    component: str
    configuration: str
    type: EventType
    message: str
    params: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] | None = None
    source: str = ""
    """The container, or the part of ComponentRun, that produced it."""
    attempt: int | None = None
    """The attempt, from 1; None for events about the run as a whole."""


@dataclass(frozen=True, slots=True)
class EventRun:
    """A run with events."""

    uid: str
    component: str
    configuration: str


@dataclass(frozen=True, slots=True)
class About:
    """Totals of a run's events up to the end of a segment. Empty if they were not counted."""

    name: str = ""
    """Name of the run."""
    written: str = ""
    """When the segment was written: RFC 3339."""
    begin: str = ""
    """Position in time of the run's first event."""
    latest_before: str = ""
    """Position in time of the last event before the segment."""
    latest: str = ""
    """Position in time of the segment's last event."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of events of each type since the run's first."""

    def following(
        self, name: str, events: Sequence[Event], written: datetime, counted: Mapping[str, int] | None = None
    ) -> About:
        """Return the totals of the next segment, with these events.

        Args:
            name: of the run.
            events: events of the segment; if they are already counted, the first and the latest are enough.
            written: time of the write.
            counted: number of events of each type.
        """
        # Positions of the events do not depend on the latest one, which is computed afterwards.
        before = About(written=written.isoformat(), latest_before=self.latest)
        places = before.places([events[0], max(events, key=lambda event: event.time)])
        counts = Counter(self.counts)
        counts.update((event.type for event in events) if counted is None else counted)
        return About(
            name=name,
            written=before.written,
            begin=self.begin or places[0].isoformat(),
            latest_before=self.latest,
            latest=places[-1].isoformat(),
            counts=dict(counts),
        )

    def places(self, events: Sequence[Event], stored: Mapping[int, datetime] | None = None) -> list[datetime]:
        """Return the positions in time of the segment's events among those of other runs.

        Positions are the events' own times, but never before that of an earlier event of the same run, and never much
        later than the write. So a run's events keep their order, and none is placed after the end of its run.

        Args:
            events: events of the segment.
            stored: positions by `seq` that were computed earlier.
        """
        latest = datetime.fromisoformat(self.latest_before) if self.latest_before else _LONG_AGO
        # Not before an earlier event, even if the clock of the collector that wrote it was ahead.
        ceiling = max(latest, datetime.fromisoformat(self.written) + AHEAD) if self.written else None
        places = []
        for event in events:
            latest = max(latest, datetime.fromisoformat(event.time))
            if ceiling is not None:
                latest = min(latest, ceiling)
            if stored:
                latest = stored.get(event.seq, latest)
            places.append(latest)
        return places


@dataclass(frozen=True, slots=True)
class Placed:
    """An event and its position among those of other runs; sortable."""

    time: datetime
    event: Event
    name: str = ""
    """Component and configuration of its run."""

    @property
    def place(self) -> tuple[datetime, str, int]:
        """Sort key."""
        return self.time, self.event.run, self.event.seq

    def __lt__(self, other: Placed) -> bool:
        """Whether it sorts before the other."""
        return self.place < other.place


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive events of a run: those that were written together, or a block of a merged object."""

    run: str
    first_seq: int
    checkpoint: dict[str, Any]
    """The collector's checkpoint; opaque here."""
    events: tuple[Event, ...]
    about: About = field(default_factory=About)
    places: Mapping[int, datetime] = field(default_factory=dict)
    """Positions by `seq` that can't be computed from the events."""

    @property
    def placed(self) -> list[Placed]:
        """Return its events with their positions."""
        places = self.about.places(self.events, self.places)
        return [Placed(time, event, self.about.name) for time, event in zip(places, self.events, strict=True)]

    def upto(self, types: frozenset[str]) -> int | None:
        """Return the number of events of these types (none: all) up to the segment's end; None if not counted."""
        counts = self.about.counts
        if sum(counts.values()) != self.next_seq - 1:
            return None
        return sum(count for kind, count in counts.items() if not types or kind in types)

    def before(self, types: frozenset[str]) -> int | None:
        """Return the number of events before the segment."""
        upto = self.upto(types)
        return None if upto is None else upto - sum(not types or event.type in types for event in self.events)

    @property
    def next_seq(self) -> int:
        """First number of the next segment."""
        return self.first_seq + len(self.events)


def event_dict(event: Event) -> dict[str, Any]:
    """Return the event as a JSON object."""
    # Not `asdict`: it copies deeply, and this runs for every line of every log.
    return {name: value for name in Event.__slots__ if (value := getattr(event, name)) is not None}
