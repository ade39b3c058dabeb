"""Suggestions for a name that does not exist: the most similar of those that do."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MOST_COMPARED", "similar_names"]

MOST_COMPARED: Final = 2000
"""Names that are compared letter by letter, which takes some 30 µs each."""


def similar_names(name: str, known: Sequence[str], count: int) -> list[str]:
    """The known names that are most similar to this one, at most `count`, the best first.

    Of more than `MOST_COMPARED` names only those with the longest common beginning or end are compared: a typing error
    leaves at least one of them long. So the work grows with the number of names as sorting them does.
    """
    return difflib.get_close_matches(name, _shortlist(name, known), n=count)


def _shortlist(name: str, known: Sequence[str]) -> Sequence[str]:
    """The names that are worth a comparison."""
    if len(known) <= MOST_COMPARED:
        return known
    half = MOST_COMPARED // 2
    by_beginning = _around(name, sorted(known), half)
    by_end = _around(name[::-1], sorted(other[::-1] for other in known), half)
    return list(dict.fromkeys([*by_beginning, *(other[::-1] for other in by_end)]))


def _around(name: str, ordered: list[str], count: int) -> list[str]:
    """The names around the place that this one would have in the order: those with the longest common beginning."""
    begin = min(max(bisect_left(ordered, name) - count // 2, 0), len(ordered) - count)
    return ordered[begin : begin + count]
