"""The history of a table: its snapshots, as people speak of them. Pure.

A version's number is Iceberg's sequence number: it rises with each snapshot of the table. Fences and maintenance's
rewrites have one, too, so numbers may be missing. Versions are kept until maintenance, or another program, expires
their snapshots.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.loader.catalog import properties
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
    """Its id."""
    time: datetime
    what: str
    """`load`, `increment`, `restore of 3`, `drop`; Iceberg's word for what another program did: `append`, `replace`."""
    rows: int | None
    """Rows that a reader gets; None: nobody counted them."""
    bytes: int | None
    """Of its files."""
    run: str
    """Uid; empty: another program did it."""
    attempt: int
    title: str
    """namespace/name of the run, or the name of the other program."""
    who: str | None
    """The person who did it by hand."""
    primary_key: tuple[str, ...] | None
    """None: this snapshot does not say."""

    @property
    def is_drop(self) -> bool:
        """Whether the table was dropped by it."""
        return self.what == properties.DROP


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table, as lists of tables show it."""

    id: str
    columns: tuple[str, ...]
    """Without `_timestamp`."""
    primary_key: tuple[str, ...]
    newest: Version | None
    """None: another program has made the table and put nothing in."""
    changed: datetime


def facts_of(table: TableId, found: Table) -> TableFacts:
    """What the metadata of a table say.

    Raises:
        PlatformError: (PublishFailed) a property of ours can't be read.
    """
    state = read_state(found.metadata, f"`{table}`")
    newest = next(versions_of(found.metadata), None)
    changed = newest.time if newest is not None else _moment(found.metadata.last_updated_ms)
    return TableFacts(str(table), state.names, state.primary_key, newest, changed)


def versions_of(table: TableMetadata) -> Iterator[Version]:
    """Versions of a table, the newest first."""
    snapshot = table.current_snapshot()
    while snapshot is not None:
        parent = table.snapshot_by_id(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id is not None else None
        summary = snapshot.summary
        # Maintenance changes no row: its snapshot is that of its parent.
        is_same = parent is not None and _text(summary, properties.MAINTENANCE) is not None
        if _text(summary, properties.FENCED_RUN) is None and not is_same:
            yield _version(table, snapshot)
        snapshot = parent


def _totals(snapshot: Snapshot | None) -> tuple[int | None, int | None]:
    """Rows that a reader gets, and bytes of all files; None: the snapshot does not say."""
    if snapshot is None:
        return 0, 0
    summary = snapshot.summary
    rows, gone = _number(summary, "total-records"), _number(summary, "total-position-deletes")
    if _number(summary, "total-equality-deletes"):
        rows = None
    return rows - (gone or 0) if rows is not None else None, _number(summary, "total-files-size")


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
    found = summary[name] if summary is not None else None
    return str(found) if found is not None else None


def _number(summary: Summary | None, name: str) -> int | None:
    found = _text(summary, name)
    return int(found) if found is not None and found.isdecimal() else None
