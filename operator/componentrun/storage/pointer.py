"""What a table is, and what a load makes of it. Pure: no store, no clock.

A table is a small document, its pointer. It names the columns and, in order, the segments whose slices hold the rows:
headerless CSV, every slice ending with a newline. Loading never copies or changes a slice; it writes another pointer.
Every change of the pointer is a version of the table, also that which drops the table: its pointer stays, without rows,
so that versions count on.
A segment may also say which rows of those before it were deleted.

Columns are found by name: each segment keeps the columns it was written with, and where a later segment brought further
columns, the earlier rows have the empty string there.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final, Literal

from pydantic import Field

from componentrun.columnnames import listed, resembling
from componentrun.errors import Reason, UserError
from componentrun.storage.columns import Column, merged_columns, type_conflict
from componentrun.storage.document import StorageModel

__all__ = [
    "POINTER_FORMAT",
    "RECENT_COMMITS",
    "Change",
    "Commit",
    "Condition",
    "Origin",
    "Pointer",
    "Segment",
    "Slice",
    "TableLoad",
    "apply_load",
    "check_load",
    "merge_load",
    "remember",
]

POINTER_FORMAT: Final = 1
RECENT_COMMITS: Final = 100
"""Run uids that a pointer remembers: an interrupted commit is known again unless that many others came since."""


class Slice(StorageModel):
    """One immutable object of headerless CSV."""

    key: str
    size: int
    """Bytes of the rows; never 0."""
    rows: int
    etag: str
    """In quotes, as HTTP carries it."""
    version: str | None = None
    """Of the object, in a bucket that keeps versions: readers ask for this one, so that whoever still holds the grant
    that wrote it changes nothing by writing over it. None: the bucket kept none."""
    encoding: Literal["gzip", "zstd"] | None = None
    """How the object holds the rows; None: as they are."""
    stored: int | None = None
    """Bytes of the object, where it is encoded."""

    @property
    def stored_size(self) -> int:
        """Bytes of the object."""
        return self.size if self.stored is None else self.stored


class Condition(StorageModel):
    """Which rows a run deleted: by the values of one column, as text."""

    column: str
    operator: Literal["eq", "ne"] = "eq"
    values: tuple[str, ...]


class Origin(StorageModel):
    """Rows of a compacted segment that came with one load."""

    time: datetime
    """When it was committed; never earlier than that of the origin before."""
    version: int | None = None
    """The table's version that brought them, as of a segment."""
    rows: int
    """How many of its rows are left; never 0."""


class Segment(StorageModel):
    """Rows that one run added, or the condition by which it deleted rows of the segments before.

    The first segment may be a compacted one: what the first segments of a table were, keys and deletions resolved.
    """

    kind: Literal["rows", "delete"] = "rows"
    run: str
    attempt: int
    time: datetime | None = None
    """When it was committed; never earlier than that of the segment before. Of a compacted one: its last load's."""
    version: int | None = None
    """The table's version that brought it: whoever has seen that version or a later one has seen these rows. What is
    brought back from an earlier version counts as brought anew. None: not known, so nobody has seen it."""
    columns: tuple[str, ...] = ()
    """As they stand in the slices."""
    slices: tuple[Slice, ...] = ()
    delete: Condition | None = None
    origins: tuple[Origin, ...] = ()
    """Of a compacted segment: when its rows came, in their order. Empty: with this run."""
    insert: bool = False
    """Whether its rows replace none that agree in the primary key."""

    @property
    def rows(self) -> int:
        """Rows in its slices."""
        return sum(part.rows for part in self.slices)

    @property
    def replaces_none(self) -> bool:
        """Whether no row of it replaces another one: they were inserted, or it was resolved when it was compacted."""
        return self.insert or bool(self.origins)

    def brought_anew(self, time: datetime, version: int) -> Segment:
        """The same, as if all of it had come then; it stays compacted where it was."""
        origins = (Origin(time=time, version=version, rows=self.rows),) if self.origins else ()
        return self.model_copy(update={"time": time, "version": version, "origins": origins})


