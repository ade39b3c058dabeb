"""The snapshots that led to a table's current one, some of which may have been removed. Pure.

Each snapshot that the loader writes records since which sequence number no file was removed from the table
(`properties.FILES_SINCE`). Between that number and its own, the table's snapshots form one line, and the snapshot
still contains all of their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Operation

from componentrun.loader.catalog import properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["ancestors_of", "files_since", "held_by_refs", "line_of", "next_files_since", "sequence_of"]

_NEXT: Final = 1


def sequence_of(snapshot: Snapshot) -> int:
    """The sequence number of a snapshot; 0 in a table of format version 1."""
    return snapshot.sequence_number or 0


def line_of(table: TableMetadata) -> list[Snapshot]:
    """The snapshots of the branch `main`, newest first.

    The predecessor of a snapshot is its parent. If the parent has been removed, the predecessor is the newest snapshot
    with a smaller sequence number, ignoring snapshots that only other branches reach.
    """
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots}
    foreign = _of_other_branches(table, by_id)
    by_sequence = sorted(
        (snapshot for snapshot in table.snapshots if snapshot.snapshot_id not in foreign), key=sequence_of, reverse=True
    )
    line: list[Snapshot] = []
    visited: set[int] = set()
    place = 0
    snapshot = _by_id(by_id, table.current_snapshot_id)
    while snapshot is not None and snapshot.snapshot_id not in visited:
        visited.add(snapshot.snapshot_id)
        line.append(snapshot)
        sequence = sequence_of(snapshot)
        while place < len(by_sequence) and sequence_of(by_sequence[place]) >= sequence:
            place += 1
        older = by_sequence[place] if place < len(by_sequence) else None
        snapshot = _by_id(by_id, snapshot.parent_snapshot_id) or older
    return line


def ancestors_of(table: TableMetadata, head: int) -> Iterator[Snapshot]:
    """A snapshot, its parent and so on, until a parent has been removed."""
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots}
    return _ancestors(by_id, head)


def held_by_refs(table: TableMetadata) -> set[int]:
    """Ids of the snapshots that tags and branches name, and of all ancestors in branches other than `main`."""
    ids: set[int] = set()
    for name, ref in table.refs.items():
        ids.add(ref.snapshot_id)
        if ref.snapshot_ref_type == SnapshotRefType.BRANCH and name != MAIN_BRANCH:
            ids |= {snapshot.snapshot_id for snapshot in ancestors_of(table, ref.snapshot_id)}
    return ids


def files_since(snapshot: Snapshot, by_id: Mapping[int, Snapshot]) -> int:
    """The sequence number since which no file was removed, up to a snapshot.

    All snapshots in between are in the snapshot's line.

    Args:
        snapshot: a snapshot, written by any program. Iceberg calls a snapshot that removes no file an `append`.
        by_id: all snapshots of its table.
    """
    while True:
        sequence = sequence_of(snapshot)
        if snapshot.summary is None:
            return sequence
        if (first_sequence := snapshot.summary[properties.FILES_SINCE]) is not None:
            return int(first_sequence)
        parent = _by_id(by_id, snapshot.parent_snapshot_id)
        # A skipped number belongs to another branch, or to a snapshot that was rolled back.
        if snapshot.summary.operation != Operation.APPEND or parent is None or sequence_of(parent) != sequence - _NEXT:
            return sequence
        snapshot = parent


def next_files_since(table: TableMetadata, *, replaces: bool) -> int:
    """The value of `properties.FILES_SINCE` for the next snapshot of a table.

    Args:
        table: metadata before that snapshot.
        replaces: whether the snapshot removes files.
    """
    parent, sequence = table.current_snapshot(), table.next_sequence_number()
    if replaces or parent is None or sequence_of(parent) != sequence - _NEXT:
        return sequence
    return files_since(parent, {snapshot.snapshot_id: snapshot for snapshot in table.snapshots})


def _of_other_branches(table: TableMetadata, by_id: Mapping[int, Snapshot]) -> set[int]:
    """Ids of the snapshots that other branches reach before a snapshot that was the table's current one."""
    current = {entry.snapshot_id for entry in table.snapshot_log} | {table.current_snapshot_id}
    ids: set[int] = set()
    for name, ref in table.refs.items():
        if ref.snapshot_ref_type != SnapshotRefType.BRANCH or name == MAIN_BRANCH:
            continue
        for snapshot in _ancestors(by_id, ref.snapshot_id):
            if snapshot.snapshot_id in current:
                break
            ids.add(snapshot.snapshot_id)
    return ids


def _ancestors(by_id: Mapping[int, Snapshot], head: int) -> Iterator[Snapshot]:
    visited: set[int] = set()
    snapshot = by_id.get(head)
    while snapshot is not None and snapshot.snapshot_id not in visited:
        visited.add(snapshot.snapshot_id)
        yield snapshot
        snapshot = _by_id(by_id, snapshot.parent_snapshot_id)


def _by_id(by_id: Mapping[int, Snapshot], snapshot_id: int | None) -> Snapshot | None:
    return by_id.get(snapshot_id) if snapshot_id is not None else None
