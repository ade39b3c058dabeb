"""Pointers as the commands tell of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.cli.store import ColumnInfo, TableDetails, TableInfo, TableVersion
from componentrun.storage.compaction import is_due
from componentrun.storage.reading import EVERYTHING, plan_read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.storage.history import KeptVersion
    from componentrun.storage.pointer import Pointer

__all__ = ["details_of", "info_of", "version_of"]


def info_of(pointer: Pointer) -> TableInfo:
    """A table in a list of tables."""
    return TableInfo(
        id=pointer.id,
        columns=pointer.column_names,
        primary_key=pointer.primary_key,
        rows=pointer.rows,
        bytes=pointer.bytes,
        version=pointer.version,
        changed=pointer.last_change,
        changed_by=pointer.committed_by.run,
    )


def details_of(pointer: Pointer, kept: Iterable[KeptVersion]) -> TableDetails:
    """All that is known of a table."""
    mapping = plan_read(pointer, EVERYTHING).mapping
    return TableDetails(
        id=pointer.id,
        columns=tuple(ColumnInfo(column.name, column.type) for column in pointer.columns),
        primary_key=pointer.primary_key,
        created=pointer.created,
        current=version_of(pointer),
        exact=mapping is None or not (mapping.primary_key or any(step.delete for step in mapping.steps)),
        segments=len(pointer.segments),
        slices=len(pointer.slices),
        compaction="due" if is_due(pointer) else "not needed",
        kept=tuple(version.number for version in kept if version.number < pointer.version),
    )


def version_of(pointer: Pointer) -> TableVersion:
    """One version of a table."""
    commit = pointer.committed_by
    return TableVersion(
        number=pointer.version,
        # A compaction leaves the time of the last change as it was.
        time=max(pointer.last_change, commit.time),
        what=_what(pointer),
        rows=pointer.rows,
        bytes=pointer.bytes,
        run=commit.run,
        attempt=commit.attempt,
        who=commit.who,
    )


def _what(pointer: Pointer) -> str:
    if pointer.change == "restore":
        return f"restore of {pointer.restored}"
    if pointer.change != "increment":
        return pointer.change
    own = [segment for segment in pointer.segments if segment.version == pointer.version]
    deleted = ["delete"] if any(segment.delete for segment in own) else []
    added = ["increment"] if any(segment.slices for segment in own) or not deleted else []
    return ", ".join(deleted + added)
