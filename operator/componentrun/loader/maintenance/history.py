"""Which snapshots of a table are kept. Pure.

A snapshot is old when it has not been the current one for long enough, however old it is itself: a run may have begun
to read it right before the load that replaced it. A snapshot also says that a run is published, or that an attempt
never will be, and it says so for as long as anybody may ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["LEAST_HISTORY", "HistoryLimits", "expired_snapshots"]

LEAST_HISTORY: Final = timedelta(hours=24)
"""Nothing younger expires, whatever is asked for."""


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much of the history is kept."""

    age: timedelta = timedelta(days=7)
    """How long a snapshot is kept once it is not the current one any more."""
    snapshots: int = 10
    """So many of the newest are kept, whatever their age."""


def expired_snapshots(table: TableMetadata, limits: HistoryLimits, now: float) -> list[int]:
    """Ids of the snapshots that need not be kept.

    Args:
        table: its metadata.
        limits: how much is kept.
        now: seconds since 1970.
    """
    oldest = now * 1000 - max(limits.age, LEAST_HISTORY) / timedelta(milliseconds=1)
    ended = _ended(table)
    kept = {found.snapshot_id for found in table.snapshots if ended[found.snapshot_id] > oldest}
    for name, ref in table.refs.items():
        kept.add(ref.snapshot_id)
        if ref.snapshot_ref_type == SnapshotRefType.BRANCH:
            line = _line(table, ref.snapshot_id)
            # How much history another branch keeps is for those to say who made it.
            kept |= {
                found.snapshot_id for place, found in enumerate(line) if name != MAIN_BRANCH or place < limits.snapshots
            }
    return [found.snapshot_id for found in table.snapshots if found.snapshot_id not in kept]


def _ended(table: TableMetadata) -> dict[int, int]:
    """When each snapshot was replaced last, in milliseconds since 1970; when it was made where that is not known."""
    ended = {found.snapshot_id: found.timestamp_ms for found in table.snapshots}
    for found in table.snapshots:
        if found.parent_snapshot_id in ended:
            ended[found.parent_snapshot_id] = max(ended[found.parent_snapshot_id], found.timestamp_ms)
    for earlier, later in zip(table.snapshot_log, table.snapshot_log[1:], strict=False):
        if earlier.snapshot_id in ended:
            ended[earlier.snapshot_id] = max(ended[earlier.snapshot_id], later.timestamp_ms)
    return ended


def _line(table: TableMetadata, head: int) -> Iterator[Snapshot]:
    """A snapshot and those that it rests on, the newest first."""
    seen: set[int] = set()
    by_id = {found.snapshot_id: found for found in table.snapshots}
    snapshot = by_id.get(head)
    while snapshot is not None and snapshot.snapshot_id not in seen:
        seen.add(snapshot.snapshot_id)
        yield snapshot
        snapshot = by_id.get(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id is not None else None
