"""Compresses rows in memory: the length of an upload must be known before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.agent.stagein.form import read_block
from componentrun.agent.transfer import Failure
from componentrun.wire.encoding import Packer

if TYPE_CHECKING:
    from componentrun.agent.transfer import Stop
    from componentrun.csv.text import Read

__all__ = ["PACKED_SLICE_BYTES", "WORTH_PACKING", "Packed", "packed"]

PACKED_SLICE_BYTES: Final = 16 * 2**20
"""Maximum bytes of rows in a compressed object: several of these are in memory at a time."""
WORTH_PACKING: Final = 64 * 2**10
"""Smaller slices are not compressed: the request costs more than their bytes."""
_BLOCK_BYTES: Final = 2**19
"""Small enough to remain in the processor's cache until it is compressed."""


class Packed:
    """A compressed object in memory."""

    def __init__(self, content: bytearray) -> None:
        """Use the content without copying it; it must not change."""
        self.size = len(content)
        self._content = memoryview(content)

    def read(self, length: int, offset: int) -> bytes:
        """Read bytes of the object."""
        return bytes(self._content[offset : offset + length])


def packed(
    read: Read, offset: int, size: int, tail: bytes, encoding: str, *, stop: Stop, subject: str
) -> Packed | None:
    """Compress rows to an object; None if that saves less than a third.

    Args:
        read: the file.
        offset: offset of the rows in the file.
        size: size of the rows in bytes.
        tail: a missing final newline.
        encoding: compression, see `wire.encoding`.
        stop: checked between blocks.
        subject: the file, as messages call it.

    Raises:
        ComponentRunError: see `read_block`.
        Failure: another transfer failed.
    """
    packer = Packer(encoding)
    content = bytearray()
    most = size * 2 // 3
    for start in range(0, size, _BLOCK_BYTES):
        if stop.is_set():
            raise Failure("stopped, because something else failed")
        content += packer.add(read_block(read, min(_BLOCK_BYTES, size - start), offset + start, subject))
        if len(content) > most:
            return None
    content += packer.add(tail) + packer.finish()
    return Packed(content)
