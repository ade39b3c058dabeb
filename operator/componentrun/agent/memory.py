"""Keeps freed memory for reuse."""

from __future__ import annotations

from typing import Final

__all__ = ["keep_blocks"]

_KEPT_BYTES: Final = 2 * 2**20
"""Larger than any block that is read, checked, compressed or decompressed."""


def keep_blocks() -> None:
    """Let the C library keep freed blocks for reuse, also in processes that are forked later.

    By default it returns most of them to the kernel, which has to clear their pages again: at least a tenth of the CPU
    time of a transfer. (glibc keeps blocks up to the size of the largest one freed so far, and twice that at the end of
    a heap. With another library this has no effect.)
    """
    bytes(_KEPT_BYTES)
