"""Event segments: what a run's containers printed, as objects that are written once and sort by their number.

    events/<run uid>/<first seq, 12 digits>.jsonl
    {"format":1,"run":...,"firstSeq":41,"count":2,"about":{...},"checkpoint":{...}}   how far the collector had read
    {"id":...,"seq":41,"time":...,...}                                     one event a line
    {"id":...,"seq":42,...}

Events and checkpoint are one object, so a collector that resumes from the last segment loses and repeats no line.
The sequence starts with 1 and has no gap. The header also tells what the run's events come to so far (`About`), so that
a reader that begins with the last segment knows whether there is anything to look for before it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.errors import PlatformError
from componentrun.storage.failures import ExistsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from componentrun.storage.connection import Store

__all__ = [
    "AHEAD",
    "MAX_SEGMENT_EVENTS",
    "About",
    "Event",
    "EventReader",
    "Placed",
    "Segment",
    "SegmentTakenError",
    "append_lines",
    "append_segment",
    "event_dict",
    "follow_events",
    "last_segment",
    "read_events",
    "read_segment",
    "segment_keys",
]

EVENTS_FORMAT: Final = 1
MAX_SEGMENT_EVENTS: Final = 10_000
"""Events in one segment; so a reader that starts anywhere finds the segment before it without listing them all."""

AHEAD: Final = timedelta(minutes=1)
"""How much later than it was written an event may say that it happened, clocks being what they are. Whatever it says
beyond that does not count for its place among others."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

EventType = Literal["info", "success", "warn", "error"]


class SegmentTakenError(PlatformError):
    """Another collector has written the segment that starts with this number: stop, or resume from the last segment."""


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


async def append_segment(
    store: Store,
    run: str,
    first_seq: int,
    events: Sequence[Event],
    checkpoint: dict[str, Any],
    about: About | None = None,
) -> str:
    """Write the next segment of a run; its key. May be repeated with the same content.

    Args:
        store: the Storage.
        run: uid.
        first_seq: number of the first event.
        events: its events.
        checkpoint: where the collector goes on behind them.
        about: what the run's events come to (`About.following`).

    Raises:
        SegmentTakenError: (Internal) there is another one that starts with `first_seq`.
        PlatformError: (Internal) the events are none, too many, or not numbered from `first_seq` on.
    """
    if not 0 < len(events) <= MAX_SEGMENT_EVENTS:
        raise PlatformError(f"a segment of {len(events)} events: expected 1 to {MAX_SEGMENT_EVENTS}")
    if [event.seq for event in events] != list(range(first_seq, first_seq + len(events))):
        raise PlatformError(f"the events of a segment are not numbered from {first_seq} on")
    lines = b"".join(_line(event_dict(event)) for event in events)
    return await append_lines(store, run, first_seq, (len(events), lines), checkpoint, about)


async def append_lines(
    store: Store,
    run: str,
    first_seq: int,
    lines: tuple[int, bytes],
    checkpoint: dict[str, Any],
    about: About | None = None,
) -> str:
    """As `append_segment`, of events that are lines already (`eventlines`): how many, and their text."""
    count, text = lines
    key = store.layout.segment(run, first_seq)
    data = _header(Segment(run, first_seq, checkpoint, (), about or About()), count) + text
    try:
        await store.create(key, data)
    except ExistsError:
        # An answer that was lost made the client write twice: then what is there is this segment.
        if (await store.get(key)).data != data:
            raise SegmentTakenError(
                f"run {run} has another event segment that starts with {first_seq}: a second collector follows it"
            ) from None
    return key


def encode_segment(segment: Segment) -> bytes:
    """The segment as it is stored."""
    events = b"".join(_line(event_dict(event)) for event in segment.events)
    return _header(segment, len(segment.events)) + events


def _header(segment: Segment, count: int) -> bytes:
    header = {
        "format": EVENTS_FORMAT,
        "run": segment.run,
        "firstSeq": segment.first_seq,
        "count": count,
    }
    about = {name: value for name in About.__slots__ if (value := getattr(segment.about, name))}
    return _line(header | ({"about": about} if about else {}) | {"checkpoint": segment.checkpoint})


def decode_segment(data: bytes, where: str) -> Segment:
    """Read a segment back.

    Raises:
        PlatformError: (Internal) it is malformed, or of a later format.
    """
    try:
        header, *lines = (json.loads(line) for line in data.splitlines())
        if header["format"] > EVENTS_FORMAT:
            raise PlatformError(f"{where} has format {header['format']}; this release reads up to {EVENTS_FORMAT}")
        events = tuple(_event(line) for line in lines)
        about = About(**{name: value for name, value in header.get("about", {}).items() if name in About.__slots__})
        segment = Segment(header["run"], header["firstSeq"], header["checkpoint"], events, about)
    except (ValueError, KeyError, TypeError) as error:
        raise PlatformError(f"{where} is no event segment: {type(error).__name__}: {error}") from error
    if len(events) != header["count"]:
        raise PlatformError(f"{where} holds {len(events)} events, its header says {header['count']}")
    return segment


