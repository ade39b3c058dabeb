"""Encodes events in blocks: compressed text that can be read alone. Pure.

A block is a zstd frame with JSON Lines, a header and the events:

    {"format":2,"run":...,"component":...,"configuration":...,"firstSeq":41,"count":2,"about":{...},"checkpoint":{...}}
    {"seq":41,"time":...,"message":...}
    {"seq":42,"time":...,"message":...}

A segment is one block. A merged object is a sequence of blocks, followed by a directory that says where each of them
begins and which events it contains. The directory is a skippable frame, so that every zstd decoder reads a merged
object as one text.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.errors import PlatformError
from componentrun.storage.events.events import AHEAD, About, EventRun, Segment
from componentrun.storage.events.lines import event_line, event_of, json_line, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TRAILER_BYTES", "Block", "BlockEntry", "MergedBuilder", "directory_size", "read_directory"]

EVENTS_FORMAT: Final = 2
_LEVEL: Final = 1
"""Measured: higher levels take two to six times the processor time, and save at most a tenth."""
_BLOCK_BYTES: Final = 256 * 1024
"""Size of a block before compression. Larger ones are not smaller in total, and reading one event takes longer."""
_SKIPPABLE: Final = struct.Struct("<II")
_MAGIC: Final = 0x184D2A5C
"""Begins one of the sixteen kinds of skippable frames of zstd."""
_TRAILER: Final = struct.Struct("<I4s")
_TRAILER_MARK: Final = b"CRev"
TRAILER_BYTES: Final = _TRAILER.size
"""Number of bytes at the end of a merged object that `directory_size` needs."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its header, and the events as lines."""

    run: EventRun
    first_seq: int
    count: int
    """Number of events."""
    lines: bytes
    checkpoint: dict[str, Any] = field(default_factory=dict)
    about: About = field(default_factory=About)

    @property
    def last_seq(self) -> int:
        """Number of the last event."""
        return self.first_seq + self.count - 1

    @classmethod
    def of(cls, segment: Segment) -> Block:
        """Encode the events of a segment; it must have at least one."""
        first = segment.events[0]
        run = EventRun(segment.run, first.component, first.configuration)
        lines = b"".join(event_line(event, segment.places.get(event.seq)) for event in segment.events)
        return cls(run, segment.first_seq, len(segment.events), lines, segment.checkpoint, segment.about)

    def encode(self) -> bytes:
        """Return the block in its stored form. The same content gives the same bytes."""
        about = {name: value for name in About.__slots__ if (value := getattr(self.about, name))}
        header = {
            "format": EVENTS_FORMAT,
            "run": self.run.uid,
            "component": self.run.component,
            "configuration": self.run.configuration,
            "firstSeq": self.first_seq,
            "count": self.count,
            **({"about": about} if about else {}),
            "checkpoint": self.checkpoint,
        }
        zstd = _zstd()
        parameter = zstd.CompressionParameter
        options = {parameter.compression_level: _LEVEL, parameter.checksum_flag: 1}
        data: bytes = zstd.compress(json_line(header) + self.lines, options=options)
        return data

    @classmethod
    def decode(cls, data: bytes | memoryview, where: str) -> Block:
        """Parse the header of a stored block.

        Raises:
            PlatformError: (Internal) it is malformed, or of another format.
        """
        zstd = _zstd()
        try:
            head, _, lines = zstd.decompress(data).partition(b"\n")
            header = json.loads(head)
            if header["format"] != EVENTS_FORMAT:
                raise PlatformError(f"{where} has format {header['format']}; this release reads format {EVENTS_FORMAT}")
            run = EventRun(header["run"], header["component"], header["configuration"])
            about = About(**{name: value for name, value in header.get("about", {}).items() if name in About.__slots__})
            return cls(run, header["firstSeq"], header["count"], lines, header["checkpoint"], about)
        except (ValueError, KeyError, TypeError, AttributeError, zstd.ZstdError) as error:
            raise _malformed(where, error) from error

    def segment(self, where: str) -> Segment:
        """Decode the events.

        Raises:
            PlatformError: (Internal) a line is malformed, or there are too few or too many.
        """
        try:
            raw = [json.loads(line) for line in self.lines.splitlines()]
            events = tuple(event_of(line, self.run) for line in raw)
            places = {line["seq"]: place for line in raw if (place := place_of(line)) is not None}
        except (ValueError, KeyError, TypeError) as error:
            raise _malformed(where, error) from error
        if len(events) != self.count:
            raise PlatformError(f"{where} holds {len(events)} events, its header says {self.count}")
        return Segment(self.run.uid, self.first_seq, self.checkpoint, events, self.about, places)

    def with_places(self) -> Block:
        """Return the block with all positions in its lines that depend on the time of its write.

        Afterwards it can be joined with others that were written at other times.
        """
        about = self.about
        if about.written and datetime.fromisoformat(about.latest) >= datetime.fromisoformat(about.written) + AHEAD:
            segment = self.segment("a segment")
            places = {found.event.seq: found.time for found in segment.placed}
            return replace(Block.of(replace(segment, places=places)), about=replace(about, written=""))
        return replace(self, about=replace(about, written=""))


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """A block in the directory of a merged object."""

    offset: int
    """Where it begins in the object."""
    length: int
    """Its size in bytes."""
    first_seq: int
    count: int
    latest: datetime | None
    """Position in time of its last event; None if unknown."""
    counts: Mapping[str, int]
    """Number of events of each type from the run's first to the block's last."""

    @property
    def end(self) -> int:
        """Where it ends in the object."""
        return self.offset + self.length

    @property
    def last_seq(self) -> int:
        """Number of its last event."""
        return self.first_seq + self.count - 1


