"""What becomes of memory that agents free, a block of rows at a time."""

from __future__ import annotations

from typing import Final

__all__ = ["keep_blocks"]

_KEPT_BYTES: Final = 2 * 2**20
"""More than any block that is read, checked, packed or unpacked at once."""


def keep_blocks() -> None:
    """Have the C library keep the memory of blocks that are freed for the next ones, also in processes forked later.

    Else it gives most of them back at once, and the kernel fills their pages with zeros anew: a tenth of the processor
    time of a transfer, and more. (glibc keeps what is not larger than the largest block that it has given back so far,
    and twice that at the end of a heap. With another library this does nothing.)
    """
    bytes(_KEPT_BYTES)