async def segment_keys(store: Store, run: str) -> list[str]:
    """Keys of all segments of a run, in their order."""
    found = [info.key async for info in store.objects(store.layout.events(run))]
    return [key for key in found if store.layout.first_seq_of(key) is not None]


async def last_segment(store: Store, run: str) -> Segment | None:
    """The newest segment, whose checkpoint says where to go on; None where there are no events yet."""
    keys = await segment_keys(store, run)
    return await read_segment(store, keys[-1]) if keys else None


class EventReader:
    """Reads a run's events in order, now and later: what it has read it does not look at again."""

    def __init__(self, store: Store, run: str, since_seq: int = 0) -> None:
        """Read what comes behind `since_seq`."""
        self._store = store
        self._run = run
        self._seen = since_seq
        self._at_border = since_seq == 0

    @property
    def seen(self) -> int:
        """Number of the last event that was read."""
        return self._seen

    async def read(self) -> AsyncIterator[Event]:
        """Events that are there now and were not read yet."""
        async for found in self.read_placed():
            yield found.event

    async def read_placed(self) -> AsyncIterator[Placed]:
        """The same, with their places."""
        async for key in self._keys():
            for found in (await read_segment(self._store, key)).placed:
                if found.event.seq > self._seen:
                    self._seen = found.event.seq
                    yield found
            self._at_border = True

    async def read_segments(self) -> AsyncIterator[Segment]:
        """Segments that hold events which were not read yet; the first one may hold others, too."""
        async for key in self._keys():
            segment = await read_segment(self._store, key)
            self._seen, self._at_border = max(self._seen, segment.next_seq - 1), True
            yield segment

    async def _keys(self) -> AsyncIterator[str]:
        """Keys of the segments that hold something behind what was read.

        At a border the next segment starts with the next number, so one short listing says whether it is there. In the
        middle of a segment, that one is behind some key of at most MAX_SEGMENT_EVENTS less.
        """
        layout = self._store.layout
        back = 0 if self._at_border else MAX_SEGMENT_EVENTS
        after = layout.segment(self._run, max(self._seen - back, 0))
        held = None
        async for info in self._store.objects(layout.events(self._run), after=after):
            first = layout.first_seq_of(info.key)
            if first is None:
                continue
            if first > self._seen + 1 and held is not None:
                yield held
            if first > self._seen + 1:
                yield info.key
                held = None
            else:
                held = info.key
        if held is not None:
            yield held


async def read_events(store: Store, run: str, since_seq: int = 0) -> AsyncIterator[Event]:
    """All events behind `since_seq` that are there now, in order."""
    async for event in EventReader(store, run, since_seq).read():
        yield event


async def follow_events(
    store: Store,
    run: str,
    since_seq: int,
    ended: Callable[[], Coroutine[Any, Any, bool]],
    *,
    pause_seconds: float = 0.5,
) -> AsyncIterator[Event]:
    """Events behind `since_seq` as they come, until `ended` says that no more will.

    Args:
        store: the Storage.
        run: uid.
        since_seq: the last event that is known already.
        ended: asked before each look, so that what is written before it says yes is still read.
        pause_seconds: between two looks.
    """
    reader = EventReader(store, run, since_seq)
    while True:
        last_look = await ended()
        async for event in reader.read():
            yield event
        if last_look:
            return
        await asyncio.sleep(pause_seconds)


async def read_segment(store: Store, key: str) -> Segment:
    """One segment by its key.

    Raises:
        MissingError: there is none (any more).
        PlatformError: (Internal) it is malformed, or of a later format.
    """
    return decode_segment((await store.get(key)).data, f"the event segment {store.settings.where(key)}")


def _line(item: dict[str, Any]) -> bytes:
    # Half a surrogate pair can't be UTF-8, but as an escape it is good JSON.
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n"


def event_dict(event: Event) -> dict[str, Any]:
    """The event as JSON has it."""
    # Not `asdict`: it copies deeply, and this runs for every line of every log.
    return {name: value for name in Event.__slots__ if (value := getattr(event, name)) is not None}


def _event(raw: dict[str, Any]) -> Event:
    return Event(**{name: raw[name] for name in Event.__slots__ if name in raw})
