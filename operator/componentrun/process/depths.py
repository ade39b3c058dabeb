"""JSON that is nested deeper than the parser goes (200 levels): read all the same, without what lies below a depth.

Whoever may create a run decides how deep its parameters are. One such run must not keep a whole process from reading
all others: a watch that can't read an event asks for it again and again, and a listing is lost as a whole.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["READ_LEVELS", "without_depths"]

READ_LEVELS: Final = 190
"""Less than the parser bears; what is deeper than `core` allows stays deeper than that."""
_STRUCTURE: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]')
"""Brackets, and strings, in which there may be more of them."""


def without_depths(document: bytes) -> bytes:
    """The document with `null` in place of every object and list that would be deeper than `READ_LEVELS`."""
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