class Commit(StorageModel):
    """Who changes a table, and when."""

    run: str
    """Run uid; one that was made up where no run stands behind the change."""
    attempt: int
    time: datetime
    who: str | None = None
    """The person who did it by hand; None: a run did it, or nobody said."""


Change = Literal["load", "increment", "compaction", "restore", "drop"]
"""How a version came out of the one before: all rows were replaced, some were added (or deleted), the same rows were
written anew, an earlier version came back, the table was dropped."""


class TableLoad(StorageModel):
    """What one run brings for one table."""

    table: str
    """Table id."""
    source: str = ""
    """File that the component wrote; for messages."""
    columns: tuple[str, ...]
    primary_key: tuple[str, ...] = ()
    """Empty: an incremental load keeps the table's."""
    incremental: bool = False
    slices: tuple[Slice, ...] = ()
    delete_where: Condition | None = None
    """Rows of the table that go before these come; without effect where the load replaces them all."""
    described: tuple[Column, ...] = ()
    """Columns of which the load says something."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """What the load says of the table as a whole."""
    insert: bool = False
    """Whether its rows replace none that agree in the primary key."""

    @property
    def rows(self) -> int:
        """Rows of data."""
        return sum(part.rows for part in self.slices)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.size for part in self.slices)


class Pointer(StorageModel):
    """The whole state of a table: `table.json`."""

    format: int = POINTER_FORMAT
    id: str
    """Table id."""
    version: int
    """1 for the first load, one more for each after it."""
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    """A later row replaces earlier ones that agree in these, unless it was inserted. Resolved by readers."""
    segments: tuple[Segment, ...] = ()
    rows: int
    """Rows in the slices: where there is a primary key, or rows were deleted, an upper bound of what a reader sees."""
    bytes: int
    """Bytes in the slices."""
    created: datetime
    last_change: datetime
    committed_by: Commit
    change: Change = "load"
    restored: int | None = None
    """The version that came back; None: `change` is something else."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """What its writers said of the table as a whole; a later word replaces an earlier one of the same key."""
    recent_commits: tuple[str, ...] = ()
    """Uids of the last runs that changed this table, newest first."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def slices(self) -> tuple[Slice, ...]:
        """All slices in the order of the rows."""
        return tuple(part for segment in self.segments for part in segment.slices)

    @property
    def dropped(self) -> bool:
        """Whether this only tells that there was a table."""
        return self.change == "drop"

    def has_commit(self, run: str) -> bool:
        """Whether this run's load is in the table already."""
        return run in self.recent_commits or any(segment.run == run for segment in self.segments)


def check_load(pointer: Pointer | None, load: TableLoad) -> None:
    """Whether a load fits its table.

    Columns may stand in any order and be added (they come behind the existing ones, where the load is incremental),
    never removed or renamed; a primary key consists of columns, and an incremental load can't change it.

    Raises:
        UserError: (OutputInvalid) it doesn't; the message names table, file, columns, and what to do.
    """
    told = f"{load.table}: `{load.source}`" if load.source else load.table
    _check_names(told, load)
    if load.delete_where is not None and load.delete_where.column not in load.columns:
        raise UserError(
            f"{told} deletes rows by the column `{load.delete_where.column}`, which is not among its columns "
            f"{listed(load.columns)}",
            Reason.OUTPUT_INVALID,
        )
    if pointer is None or pointer.dropped:
        return
    existing = pointer.column_names
    brought = frozenset(load.columns)
    missing = [name for name in existing if name not in brought]
    if missing:
        raise UserError(
            f"{told} lacks {_columns(missing)} of the table; found {listed(load.columns)}"
            f"{resembling(missing[0], load.columns)}. Columns may be added, not removed or renamed: write the missing "
            "ones (empty where there is no value), or delete the table first",
            Reason.OUTPUT_INVALID,
        )
    if not load.incremental:
        return
    if (conflict := type_conflict(pointer.columns, load.described)) is not None:
        raise UserError(f"{told} {conflict}; leave the type out, or load the table in full once", Reason.OUTPUT_INVALID)
    if load.primary_key and set(load.primary_key) != set(pointer.primary_key):
        raise UserError(
            f"{told} has the primary key {listed(load.primary_key)}, the table has {listed(pointer.primary_key)}; "
            "an incremental load can't change it: leave it out, or load the table in full once",
            Reason.OUTPUT_INVALID,
        )


