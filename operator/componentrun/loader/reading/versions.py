"""The history of a table as versions, which are the snapshots that changed it. Pure.

The number of a version is the Iceberg sequence number of its snapshot, which increases with each snapshot of the table.
Numbers may be missing: fences and rewrites by maintenance have sequence numbers as well, and loads
(`catalog.thinning`), maintenance and other programs remove snapshots.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.loader.catalog import properties
from componentrun.loader.catalog.lineage import line_of
from componentrun.loader.catalog.state import read_state
from componentrun.loader.reading.scanning import last_change_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot, Summary

    from componentrun.storage.store.keys import TableId

__all__ = ["TableFacts", "Version", "facts_of", "versions_of"]

_ENGINE: Final = "engine-name"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a table."""

    number: int
    snapshot: int
    """Id of the snapshot."""
    time: datetime
    what: str
    """`load`, `increment`, `restore of 3` or `drop`. For other programs, Iceberg's operation, such as `append`."""
    rows: int | None
    """Number of rows that a reader gets; None: the snapshot does not record it."""
    bytes: int | None
    """Size of all files; None: the snapshot does not record it."""
    run: str
    """Uid of the run; empty if another program wrote the snapshot."""
    attempt: int
    title: str
    """namespace/name of the run, or the name of the other program."""
    who: str | None
    """The person who made the change manually."""
    primary_key: tuple[str, ...] | None
    """None: the snapshot does not record it."""

    @property
    def is_drop(self) -> bool:
        """Whether this version dropped the table."""
        return self.what == properties.DROP


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Facts about a table for lists of tables."""

    id: str
    columns: tuple[str, ...]
    """Names of the columns, without `_timestamp`."""
    primary_key: tuple[str, ...]
    newest: Version | None
    """None: another program created the table and has not loaded it."""
    changed: datetime


def facts_of(table: TableId, loaded: Table) -> TableFacts:
    """Read the facts about a table from its metadata.

    Raises:
        PlatformError: (PublishFailed) a property of ComponentRun can't be parsed.
    """
    state = read_state(loaded.metadata, f"`{table}`")
    newest = next(versions_of(loaded.metadata), None)
    changed = newest.time if newest is not None else _moment(loaded.metadata.last_updated_ms)
    return TableFacts(str(table), state.names, state.primary_key, newest, changed)


def versions_of(table: TableMetadata) -> Iterator[Version]:
    """Versions of a table, newest first."""
    ids = {snapshot.snapshot_id for snapshot in table.snapshots}
    for snapshot in line_of(table):
        summary = snapshot.summary
        # Maintenance changes no rows, so its snapshot is the same version as its parent.
        is_same = snapshot.parent_snapshot_id in ids and _text(summary, properties.MAINTENANCE) is not None
        if _text(summary, properties.FENCED_RUN) is None and not is_same:
            yield _version(table, snapshot)


def _totals(snapshot: Snapshot | None) -> tuple[int | None, int | None]:
    """Number of rows that a reader gets, and bytes of all files; None: the snapshot does not record it."""
    if snapshot is None:
        return 0, 0
    summary = snapshot.summary
    rows, deleted = _number(summary, "total-records"), _number(summary, "total-position-deletes")
    if _number(summary, "total-equality-deletes"):
        rows = None
    return rows - (deleted or 0) if rows is not None else None, _number(summary, "total-files-size")


def _version(table: TableMetadata, snapshot: Snapshot) -> Version:
    summary = snapshot.summary
    rows, size = _totals(snapshot)
    key = _text(summary, properties.PRIMARY_KEY)
    return Version(
        number=snapshot.sequence_number or 0,
        snapshot=snapshot.snapshot_id,
        time=_moment(last_change_of(table, snapshot)),
        what=_what(summary),
        rows=rows,
        bytes=size,
        run=_text(summary, properties.RUN) or "",
        attempt=_number(summary, properties.ATTEMPT) or 0,
        title=_text(summary, properties.TITLE) or _text(summary, _ENGINE) or "",
        who=_text(summary, properties.WHO),
        primary_key=tuple(json.loads(key)) if key is not None else None,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _what(summary: Summary | None) -> str:
    change = _text(summary, properties.CHANGE)
    if change == properties.RESTORE:
        return f"restore of {_text(summary, properties.RESTORED)}"
    if change is not None:
        return change
    return str(summary.operation.value) if summary is not None else "unknown"


def _text(summary: Summary | None, name: str) -> str | None:
    value = summary[name] if summary is not None else None
    return str(value) if value is not None else None


def _number(summary: Summary | None, name: str) -> int | None:
    text = _text(summary, name)
    return int(text) if text is not None and text.isdecimal() else None
