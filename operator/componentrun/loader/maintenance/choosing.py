"""Which files of a table are rewritten together. Pure.

Rows are ordered by the sequence numbers of their files, and within a file by their position. Therefore only adjacent
files are merged, and files with the same sequence number stay together. The merged file gets the largest sequence
number among them, and so keeps their place.

A file is rewritten again only if its neighbours together are as large as the file itself. So the number of times that
each row is rewritten grows with the logarithm of the table's size, not with the number of loads.
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
"""A file with at least this fraction of the target size is not merged, because the result would exceed the target."""


@dataclass(frozen=True, slots=True)
class RewriteLimits:
    """When files are rewritten, and how many at a time."""

    target: int = 256 * _MIB
    """Target size of a merged file in bytes."""
    files: int = 8
    """Minimum number of files to merge. It applies to data files and to position delete files."""
    deleted: float = 0.2
    """A file is rewritten if at least this fraction of its rows is deleted."""
    batch: int = 1024 * _MIB
    """Maximum number of bytes to read for one commit. A larger group of files is not rewritten."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A data file."""

    path: str
    size: int
    """Bytes."""
    rows: int
    """Number of rows, including deleted ones."""
    sequence: int
    """Data sequence number."""
    deleted: int = 0
    """Number of deleted rows."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Files with the same sequence number."""

    files: tuple[FileFacts, ...]
    size: int
    """Approximate size in bytes without deleted rows."""
    must: bool
    """Whether a file has so many deleted rows that it must be rewritten."""


def may_need_rewriting(data_files: int, delete_files: int, limits: RewriteLimits) -> bool:
    """Whether it is worth reading a table's manifests.

    Args:
        data_files: number of data files in the table's current snapshot.
        delete_files: number of its position delete files.
        limits: when files are rewritten.
    """
    return data_files >= limits.files or delete_files > 0


def groups_of(files: Sequence[FileFacts], limits: RewriteLimits) -> list[tuple[FileFacts, ...]]:
    """The groups of files that should each be merged into one file, in order.

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
    """Sequences of adjacent units that are too small, or have too many deleted rows."""
    for wanted, run in groupby(units, key=lambda unit: unit.must or unit.size < _FULL * limits.target):
        if wanted:
            yield list(run)


def _packs(run: Sequence[_Unit], limits: RewriteLimits) -> Iterator[list[_Unit]]:
    """Split a run into parts of about the target size."""
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
    """The pack without units at its ends that are larger than all its other units together."""
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
