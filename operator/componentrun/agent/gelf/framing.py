"""Splits input into GELF messages: at null bytes in a stream, or by joining the chunks of several datagrams. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.agent.gelf.messages import MESSAGE_LIMIT, BadMessageError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

__all__ = ["CHUNK_SECONDS", "Chunks", "NullSplitter"]

CHUNK_SECONDS: Final = 5.0
"""All chunks of a message must arrive within this time (GELF 1.1)."""
_MOST_CHUNKS: Final = 128
_MAGIC: Final = b"\x1e\x0f"
_HEADER: Final = 12
"""Bytes of a chunk header: two of magic, eight of message id, sequence number, and sequence count."""
_HELD_LIMIT: Final = 16 * MESSAGE_LIMIT
"""Maximum bytes of unfinished messages in memory; the oldest one is dropped first."""


class NullSplitter:
    """Splits a TCP stream into messages. Buffers at most one message."""

    def __init__(self) -> None:
        """Start with an empty buffer."""
        self._buffer = bytearray()
        self._skipped = 0

    def feed(self, data: bytes) -> Iterator[bytes | BadMessageError]:
        """Yield the messages that these bytes complete, with an error in place of each message that is too long."""
        *parts, tail = data.split(b"\0")
        for part in parts:
            self._add(part)
            yield from self.rest()
        self._add(tail)

    def rest(self) -> Iterator[bytes | BadMessageError]:
        """Yield the rest of the buffer: the last message of a client that closed without a null byte."""
        message, skipped = bytes(self._buffer), self._skipped
        self._buffer.clear()
        self._skipped = 0
        if skipped:
            yield BadMessageError(f"it has {len(message) + skipped} bytes, more than {MESSAGE_LIMIT}")
        elif message.strip():
            yield message

    def _add(self, part: bytes) -> None:
        room = MESSAGE_LIMIT - len(self._buffer)
        self._buffer += part[:room]
        self._skipped += len(part[room:])


@dataclass(slots=True)
class _Partial:
    """The chunks of one message that have arrived."""

    count: int
    until: float
    parts: dict[int, bytes] = field(default_factory=dict)


class Chunks:
    """Joins datagrams into messages. Long messages come in chunks, in any order and perhaps duplicated."""

    def __init__(self) -> None:
        """Start with an empty buffer."""
        self._partial: dict[Hashable, _Partial] = {}
        self._size = 0

    def feed(self, data: bytes, sender: Hashable, now: float) -> Iterator[bytes | BadMessageError]:
        """Yield the message that this datagram completes, and an error for each message that can't be completed.

        Args:
            data: a datagram.
            sender: the sender; two senders may use the same message id.
            now: monotonic time in seconds.
        """
        yield from self.overdue(now)
        if not data.startswith(_MAGIC):
            yield data
            return
        if len(data) < _HEADER:
            yield BadMessageError(f"a chunk of {len(data)} bytes: its header alone has {_HEADER}")
            return
        number, count = data[10], data[11]
        if not 0 < count <= _MOST_CHUNKS or number >= count:
            yield BadMessageError(f"chunk {number} of {count}: expected one of at most {_MOST_CHUNKS}, counted from 0")
            return
        yield from self._add((sender, data[2:10]), number, count, data[_HEADER:], now)

    def overdue(self, now: float) -> Iterator[BadMessageError]:
        """Yield an error for each message whose chunks did not all arrive in time."""
        for key in [key for key, partial in self._partial.items() if partial.until <= now]:
            yield self._give_up(key, f"came within {CHUNK_SECONDS:g} s")

    def _add(
        self, key: Hashable, number: int, count: int, part: bytes, now: float
    ) -> Iterator[bytes | BadMessageError]:
        partial = self._partial.setdefault(key, _Partial(count, now + CHUNK_SECONDS))
        if partial.count != count:
            yield self._give_up(key, f"came before one that says there are {count}")
            return
        if number not in partial.parts:
            partial.parts[number] = part
            self._size += len(part)
        if len(partial.parts) == count:
            yield b"".join(partial.parts[i] for i in range(count))
            self._forget(key)
        while self._size > _HELD_LIMIT:
            yield self._give_up(next(iter(self._partial)), f"came before {_HELD_LIMIT} bytes of others were waiting")

    def _give_up(self, key: Hashable, problem: str) -> BadMessageError:
        partial = self._partial[key]
        self._forget(key)
        return BadMessageError(f"only {len(partial.parts)} of its {partial.count} chunks {problem}")

    def _forget(self, key: Hashable) -> None:
        self._size -= sum(map(len, self._partial.pop(key).parts.values()))
