"""Suggestions for a name that does not exist: the most similar existing names."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MOST_COMPARED", "similar_names"]

MOST_COMPARED: Final = 2000
"""Maximum number of names that are compared letter by letter, which takes about 30 µs each."""


def similar_names(name: str, candidates: Sequence[str], count: int) -> list[str]:
    """The known names that are most similar to a name, at most `count`, the best one first.

    If there are more than `MOST_COMPARED` names, only those with the longest common prefix or suffix are compared,
    because after a typing error at least one of them is long. So the cost grows like that of sorting the names.
    """
    return difflib.get_close_matches(name, _shortlist(name, candidates), n=count)


def _shortlist(name: str, candidates: Sequence[str]) -> Sequence[str]:
    """The names that are worth a comparison."""
    if len(candidates) <= MOST_COMPARED:
        return candidates
    count = MOST_COMPARED // 2
    by_start = _around(name, sorted(candidates), count)
    by_ending = _around(name[::-1], sorted(other[::-1] for other in candidates), count)
    return list(dict.fromkeys([*by_start, *(other[::-1] for other in by_ending)]))


def _around(name: str, ordered: list[str], count: int) -> list[str]:
    """The names around the position of a name in a sorted list, which have the longest common prefixes."""
    begin = min(max(bisect_left(ordered, name) - count // 2, 0), len(ordered) - count)
    return ordered[begin : begin + count]