class MergedBuilder:
    """Builds a merged object from consecutive segments.

    Attributes:
        size: bytes of the finished blocks.
    """

    def __init__(self) -> None:
        """Start without events."""
        self._done: list[bytes] = []
        self._entries: list[BlockEntry] = []
        self._pending: list[Block] = []
        self._pending_bytes = 0
        self.size = 0

    @property
    def last_seq(self) -> int:
        """Number of the last added event; 0 if there is none."""
        if self._pending:
            return self._pending[-1].last_seq
        return self._entries[-1].last_seq if self._entries else 0

    def add(self, segment: Block) -> None:
        """Add the next segment."""
        self._pending.append(segment.with_places())
        self._pending_bytes += len(segment.lines)
        if self._pending_bytes >= _BLOCK_BYTES:
            self._close({})

    def _close(self, checkpoint: dict[str, Any]) -> None:
        first, last = self._pending[0], self._pending[-1]
        about = replace(last.about, latest_before=first.about.latest_before)
        block = Block(
            last.run,
            first.first_seq,
            last.last_seq - first.first_seq + 1,
            b"".join(item.lines for item in self._pending),
            checkpoint,
            about,
        )
        data = block.encode()
        latest = datetime.fromisoformat(about.latest) if about.latest else None
        self._entries.append(BlockEntry(self.size, len(data), block.first_seq, block.count, latest, about.counts))
        self._done.append(data)
        self._pending, self._pending_bytes, self.size = [], 0, self.size + len(data)

    def finish(self, checkpoint: dict[str, Any]) -> bytes:
        """Return the object. Its last block has the checkpoint; there must be events."""
        if not self._pending:
            # The last block was closed without a checkpoint.
            entry = self._entries.pop()
            self.size = entry.offset
            self._pending = [Block.decode(self._done.pop(), "the last block")]
        self._close(checkpoint)
        rows = [
            [item.offset, item.length, item.first_seq, item.count, item.latest and item.latest.isoformat(), item.counts]
            for item in self._entries
        ]
        text = json_line({"format": EVENTS_FORMAT, "blocks": rows})
        content = text + _TRAILER.pack(len(text), _TRAILER_MARK)
        return b"".join([*self._done, _SKIPPABLE.pack(_MAGIC, len(content)), content])


def directory_size(tail: bytes, where: str) -> int:
    """Return how many bytes at the end of a merged object `read_directory` needs, from the last `TRAILER_BYTES` of it.

    Raises:
        PlatformError: (Internal) it is malformed.
    """
    try:
        size, mark = _TRAILER.unpack(tail[-TRAILER_BYTES:])
    except struct.error as error:
        raise _malformed(where, error) from error
    if mark != _TRAILER_MARK:
        raise PlatformError(f"{where} does not end with a directory of events")
    return int(size) + TRAILER_BYTES


def read_directory(tail: bytes, where: str) -> list[BlockEntry]:
    """Return the blocks of a merged object from its end.

    Raises:
        PlatformError: (Internal) the directory is malformed.
    """
    try:
        directory = json.loads(tail[-directory_size(tail, where) : -TRAILER_BYTES])
        return [
            BlockEntry(offset, length, first, count, datetime.fromisoformat(latest) if latest else None, counts)
            for offset, length, first, count, latest, counts in directory["blocks"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise _malformed(where, error) from error


def _malformed(where: str, error: Exception) -> PlatformError:
    return PlatformError(f"{where} is no event segment: {type(error).__name__}: {error}")


def _zstd() -> Any:
    from backports import zstd  # noqa: PLC0415 - commands that read no events start fast without it

    return zstd
