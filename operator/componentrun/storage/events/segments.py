"""Stored events of a run: segments while it is in progress, merged objects afterwards.

    events/<run uid>/<first seq>.jsonl.zst                        segment: one block
    events/<run uid>/merged-<last seq>-<first seq>.jsonl.zst      merged segments: blocks and a directory

Both are written once (`storage.events.blocks` describes the blocks). Events and checkpoint are one atomic object, so a
collector that resumes from the last segment neither loses nor repeats a line. The sequence starts with 1 and has no
gaps. The header also contains totals of the run's events (`About`), so that a reader that begins with the last segment
knows whether earlier segments contain matching events.

Segments are deleted when they are merged (`storage.events.merging`). In a listing, all segments come before all merged
objects. So a listing that does not contain a segment any more contains the object that it was merged into, and what is
in both is read once. A segment that begins before the end of a merged object is obsolete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.errors import PlatformError
from componentrun.storage.events.blocks import TRAILER_BYTES, Block, directory_size, read_directory
from componentrun.storage.events.events import About, EventRun, Segment
from componentrun.storage.store.errors import ExistsError, MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.events.blocks import BlockEntry
    from componentrun.storage.events.events import Event
    from componentrun.storage.store.connection import Store

__all__ = [
    "MAX_SEGMENT_EVENTS",
    "EventObject",
    "MergedObject",
    "RunObjects",
    "SegmentTakenError",
    "append_lines",
    "append_segment",
    "last_segment",
    "list_events",
    "open_merged",
    "read_last",
    "read_segment",
]

MAX_SEGMENT_EVENTS: Final = 10_000
"""Maximum number of events in a segment, so that a reader finds the segment of any event with a short listing."""
_TAIL_BYTES: Final = 64 * 1024
"""Bytes at the end of a merged object that are read first. Most runs have less, and need no other request."""
_PASSED: Final = 500
"""Number of merged objects without wanted events that a listing passes over before another one skips the rest. A run of
weeks has thousands."""
_LISTINGS: Final = 5
"""Maximum number of listings for a run whose objects are merged again and again while they are read."""


class SegmentTakenError(PlatformError):
    """Another collector wrote the segment that starts with this number: stop, or resume from the last segment."""


@dataclass(frozen=True, slots=True)
class EventObject:
    """An object with events of a run, from a listing."""

    key: str
    size: int
    """Size in bytes."""
    first_seq: int
    last_seq: int | None = None
    """Number of the last event of merged segments; None for a segment."""

    @property
    def is_merged(self) -> bool:
        """Whether these are merged segments."""
        return self.last_seq is not None


@dataclass(frozen=True, slots=True)
class RunObjects:
    """The objects of a run."""

    segments: tuple[EventObject, ...]
    """Segments that are not merged, in order."""
    merged: tuple[EventObject, ...]
    """Merged objects, in order, without those that later ones contain."""
    obsolete: tuple[EventObject, ...]
    """Segments that are merged and still to be deleted."""

    @property
    def merged_upto(self) -> int:
        """Number of the last event that is merged."""
        return max((item.last_seq or 0 for item in self.merged), default=0)

    @property
    def last(self) -> EventObject | None:
        """The object with the last event; None if there are no events."""
        found = self.segments or self.merged
        return found[-1] if found else None

    def is_complete(self, after: int) -> bool:
        """Whether no events are missing between the objects of a listing of those after this number."""
        upto = after
        for item in self.merged:
            if item.first_seq > upto + 1:
                return False
            upto = max(upto, item.last_seq or 0)
        return after > 0 or not self.segments or self.segments[0].first_seq == upto + 1

    def after(self, seq: int) -> list[EventObject]:
        """Return the objects that may have events after this one, in order."""
        found, upto = [], seq
        for item in self.merged:
            last = item.last_seq or 0
            if last > upto:
                found.append(item)
                upto = last
        following = [item.first_seq for item in self.segments[1:]]
        for item, end in zip(self.segments, [*following, None], strict=False):
            if end is None or end > seq + 1:
                found.append(item)
        return found


@dataclass(frozen=True, slots=True)
class MergedObject:
    """A merged object whose end was read."""

    item: EventObject
    entries: tuple[BlockEntry, ...]
    tail: bytes
    """The last bytes of the object."""

    def cached(self, entry: BlockEntry) -> bytes | None:
        """Return a block if it is in the tail."""
        start = entry.offset - (self.item.size - len(self.tail))
        return self.tail[start : start + entry.length] if start >= 0 else None

    async def read(self, store: Store, entry: BlockEntry) -> Segment:
        """Return one block.

        Raises:
            MissingError: the object is deleted.
        """
        data = self.cached(entry)
        if data is None:
            data = await store.read_range(self.item.key, entry.offset, entry.end)
        return decode(store, self.item.key, data)


async def append_segment(
    store: Store,
    run: str,
    first_seq: int,
    events: Sequence[Event],
    checkpoint: dict[str, Any],
    about: About | None = None,
) -> str:
    """Write the next segment of a run; return its key. Idempotent for the same content.

    Args:
        store: the Storage.
        run: uid.
        first_seq: number of the first event.
        events: events of the segment.
        checkpoint: the collector's position after them.
        about: totals of the run's events (`About.following`).

    Raises:
        SegmentTakenError: (Internal) another segment starts with `first_seq`.
        PlatformError: (Internal) there are no events, too many, or they are not numbered from `first_seq` on.
    """
    if not 0 < len(events) <= MAX_SEGMENT_EVENTS:
        raise PlatformError(f"a segment of {len(events)} events: expected 1 to {MAX_SEGMENT_EVENTS}")
    if [event.seq for event in events] != list(range(first_seq, first_seq + len(events))):
        raise PlatformError(f"the events of a segment are not numbered from {first_seq} on")
    segment = Block.of(Segment(run, first_seq, checkpoint, tuple(events), about or About()))
    await _create(store, segment, segment.encode())
    return store.layout.segment(run, first_seq)


async def append_lines(
    store: Store,
    run: EventRun,
    first_seq: int,
    lines: tuple[int, bytes],
    checkpoint: dict[str, Any],
    about: About | None = None,
) -> bytes:
    """Like `append_segment`, for events that are already lines (`storage.events.lines`): their number and text.

    Returns the object's content.
    """
    count, text = lines
    segment = Block(run, first_seq, count, text, checkpoint, about or About())
    data = segment.encode()
    await _create(store, segment, data)
    return data


async def _create(store: Store, segment: Block, data: bytes) -> None:
    run = segment.run.uid
    key = store.layout.segment(run, segment.first_seq)
    try:
        await store.create(key, data)
    except ExistsError:
        # If a lost response made the client write twice, the existing object is this segment.
        found = await store.find(key)
        if found is None or found.data != data:
            raise SegmentTakenError(
                f"run {run} has another event segment that starts with {segment.first_seq}: "
                "a second collector follows it"
            ) from None


def decode(store: Store, key: str, data: bytes) -> Segment:
    """Decode a stored block.

    Raises:
        PlatformError: (Internal) it is malformed, or of another format.
    """
    where = f"the event segment {store.settings.where(key)}"
    return Block.decode(data, where).segment(where)


async def list_events(store: Store, run: str, after: int = 0) -> RunObjects:
    """List the objects of a run.

    Args:
        store: the Storage.
        run: uid.
        after: leave out segments that begin with this number or before it, and merged objects that end there.
    """
    found = await _list(store, run, after)
    # Objects that were created in the middle of a listing may be missing in it. If the gap remains, events are expired.
    return found if found.is_complete(after) else await _list(store, run, after)


async def _list(store: Store, run: str, after: int) -> RunObjects:
    layout = store.layout
    segments, merged, passed = [], [], 0
    start: str | None = layout.segment(run, after) if after else None
    while True:
        async for info in store.objects(layout.events(run), after=start):
            first, both = layout.first_seq_of(info.key), layout.merged_range_of(info.key)
            if first is not None:
                segments.append(EventObject(info.key, info.size, first))
            elif both is not None and both[1] > after:
                merged.append(EventObject(info.key, info.size, *both))
            elif both is not None:
                passed += 1
                if passed == _PASSED:
                    break
        else:
            break
        start = layout.merged_after(run, after)
    upto = max((item.last_seq or 0 for item in merged), default=0)
    return RunObjects(
        tuple(item for item in segments if item.first_seq > upto),
        tuple(_without_contained(merged)),
        tuple(item for item in segments if item.first_seq <= upto),
    )


def _without_contained(merged: Sequence[EventObject]) -> list[EventObject]:
    """Leave out merged objects whose events are all in later ones.

    A collector that was replaced while it merged may create one behind its successor's, which contains more segments.
    """
    found: list[EventObject] = []
    for item in reversed(merged):
        if not found or item.first_seq < found[-1].first_seq:
            found.append(item)
    return found[::-1]


async def last_segment(store: Store, run: str) -> Segment | None:
    """Return the newest segment, whose checkpoint is the position to resume from; None if there are no events yet.

    Its cost does not depend on the length of the run: a run has few segments, because they are merged.
    """
    return (await read_last(store, run))[0]


async def read_last(store: Store, run: str) -> tuple[Segment | None, RunObjects]:
    """Return the newest segment like `last_segment`, and the listing in which it was found."""
    for attempt in range(_LISTINGS):
        found = await list_events(store, run)
        last = found.last
        if last is None:
            return None, found
        try:
            if not last.is_merged:
                return await read_segment(store, last.key), found
            merged = await open_merged(store, last)
            return await merged.read(store, merged.entries[-1]), found
        except MissingError:
            # It was merged in the meantime, or is being swept.
            if attempt == _LISTINGS - 1:
                raise
    raise AssertionError("unreachable")


async def read_segment(store: Store, key: str) -> Segment:
    """Return one segment by its key.

    Raises:
        MissingError: there is none (any more).
        PlatformError: (Internal) it is malformed, or of another format.
    """
    return decode(store, key, (await store.get(key)).data)


async def open_merged(store: Store, item: EventObject) -> MergedObject:
    """Read the directory of a merged object, and the blocks that come with it.

    Raises:
        MissingError: the object is deleted.
        PlatformError: (Internal) the directory is malformed.
    """
    where = f"the merged events {store.settings.where(item.key)}"
    tail = await store.read_range(item.key, max(item.size - _TAIL_BYTES, 0), item.size)
    size = directory_size(tail[-TRAILER_BYTES:], where)
    if size > len(tail):
        tail = await store.read_range(item.key, max(item.size - size, 0), item.size)
    return MergedObject(item, tuple(read_directory(tail, where)), tail)
