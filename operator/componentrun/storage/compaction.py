"""Which of a table's segments are worth being written anew, and what the table is then. Pure: no store, no clock.

Only the first segments are compacted, never some in the middle: a row that was replaced and then deleted must stay
replaced, and who would know that of its key once it is gone? Readers get the same rows in the same order, and may still
ask what came when: a compacted segment keeps the times of its rows (`Origin`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.storage.pointer import Origin, Segment, remember
from componentrun.storage.reading import EVERYTHING, plan_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from componentrun.exchange import Mapping
    from componentrun.storage.pointer import Commit, Pointer, Slice

__all__ = [
    "DEFAULT_SEGMENTS",
    "MAX_ORIGINS",
    "SLICE_BYTES",
    "Rewrite",
    "compacted_segment",
    "groups",
    "is_due",
    "rewrite_of",
    "spliced",
]

DEFAULT_SEGMENTS: Final = 50
"""A table with more segments than this is compacted."""
SLICE_BYTES: Final = 16 * 1024 * 1024
"""Small slices are put together up to here: it still goes up by one request on a slow line."""
MAX_ORIGINS: Final = 300
"""A compacted segment remembers no more times than these: each load writes them with the pointer."""
_FINENESS: Final = 10
"""Two times become one where what lies between them is at most this part of their age."""
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SMALL: Final = SLICE_BYTES // 16
_SMALL_FOR_EACH: Final = 4
"""Small slices that are as bad as one segment too many: each is a request, no more."""
_WORTH: Final = 10
"""A table of which all rows must be written anew waits until a tenth of it is new, or until it has this many times as
many segments as would be due."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The first segments of a table that are to become one."""

    segments: tuple[Segment, ...]
    columns: tuple[str, ...]
    """Of the table; what is written has all of them."""
    slices: tuple[Slice, ...]
    """Those of the segments."""
    mapping: Mapping | None
    """How to read them; None: their slices one after the other are the rows already."""

    @property
    def size(self) -> int:
        """Bytes in the slices."""
        return sum(part.size for part in self.slices)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """When the rows came as they are stored: one of each step of the mapping, of a compacted segment all it has."""
        start = next((number for number, segment in enumerate(self.segments) if segment.slices), len(self.segments))
        found: list[Origin] = []
        for segment in self.segments[start:]:
            found += segment.origins or (_origin(segment),)
        return tuple(found)

    @property
    def first(self) -> tuple[int, ...]:
        """Rows of each origin in the mapping's first step."""
        first = next((segment for segment in self.segments if segment.slices), self.segments[0])
        return tuple(part.rows for part in first.origins or (_origin(first),))


def _origin(segment: Segment) -> Origin:
    # Segments without a time are never compacted, see `rewrite_of`.
    return Origin(time=segment.time or _LONG_AGO, version=segment.version, rows=segment.rows)


def is_due(pointer: Pointer, most: int = DEFAULT_SEGMENTS) -> bool:
    """Whether a table should be compacted.

    Args:
        pointer: of the table.
        most: how many segments it may have.
    """
    rewrite = rewrite_of(pointer)
    if rewrite is None:
        return False
    behind = rewrite.segments[1:] if rewrite.segments[0].origins else rewrite.segments
    small = sum(part.size < _SMALL for part in rewrite.slices)
    if len(rewrite.segments) <= most and small <= most * _SMALL_FOR_EACH:
        return False
    if rewrite.mapping is None or len(behind) > most * _WORTH:
        return True
    return sum(part.size for segment in behind for part in segment.slices) * _WORTH >= rewrite.size


def rewrite_of(pointer: Pointer, segments: int | None = None) -> Rewrite | None:
    """What compaction would write anew; None: nothing could get better.

    Args:
        pointer: of the table.
        segments: only so many of the first segments; None: all.
    """
    chosen = list(pointer.segments[:segments])
    # A segment of an earlier release does not tell when its rows came.
    known = next((number for number, segment in enumerate(chosen) if segment.time is None), len(chosen))
    chosen = chosen[:known]
    if not chosen or (len(chosen) == 1 and _is_as_good(pointer, chosen[0])):
        return None
    reading = plan_read(pointer.model_copy(update={"segments": tuple(chosen)}), EVERYTHING)
    return Rewrite(
        segments=tuple(chosen),
        columns=pointer.column_names,
        slices=tuple(part for segment in chosen for part in segment.slices),
        mapping=reading.mapping,
    )


def _is_as_good(pointer: Pointer, segment: Segment) -> bool:
    """Whether a single segment reads as fast as its compacted form would."""
    if segment.delete is not None or segment.columns != pointer.column_names:
        return False
    return bool(segment.origins) or (not pointer.primary_key and all(len(one) == 1 for one in groups(segment.slices)))


def groups(slices: Iterable[Slice]) -> list[list[Slice]]:
    """Neighbours that are to become one slice; a large one stays alone."""
    found: list[list[Slice]] = []
    size = SLICE_BYTES
    for part in slices:
        if size + part.size > SLICE_BYTES:
            found.append([])
            size = 0
        found[-1].append(part)
        size += part.size
    return found


def compacted_segment(rewrite: Rewrite, run: str, slices: Sequence[Slice], rows: Sequence[int]) -> Segment | None:
    """The segment that takes the place of those that were written anew; None where no row is left.

    Args:
        rewrite: what was written anew.
        run: the made-up uid below whose data prefix the new slices lie.
        slices: that hold the rows.
        rows: how many are left of each of the rewrite's origins.
    """
    if not slices:
        return None
    left = [part.model_copy(update={"rows": count}) for part, count in zip(rewrite.origins, rows, strict=True) if count]
    last = rewrite.segments[-1]
    return Segment(
        run=run,
        attempt=1,
        time=last.time,
        version=last.version,
        columns=rewrite.columns,
        slices=tuple(slices),
        origins=_coarser(left),
    )


def _coarser(origins: list[Origin]) -> tuple[Origin, ...]:
    """No more than may be kept: the older, the coarser. Rows then count as if they came a bit later.

    So who asks what came since a time long ago gets a bit more, but never less.
    """
    if len(origins) <= MAX_ORIGINS:
        return tuple(origins)
    kept: list[Origin] = []
    for origin in origins:
        taken = 0
        if len(kept) > 1 and (origin.time - kept[-2].time) * _FINENESS <= origins[-1].time - origin.time:
            taken = kept.pop().rows
        kept.append(origin.model_copy(update={"rows": origin.rows + taken}))
    surplus = max(len(kept) - MAX_ORIGINS, 0)
    oldest = kept[surplus].model_copy(update={"rows": sum(part.rows for part in kept[: surplus + 1])})
    return (oldest, *kept[surplus + 1 :])


def spliced(pointer: Pointer, rewrite: Rewrite, segment: Segment | None, commit: Commit) -> Pointer | None:
    """The table as it is now with its first segments replaced; None where these are not there any more.

    A version of its own, but with the same rows: what was changed last, and when, stays.
    """
    count = len(rewrite.segments)
    if pointer.dropped or pointer.segments[:count] != rewrite.segments:
        return None
    segments = (*((segment,) if segment is not None else ()), *pointer.segments[count:])
    return pointer.model_copy(
        update={
            "version": pointer.version + 1,
            "segments": segments,
            "rows": sum(part.rows for part in segments),
            "bytes": sum(part.size for each in segments for part in each.slices),
            "committed_by": commit,
            "change": "compaction",
            "restored": None,
            "recent_commits": remember(pointer, commit.run),
        }
    )
