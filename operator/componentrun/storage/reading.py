"""What a reader of a table gets: which slices, and what has to be applied to them. Pure.

Where nothing has to be applied, the slices one after the other are the table, and nobody parses them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from componentrun.columnnames import chosen, missing
from componentrun.errors import Reason, UserError
from componentrun.exchange import Mapping, Step, Where
from componentrun.storage.adaptive import is_new

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.storage.adaptive import Seen
    from componentrun.storage.pointer import Origin, Pointer, Segment, Slice

__all__ = ["EVERYTHING", "Reading", "Wish", "checked", "plan_read"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader asks for. Nothing: the whole table."""

    columns: tuple[str, ...] | None = None
    """By their names, or by patterns of these."""
    where: Where | None = None
    changed_since: datetime | None = None
    """Only rows of loads that were committed then or later."""
    limit: int | None = None
    seen: Seen | None = None
    """Only rows of loads that came after the table was seen like this."""

    def mapping(self, columns: tuple[str, ...] | None, steps: tuple[Step, ...], key: tuple[str, ...] = ()) -> Mapping:
        """The wish applied to a history."""
        return Mapping(columns, steps, self.columns, key, self.where, self.limit)

    @property
    def needs_query(self) -> bool:
        """Whether rows have to be parsed for it."""
        return self.columns is not None or self.where is not None or self.limit is not None


EVERYTHING: Final = Wish()
"""The whole table."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a table."""

    columns: tuple[str, ...]
    """That are delivered."""
    slices: tuple[Slice, ...]
    """In the order of the rows."""
    mapping: Mapping | None
    """None: nothing has to be applied."""

    @property
    def size(self) -> int:
        """Bytes in the slices."""
        return sum(part.size for part in self.slices)

    @property
    def rows(self) -> int | None:
        """Rows that are delivered; None: not known before."""
        return sum(part.rows for part in self.slices) if self.mapping is None else None


def plan_read(pointer: Pointer, wish: Wish) -> Reading:
    """Decide how to read a table.

    Raises:
        UserError: (InputInvalid) the wish names a column that the table does not have.
    """
    names = pointer.column_names
    wish = checked(wish, pointer.id, names)
    segments, skip = _wanted(pointer, wish)
    # What is deleted before the first rows is not there.
    while segments and not segments[0].slices:
        segments = segments[1:]
    key = () if all(segment.replaces_none or not segment.slices for segment in segments) else pointer.primary_key
    plain = all(not segment.delete and segment.columns == names for segment in segments) and not key and not skip
    if plain and wish.limit is not None and wish.where is None:
        segments = _first(segments, wish.limit)
    slices = tuple(part for segment in segments for part in segment.slices)
    whole = wish.columns in {None, names} and wish.where is None
    enough = wish.limit is None or (plain and wish.where is None and sum(part.rows for part in slices) <= wish.limit)
    if not slices or (plain and whole and enough):
        return Reading(wish.columns or names, slices, None)
    steps = tuple(_step(segment, skip if number == 0 else 0) for number, segment in enumerate(segments))
    return Reading(wish.columns or names, slices, wish.mapping(names, steps, key))


def checked(wish: Wish, table: str, there: Sequence[str]) -> Wish:
    """The wish with its columns by their names.

    Args:
        wish: what a reader asks for.
        table: its id, for the message.
        there: its columns.

    Raises:
        UserError: (InputInvalid) the wish names a column that the table does not have.
    """
    columns, unknown = (None, None) if wish.columns is None else chosen(wish.columns, there)
    if unknown is None and wish.where is not None and wish.where.column not in there:
        unknown = wish.where.column
    if unknown is not None:
        raise UserError(
            f"`{table}` has no column `{unknown}`, which the input mapping names; {missing(unknown, there)}",
            Reason.INPUT_INVALID,
        )
    return replace(wish, columns=columns)


def _wanted(pointer: Pointer, wish: Wish) -> tuple[list[Segment], int]:
    """The segments of loads since then, and how many rows at the start of them are older.

    Times and versions never go back, so these are the last segments, and the last rows of a compacted one.
    """
    if wish.seen is None and wish.changed_since is None:
        return list(pointer.segments), 0
    found = [segment for segment in pointer.segments if _is_wanted(pointer, wish, segment)]
    older = [origin.rows for part in found[:1] for origin in part.origins if not _is_wanted(pointer, wish, origin)]
    skip = sum(older)
    if not skip:
        return found, 0
    slices = list(found[0].slices)
    while slices and slices[0].rows <= skip:
        skip -= slices.pop(0).rows
    return [found[0].model_copy(update={"slices": tuple(slices)}), *found[1:]], skip


def _is_wanted(pointer: Pointer, wish: Wish, part: Segment | Origin) -> bool:
    if wish.seen is not None:
        return is_new(pointer, wish.seen, part.version)
    # A segment of an earlier release does not tell its time: rather twice than never.
    return wish.changed_since is None or (part.time or pointer.last_change) >= wish.changed_since


def _first(segments: Sequence[Segment], rows: int) -> list[Segment]:
    """Segments with no more slices than hold the first rows."""
    found = []
    for segment in segments:
        slices = []
        for part in segment.slices:
            if rows > 0:
                slices.append(part)
            rows -= part.rows
        if slices:
            found.append(segment.model_copy(update={"slices": tuple(slices)}))
    return found


def _step(segment: Segment, skip: int) -> Step:
    if segment.delete is None:
        return Step(segment.columns, len(segment.slices), skip=skip, insert=segment.replaces_none)
    return Step(None, 0, Where(segment.delete.column, segment.delete.operator, segment.delete.values))
