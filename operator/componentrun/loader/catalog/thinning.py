"""Which increments of a table's history are removed before the history's period ends. Pure.

Every snapshot makes each later commit more expensive, because a catalog rewrites all of them with each commit.
Therefore the newest versions of a table are kept. Of older increments, one version is kept for each of the last 24
hours and one for each day before. A version is always kept if it is a full load, a restore, a drop or a change by
another program, if the next change of rows is one of these, or if a tag or another branch needs it.

A load removes such snapshots in its own commit, but only if all files of a snapshot are also in a later snapshot that
is kept: runs may hold signed URLs of these files. Maintenance removes the others and their files when no run reads
them anymore.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from pyiceberg.table.snapshots import Operation

from componentrun.loader.catalog import properties
from componentrun.loader.catalog.lineage import files_since, held_by_refs, line_of, sequence_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["NEWEST", "removable_by_load", "removable_by_maintenance"]

NEWEST: Final = 25
"""Number of newest snapshots that are always kept."""
_AT_ONCE: Final = 25
"""Minimum number of removable snapshots for a load to remove them: a removal rewrites all marks (`marks`)."""
_HOURLY: Final = timedelta(hours=24)
"""Age up to which one version of each hour is kept. Of older versions, one of each day is kept."""
_MILLISECOND: Final = timedelta(milliseconds=1)
_HOUR: Final = timedelta(hours=1) // _MILLISECOND
_DAY: Final = timedelta(days=1) // _MILLISECOND


def removable_by_load(table: TableMetadata, now: float) -> list[Snapshot]:
    """The snapshots that the next commit to a table removes. All of their files are also in a later snapshot.

    Args:
        table: metadata before the commit.
        now: seconds since 1970.
    """
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots}
    surplus = _surplus(table, line_of(table), now, lambda older, newer: _keeps_files_of(newer, older, by_id))
    return surplus if len(surplus) >= _AT_ONCE else []


def removable_by_maintenance(
    table: TableMetadata, line: Sequence[Snapshot], now: float, is_unread: Callable[[Snapshot], bool]
) -> list[Snapshot]:
    """The snapshots that maintenance removes although the history's period has not ended.

    Args:
        table: its metadata.
        line: the table's snapshots on `main`, newest first (`lineage.line_of`).
        now: seconds since 1970.
        is_unread: whether a snapshot was replaced so long ago that no run can still read its files.
    """
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots}
    return _surplus(table, line, now, lambda older, newer: is_unread(older) or _keeps_files_of(newer, older, by_id))


def _surplus(
    table: TableMetadata, line: Sequence[Snapshot], now: float, may_go: Callable[[Snapshot, Snapshot], bool]
) -> list[Snapshot]:
    """The snapshots of a line that are not needed.

    `may_go` receives a snapshot and the next newer one, and returns whether the older one may be removed.
    """
    now_ms = int(now * 1000)
    if int(table.properties.get(properties.KEPT_UNTIL) or 0) > now_ms:
        return []
    protected = held_by_refs(table)
    candidates: list[Snapshot] = []
    # The first snapshot of a line is the current one, so it has no newer snapshot.
    periods = {_period(snapshot, now_ms) for snapshot in line[:NEWEST] if _is_version(snapshot)}
    for newer, older in list(pairwise(line))[NEWEST - 1 :]:
        is_part = _is_increment(older) and (_is_increment(newer) or _is_append(newer))
        if is_part and older.snapshot_id not in protected and may_go(older, newer):
            candidates.append(older)
        elif _is_version(older):
            periods.add(_period(older, now_ms))
    surplus: list[Snapshot] = []
    for snapshot in candidates:
        period = _period(snapshot, now_ms)
        if _is_version(snapshot) and period not in periods:
            periods.add(period)
        else:
            surplus.append(snapshot)
    return surplus


def _keeps_files_of(newer: Snapshot, older: Snapshot, by_id: Mapping[int, Snapshot]) -> bool:
    return files_since(newer, by_id) <= sequence_of(older)


def _period(snapshot: Snapshot, now_ms: int) -> tuple[int, int]:
    """The hour or day in which a snapshot was created, as its length and number."""
    length = _HOUR if now_ms - snapshot.timestamp_ms < _HOURLY // _MILLISECOND else _DAY
    return length, snapshot.timestamp_ms // length


def _is_increment(snapshot: Snapshot) -> bool:
    """Whether a snapshot is an increment, a fence or a rewrite of files. None of them removes rows."""
    return not _is_version(snapshot) or _says(snapshot, properties.CHANGE) == properties.INCREMENT


def _is_version(snapshot: Snapshot) -> bool:
    """Whether the rows may differ from those of the previous snapshot."""
    is_rewrite = _says(snapshot, properties.MAINTENANCE) == properties.REWRITE
    return not is_rewrite and _says(snapshot, properties.FENCED_RUN) is None


def _is_append(snapshot: Snapshot) -> bool:
    return snapshot.summary is not None and snapshot.summary.operation == Operation.APPEND


def _says(snapshot: Snapshot, name: str) -> str | None:
    return snapshot.summary[name] if snapshot.summary is not None else None
