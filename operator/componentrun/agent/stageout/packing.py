"""Rows of a file, compressed before they travel. In memory: a form must say how long it is before it begins."""

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
"""Rows in one compressed object, at most: several of these are in memory at once."""
WORTH_PACKING: Final = 64 * 2**10
"""Fewer bytes travel as they are: a request costs more than they do."""
_BLOCK_BYTES: Final = 2**19
"""Small enough to be in the processor's cache still when it is packed."""


class Packed:
    """A compressed object in memory."""

    def __init__(self, content: bytearray) -> None:
        """Not copied, and not to be changed any more."""
        self.size = len(content)
        self._content = memoryview(content)

    def read(self, length: int, offset: int) -> bytes:
        """Bytes of it."""
        return bytes(self._content[offset : offset + length])


def packed(read: Read, offset: int, size: int, tail: bytes, encoding: str, *, stop: Stop, what: str) -> Packed | None:
    """An object that holds these rows; None where that does not save a third, and they had better travel as they are.

    Args:
        read: the file.
        offset: where the rows begin in it.
        size: their bytes.
        tail: a missing final newline.
        encoding: how.
        stop: checked between blocks.
        what: the file, as messages call it.

    Raises:
        ComponentRunError: see `read_block`.
        Failure: something else failed.
    """
    packer = Packer(encoding)
    made = bytearray()
    most = size * 2 // 3
    for start in range(0, size, _BLOCK_BYTES):
        if stop.is_set():
            raise Failure("stopped, because something else failed")
        made += packer.add(read_block(read, min(_BLOCK_BYTES, size - start), offset + start, what))
        if len(made) > most:
            return None
    made += packer.add(tail) + packer.finish()
    return Packed(made)
