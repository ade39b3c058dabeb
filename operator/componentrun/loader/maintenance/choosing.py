"""Which files of a table are rewritten together. Pure.

Rows have an order: that of the sequence numbers of their files, and within a file their position. So only neighbours
are put together, and files with the same sequence number stay together: the file that comes of them gets the largest
number among them, and stands where they stood.

A file is rewritten again only when its neighbours together are as large as it is. So each row is rewritten a number of
times that grows with the logarithm of the table's size, not with the number of loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FileFacts", "RewriteLimits", "groups_of", "may_need_rewriting"]

_MIB: Final = 2**20
_FULL: Final = 0.75
"""A file with this share of the target's size is left alone: what is added to it would exceed the target."""


@dataclass(frozen=True, slots=True)
class RewriteLimits:
    """When files are rewritten, and how many at a time."""

    target: int = 256 * _MIB
    """Bytes of a file that is made of many."""
    files: int = 8
    """Fewer files than this are not put together, and fewer files of deleted rows neither."""
    deleted: float = 0.2
    """A file is rewritten when this share of its rows is deleted."""
    batch: int = 1024 * _MIB
    """Bytes that are read for one commit. A group of files that alone is larger is left alone."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A data file."""

    path: str
    size: int
    """Bytes."""
    rows: int
    """Deleted ones included."""
    sequence: int
    """Data sequence number."""
    deleted: int = 0
    """Rows of it that are deleted."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Files with one sequence number."""

    files: tuple[FileFacts, ...]
    size: int
    """Bytes that will be left of them, about."""
    must: bool
    """Whether too many of its rows are deleted."""


def may_need_rewriting(data_files: int, delete_files: int, limits: RewriteLimits) -> bool:
    """Whether it is worth looking at a table's manifests.

    Args:
        data_files: of the table's current snapshot.
        delete_files: likewise, files of deleted rows.
        limits: when files are rewritten.
    """
    return data_files >= limits.files or delete_files > 0


def groups_of(files: Sequence[FileFacts], limits: RewriteLimits) -> list[tuple[FileFacts, ...]]:
    """The files that should become one file, group by group, in their order.

    Args:
        files: all data files of a table, in the order of their rows.
        limits: when files are rewritten.
    """
    chosen = []
    for run in _runs(
        [_unit(tuple(same), limits) for _, same in groupby(files, key=lambda file: file.sequence)], limits
    ):
        for pack in _packs(run, limits):
            kept = _trimmed(pack)
            count = sum(len(unit.files) for unit in kept)
            if any(unit.must for unit in kept) or count >= limits.files:
                chosen.append(tuple(file for unit in kept for file in unit.files))
    return chosen


def _unit(files: tuple[FileFacts, ...], limits: RewriteLimits) -> _Unit:
    must = any(file.deleted > 0 and file.deleted >= limits.deleted * file.rows for file in files)
    left = sum(file.size * (file.rows - file.deleted) // max(file.rows, 1) for file in files)
    return _Unit(files, left, must)


def _runs(units: Sequence[_Unit], limits: RewriteLimits) -> Iterator[list[_Unit]]:
    """Neighbours that are all too small, or hold too many deleted rows."""
    for wanted, run in groupby(units, key=lambda unit: unit.must or unit.size < _FULL * limits.target):
        if wanted:
            yield list(run)


def _packs(run: Sequence[_Unit], limits: RewriteLimits) -> Iterator[list[_Unit]]:
    """The run in parts of about the target's size."""
    pack: list[_Unit] = []
    size = 0
    for unit in run:
        if pack and size + unit.size > limits.target:
            yield pack
            pack, size = [], 0
        pack.append(unit)
        size += unit.size
    if pack:
        yield pack


def _trimmed(pack: Sequence[_Unit]) -> Sequence[_Unit]:
    """The pack without units at its ends that are larger than all the others of it together."""
    first, last = 0, len(pack)
    size = sum(unit.size for unit in pack)
    while last - first > 1:
        if not pack[first].must and pack[first].size * 2 > size:
            size -= pack[first].size
            first += 1
        elif not pack[last - 1].must and pack[last - 1].size * 2 > size:
            last -= 1
            size -= pack[last].size
        else:
            break
    return pack[first:last]
