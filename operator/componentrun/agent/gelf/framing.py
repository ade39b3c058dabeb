"""Where one GELF message ends and the next begins: null bytes in a stream, chunks among datagrams. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.agent.gelf.messages import MESSAGE_LIMIT, BadMessageError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

__all__ = ["CHUNK_SECONDS", "Chunks", "NullSplitter"]

CHUNK_SECONDS: Final = 5.0
"""All chunks of a message must come within this time (GELF 1.1)."""
_MOST_CHUNKS: Final = 128
_MAGIC: Final = b"\x1e\x0f"
_HEADER: Final = 12
"""Two bytes of magic, eight of the message's id, its number, and how many there are."""
_HELD_LIMIT: Final = 16 * MESSAGE_LIMIT
"""Bytes of unfinished messages that are held; the oldest one goes first."""


class NullSplitter:
    """A TCP stream to messages; holds at most one message."""

    def __init__(self) -> None:
        """At the beginning of a message."""
        self._held = bytearray()
        self._skipped = 0

    def feed(self, data: bytes) -> Iterator[bytes | BadMessageError]:
        """The messages that these bytes finish; an error in place of one that is too long."""
        *finished, rest = data.split(b"\0")
        for part in finished:
            self._add(part)
            yield from self.rest()
        self._add(rest)

    def rest(self) -> Iterator[bytes | BadMessageError]:
        """The message that has come so far: finished, or the last one of a client that closed without a null byte."""
        held, skipped = bytes(self._held), self._skipped
        self._held.clear()
        self._skipped = 0
        if skipped:
            yield BadMessageError(f"it has {len(held) + skipped} bytes, more than {MESSAGE_LIMIT}")
        elif held.strip():
            yield held

    def _add(self, part: bytes) -> None:
        room = MESSAGE_LIMIT - len(self._held)
        self._held += part[:room]
        self._skipped += len(part[room:])


@dataclass(slots=True)
class _Partial:
    """The chunks of one message that have come."""

    count: int
    until: float
    parts: dict[int, bytes] = field(default_factory=dict)


class Chunks:
    """Datagrams to messages: most are one each, long ones come in chunks, in any order, each perhaps twice."""

    def __init__(self) -> None:
        """Nothing is held."""
        self._partial: dict[Hashable, _Partial] = {}
        self._held = 0

    def feed(self, data: bytes, sender: Hashable, now: float) -> Iterator[bytes | BadMessageError]:
        """The message that this datagram finishes, and an error for each that won't be finished any more.

        Args:
            data: a datagram.
            sender: whose it is; two senders may use the same id.
            now: seconds on a clock that never goes back.
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
        """Errors for the messages whose chunks did not all come in time."""
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
            self._held += len(part)
        if len(partial.parts) == count:
            yield b"".join(partial.parts[i] for i in range(count))
            self._forget(key)
        while self._held > _HELD_LIMIT:
            yield self._give_up(next(iter(self._partial)), f"came before {_HELD_LIMIT} bytes of others were waiting")

    def _give_up(self, key: Hashable, what: str) -> BadMessageError:
        partial = self._partial[key]
        self._forget(key)
        return BadMessageError(f"only {len(partial.parts)} of its {partial.count} chunks {what}")

    def _forget(self, key: Hashable) -> None:
        self._held -= sum(map(len, self._partial.pop(key).parts.values()))
