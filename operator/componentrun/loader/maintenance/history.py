"""Which snapshots of a table are kept. Pure.

The age of a snapshot counts from when it was replaced as the current one, not from its creation: a run may have started
to read it right before the load that replaced it. Increments are removed earlier (`catalog.thinning`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from componentrun.loader.catalog.lineage import held_by_refs, line_of
from componentrun.loader.catalog.thinning import removable_by_maintenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["LEAST_HISTORY", "HistoryLimits", "expired_snapshots"]

LEAST_HISTORY: Final = timedelta(hours=24)
"""A snapshot that was current within this time does not expire, unless a later one contains all of its files."""
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much of the history is kept."""

    age: timedelta = timedelta(days=7)
    """How long a snapshot is kept after it was replaced as the current one."""
    snapshots: int = 10
    """Number of newest snapshots that are kept regardless of their age."""


def expired_snapshots(table: TableMetadata, limits: HistoryLimits, now: float) -> list[int]:
    """Ids of the snapshots that need not be kept.

    Args:
        table: metadata of the table.
        limits: how much is kept.
        now: seconds since 1970.
    """
    now_ms = now * 1000
    oldest = now_ms - max(limits.age, LEAST_HISTORY) / _MILLISECOND
    unread = now_ms - LEAST_HISTORY / _MILLISECOND
    line = line_of(table)
    ended = _ended(table, line)
    thinned = removable_by_maintenance(table, line, now, lambda found: ended[found.snapshot_id] <= unread)
    kept = {found.snapshot_id for found in table.snapshots if ended[found.snapshot_id] > oldest}
    kept |= {found.snapshot_id for found in line[: limits.snapshots]}
    kept -= {found.snapshot_id for found in thinned}
    # The owners of other branches decide how much of their history is kept.
    kept |= held_by_refs(table)
    return [found.snapshot_id for found in table.snapshots if found.snapshot_id not in kept]


def _ended(table: TableMetadata, line: Sequence[Snapshot]) -> dict[int, int]:
    """When each snapshot was last replaced, in milliseconds since 1970, or when it was created if that is unknown.

    If the snapshot that replaced it has been removed, the time of the next newer snapshot in the line is used.
    """
    ended = {found.snapshot_id: found.timestamp_ms for found in table.snapshots}
    for found in table.snapshots:
        if found.parent_snapshot_id in ended:
            ended[found.parent_snapshot_id] = max(ended[found.parent_snapshot_id], found.timestamp_ms)
    for newer, older in pairwise(line):
        ended[older.snapshot_id] = max(ended[older.snapshot_id], newer.timestamp_ms)
    for earlier, later in pairwise(table.snapshot_log):
        if earlier.snapshot_id in ended:
            ended[earlier.snapshot_id] = max(ended[earlier.snapshot_id], later.timestamp_ms)
    return ended