def _check_names(told: str, load: TableLoad) -> None:
    if not load.columns or "" in load.columns:
        raise UserError(
            f"{told} has {'a column without a' if load.columns else 'no column'} name", Reason.OUTPUT_INVALID
        )
    repeated = sorted(name for name, times in Counter(load.columns).items() if times > 1)
    if repeated:
        raise UserError(f"{told} has {_columns(repeated)} more than once", Reason.OUTPUT_INVALID)
    strange = [name for name in load.primary_key if name not in load.columns]
    if strange:
        raise UserError(
            f"{told} has {_columns(strange)} in its primary key, but not among its columns {listed(load.columns)}"
            f"{resembling(strange[0], load.columns)}",
            Reason.OUTPUT_INVALID,
        )


def merge_load(pointer: Pointer | None, load: TableLoad, commit: Commit, version: int | None = None) -> Pointer:
    """The table after a load. Never refuses: what has been decided in a journal must be carried out.

    Where somebody else changed the table's columns between `check_load` and this, the table has the columns of both.
    The version is given where several loads are one change.
    """
    if version is None:
        version = pointer.version + 1 if pointer is not None else 1
    there = pointer if pointer is not None and not pointer.dropped else None
    names = load.columns
    primary_key = tuple(dict.fromkeys(load.primary_key))
    segments: tuple[Segment, ...] = ()
    if there is not None and load.incremental:
        # The operator does this, and nothing else meanwhile: a table may have tens of thousands of columns.
        names = tuple(dict.fromkeys((*there.column_names, *load.columns)))
        primary_key = there.primary_key
        segments = there.segments
    time = max(commit.time, pointer.last_change) if pointer is not None else commit.time
    segments += _added(load, commit, time, version, empty=not segments)
    slices = [part for segment in segments for part in segment.slices]
    before = there.columns if there is not None else ()
    return Pointer(
        id=load.table,
        version=version,
        columns=merged_columns(names, before, load.described, full=not load.incremental),
        primary_key=primary_key,
        segments=segments,
        rows=sum(part.rows for part in slices),
        bytes=sum(part.size for part in slices),
        created=there.created if there is not None else commit.time,
        last_change=time,
        committed_by=commit,
        change="increment" if there is not None and load.incremental else "load",
        metadata={**(there.metadata if there is not None else {}), **load.metadata},
        recent_commits=remember(pointer, commit.run),
    )


def _added(load: TableLoad, commit: Commit, time: datetime, version: int, *, empty: bool) -> tuple[Segment, ...]:
    """The segments that a load brings: first what it deletes, then its rows."""
    who = {"run": commit.run, "attempt": commit.attempt, "time": time, "version": version}
    found = []
    if load.delete_where is not None and not empty:
        found.append(Segment(kind="delete", delete=load.delete_where, **who))
    if load.slices:
        found.append(Segment(columns=load.columns, slices=load.slices, insert=load.insert, **who))
    return tuple(found)


def apply_load(pointer: Pointer | None, load: TableLoad, commit: Commit) -> Pointer:
    """The table after a load that fits it: full replaces its rows, incremental adds to them.

    Raises:
        UserError: (OutputInvalid) see `check_load`.
    """
    check_load(pointer, load)
    return merge_load(pointer, load, commit)


def remember(pointer: Pointer | None, run: str) -> tuple[str, ...]:
    """The runs that a table's next version knows, newest first."""
    before = pointer.recent_commits if pointer is not None else ()
    return (run, *(other for other in before if other != run))[:RECENT_COMMITS]


def _columns(names: list[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {listed(names)}"
