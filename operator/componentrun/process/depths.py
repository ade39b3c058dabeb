"""Read JSON that is nested deeper than the parser supports (200 levels), without the values below a depth.

Users decide how deep the parameters of a run are. A single run must not prevent a process from reading all others: a
watch would repeat the event forever, and a listing would be lost as a whole.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["READ_LEVELS", "without_depths"]

READ_LEVELS: Final = 190
"""Less than the parser supports, and more than `core` allows."""
_STRUCTURE: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]')
"""Brackets, and strings, which may contain brackets."""


def without_depths(document: bytes) -> bytes:
    """The document with `null` in place of objects and lists below `READ_LEVELS`."""
    kept: list[bytes] = []
    depth = begin = 0
    for found in _STRUCTURE.finditer(document):
        if found[0] in {b"{", b"["}:
            depth += 1
            if depth == READ_LEVELS + 1:
                kept.append(document[begin : found.start()])
        elif found[0] in {b"}", b"]"}:
            if depth == READ_LEVELS + 1:
                kept.append(b"null")
                begin = found.end()
            depth -= 1
    return b"".join((*kept, document[begin:]))
