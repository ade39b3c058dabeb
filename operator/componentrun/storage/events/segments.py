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

import json
from typing import TYPE_CHECKING, Any, Final

from componentrun.errors import PlatformError
from componentrun.storage.events.events import About, Event, Segment, event_dict
from componentrun.storage.store.errors import ExistsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.store.connection import Store

__all__ = [
    "MAX_SEGMENT_EVENTS",
    "SegmentTakenError",
    "append_lines",
    "append_segment",
    "decode_segment",
    "encode_segment",
    "last_segment",
    "read_segment",
    "segment_keys",
]

EVENTS_FORMAT: Final = 1
MAX_SEGMENT_EVENTS: Final = 10_000
"""Events in one segment; so a reader that starts anywhere finds the segment before it without listing them all."""


class SegmentTakenError(PlatformError):
    """Another collector has written the segment that starts with this number: stop, or resume from the last segment."""


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
    """As `append_segment`, of events that are lines already (`storage.events.lines`): how many, and their text."""
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


def _event(raw: dict[str, Any]) -> Event:
    return Event(**{name: raw[name] for name in Event.__slots__ if name in raw})
