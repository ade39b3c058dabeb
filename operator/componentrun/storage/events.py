"""Event segments: what a run's containers printed, as objects that are written once and sort by their number.

    events/<run uid>/<first seq, 12 digits>.jsonl
    {"format":1,"run":...,"firstSeq":41,"count":2,"checkpoint":{...}}      how far the collector had read
    {"id":...,"seq":41,"time":...,...}                                     one event a line
    {"id":...,"seq":42,...}

Events and checkpoint are one object, so a collector that resumes from the last segment loses and repeats no line.
The sequence starts with 1 and has no gap.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.errors import PlatformError
from componentrun.storage.failures import ExistsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from componentrun.storage.connection import Store

__all__ = [
    "MAX_SEGMENT_EVENTS",
    "Event",
    "EventReader",
    "Segment",
    "SegmentTakenError",
    "append_segment",
    "follow_events",
    "last_segment",
    "read_events",
]

EVENTS_FORMAT: Final = 1
MAX_SEGMENT_EVENTS: Final = 10_000
"""Events in one segment; so a reader that starts anywhere finds the segment before it without listing them all."""

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
class Segment:
    """Events that were written together."""

    run: str
    first_seq: int
    checkpoint: dict[str, Any]
    """The collector's own; opaque here."""
    events: tuple[Event, ...]

    @property
    def next_seq(self) -> int:
        """The number that the next segment starts with."""
        return self.first_seq + len(self.events)


async def append_segment(
    store: Store, run: str, first_seq: int, events: Sequence[Event], checkpoint: dict[str, Any]
) -> str:
    """Write the next segment of a run; its key. May be repeated with the same content.

    Raises:
        SegmentTakenError: (Internal) there is another one that starts with `first_seq`.
        PlatformError: (Internal) the events are none, too many, or not numbered from `first_seq` on.
    """
    if not 0 < len(events) <= MAX_SEGMENT_EVENTS:
        raise PlatformError(f"a segment of {len(events)} events: expected 1 to {MAX_SEGMENT_EVENTS}")
    if [event.seq for event in events] != list(range(first_seq, first_seq + len(events))):
        raise PlatformError(f"the events of a segment are not numbered from {first_seq} on")
    key = store.layout.segment(run, first_seq)
    data = encode_segment(Segment(run, first_seq, checkpoint, tuple(events)))
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
    header = {
        "format": EVENTS_FORMAT,
        "run": segment.run,
        "firstSeq": segment.first_seq,
        "count": len(segment.events),
        "checkpoint": segment.checkpoint,
    }
    return b"".join(_line(item) for item in (header, *(_event_dict(event) for event in segment.events)))


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
        segment = Segment(header["run"], header["firstSeq"], header["checkpoint"], events)
    except (ValueError, KeyError, TypeError) as error:
        raise PlatformError(f"{where} is no event segment: {type(error).__name__}: {error}") from error
    if len(events) != header["count"]:
        raise PlatformError(f"{where} holds {len(events)} events, its header says {header['count']}")
    return segment


async def last_segment(store: Store, run: str) -> Segment | None:
    """The newest segment, whose checkpoint says where to go on; None where there are no events yet."""
    last = None
    async for info in store.objects(store.layout.events(run)):
        if store.layout.first_seq_of(info.key) is not None:
            last = info.key
    return await _read(store, last) if last is not None else None


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
        async for key in self._keys():
            segment = await _read(self._store, key)
            for event in segment.events:
                if event.seq > self._seen:
                    self._seen = event.seq
                    yield event
            self._at_border = True

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


async def _read(store: Store, key: str) -> Segment:
    return decode_segment((await store.get(key)).data, f"the event segment {store.settings.where(key)}")


def _line(item: dict[str, Any]) -> bytes:
    # Half a surrogate pair can't be UTF-8, but as an escape it is good JSON.
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n"


def _event_dict(event: Event) -> dict[str, Any]:
    # Not `asdict`: it copies deeply, and this runs for every line of every log.
    return {name: value for name in Event.__slots__ if (value := getattr(event, name)) is not None}


def _event(raw: dict[str, Any]) -> Event:
    return Event(**{name: raw[name] for name in Event.__slots__ if name in raw})
