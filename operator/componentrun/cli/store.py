"""The border to Storage, as the commands see it. `ObjectStore` (objects.py) does it for real; tests have one in memory.

Every method raises only errors of `componentrun.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta
    from pathlib import Path

    from componentrun.cli.filestore import FileStore
    from componentrun.cli.progress import Progress
    from componentrun.storage.eventquery import EventQuery
    from componentrun.storage.events import Placed
    from componentrun.storage.eventsweep import SweptEvents
    from componentrun.storage.retention import Retention
    from componentrun.storage.rewriting import Compacted
    from componentrun.storage.settings import StoreSettings
    from componentrun.storage.state import StateOwner
    from componentrun.storage.sweep import Swept

__all__ = [
    "Check",
    "ColumnInfo",
    "Engine",
    "EventFeed",
    "EventRecord",
    "FilesRewritten",
    "KeptFile",
    "Preview",
    "QueryAnswer",
    "Store",
    "TableDetails",
    "TableInfo",
    "TableVersion",
]


class Engine(StrEnum):
    """What can attach a catalog."""

    DUCKDB = "duckdb"
    SPARK = "spark"
    TRINO = "trino"
    PYICEBERG = "pyiceberg"


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table of Storage."""

    id: str
    columns: tuple[str, ...]
    primary_key: tuple[str, ...]
    rows: int | None
    """Rows as loaded; where there is a primary key, or rows were deleted, a reader may see fewer, unless `exact`. None:
    nobody counted them."""
    bytes: int | None
    version: int
    changed: datetime | None
    changed_by: str
    """Uid of the run, or what else wrote it."""
    exact: bool = False
    """Whether a reader sees as many rows."""


@dataclass(frozen=True)
class FilesRewritten:
    """What became of the files of a table in a catalog."""

    table: str
    outcome: str
    """`rewritten`, `wouldRewrite`, `notNeeded`, `changedMeanwhile`, `unsupported` or `tooLarge`."""
    reason: str
    """Why it is `unsupported`."""
    files: int
    """That are gone, files of deleted rows included."""
    new_files: int
    bytes: int
    """Of the files that are gone."""
    new_bytes: int


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One version of a table."""

    number: int
    time: datetime
    what: str
    """What made it: `load`, `increment`, `delete`, `delete, increment`, `compaction`, `restore of 3`, `drop`."""
    rows: int | None
    """As loaded, see `TableInfo`."""
    bytes: int | None
    run: str
    """Uid of the run; one that was made up where no run stands behind it."""
    attempt: int
    who: str | None
    """The person who did it by hand; None: a run did it, or nobody said."""
    title: str = ""
    """namespace/name of the run, or the other program that did it; empty: not known."""
    snapshot: str | None = None
    """Id of the snapshot in a catalog."""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column of a table."""

    name: str
    type: str | None
    """None: nobody said; text."""


@dataclass(frozen=True, slots=True)
class TableDetails:
    """All that is known of one table."""

    id: str
    columns: tuple[ColumnInfo, ...]
    primary_key: tuple[str, ...]
    created: datetime
    current: TableVersion
    exact: bool
    """Whether a reader sees as many rows as were loaded."""
    segments: int
    slices: int
    compaction: str
    """`due`: maintenance will write its segments anew, as one; `not needed`."""
    kept: tuple[int, ...]
    """Earlier versions that can be restored, unless slices of them are gone."""
    catalog_name: str | None = None
    """What other engines call it: namespace and name in the catalog. None: it is in no catalog, and has segments and
    slices; else files and delete files."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event of a run."""

    seq: int
    time: datetime
    type: str
    message: str
    source: str
    raw: dict[str, Any] = field(default_factory=dict)
    """The whole event, for programs."""
    run: str = ""
    """Name of its run; the uid where nobody knows the name."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file that a run left beside its tables: `out/result.json`, or an artifact."""

    path: str
    """Below the data folder."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that `doctor` looked at."""

    what: str
    state: str
    """`ok`, `warn` or `fail`."""
    message: str = ""
    """What was found."""
    hint: str = ""
    """What to do about it."""


class QueryAnswer(Protocol):
    """A query that was understood and not run yet."""

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Name and DuckDB's type of each."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns of the tables that can't be read."""

    def rows(self, limit: int | None) -> list[tuple[str | None, ...]]:
        """The first rows (all of them if `limit` is None), as text; None for a missing value."""

    def save(self, form: str, limit: int | None) -> tuple[str, int]:
        """Write the rows as `csv`, `json` or `parquet` to a temporary file; its path and the number of rows."""


class EventFeed(Protocol):
    """A run's events, each once."""

    def read(self) -> Iterator[EventRecord]:
        """Events that are there now and were not read yet."""


class Store(Protocol):
    """One Storage."""

    @property
    def name(self) -> str:
        """Name of the Storage object."""

    @property
    def files(self) -> FileStore:
        """Its files."""

    def tables(self, bucket: str | None = None) -> list[TableInfo]:
        """All tables, or those of one bucket (`in.c-main`)."""

    def put(
        self,
        file: Path,
        table: str,
        *,
        incremental: bool,
        primary_key: Sequence[str],
        progress: Progress,
    ) -> TableInfo:
        """Load a CSV file with a header line into a table, at once."""

    def get(self, table: str, target: IO[bytes], progress: Progress) -> TableInfo:
        """Write a table as CSV with a header line."""

    def head(self, table: str, rows: int) -> Preview:
        """The first rows of a table."""

    def export(self, table: str, target: Path, *, text: bool) -> int:
        """Write a table to a Parquet file, all columns as text where asked; how many rows it has."""

    def details(self, table: str) -> TableDetails:
        """All that is known of a table."""

    def history(self, table: str, limit: int) -> list[TableVersion]:
        """Versions of a table, also of one that was dropped, the newest first, at most `limit` numbers back."""

    def restore(self, table: str, version: int, *, who: str) -> TableInfo:
        """Make an earlier version of a table, also of one that was dropped, the newest one."""

    def remove(self, table: str, *, who: str) -> int | None:
        """Drop a table; the version that brings it back, None where it was not there."""

    def query(self, query: str) -> AbstractContextManager[QueryAnswer]:
        """Prepare a query over tables, which it calls by their ids in double quotes."""

    def catalog_access(self) -> StoreSettings:
        """How to reach the store and the catalog."""

    def state(self, owner: StateOwner) -> dict[str, Any]:
        """What a configuration remembers; empty where it remembers nothing."""

    def inputs(self, owner: StateOwner) -> dict[str, Any]:
        """How far a configuration has read the tables that it reads by `adaptive`: version and creation, by id."""

    def put_state(self, owner: StateOwner, state: dict[str, Any]) -> None:
        """Replace a configuration's saved state."""

    def remove_state(self, owner: StateOwner) -> bool:
        """Delete a configuration's saved state; return whether there was any."""

    def kept(self, run: str, attempt: int) -> list[KeptFile]:
        """What an attempt of a run (by its uid) left beside its tables."""

    def get_kept(self, run: str, attempt: int, path: str, target: IO[bytes]) -> None:
        """Write one such file."""

    def events(self, run: str, query: EventQuery | None = None, limit: int | None = None) -> EventFeed:
        """The events of a run, by its uid: those that fit, to begin with the last `limit` of them."""

    def last_events(self, query: EventQuery, limit: int) -> list[EventRecord]:
        """The last events of all runs that fit, at most `limit`, the oldest of them first."""

    def export_events(self, target: Path, query: EventQuery, run: str | None, limit: int | None) -> int:
        """Write events to a Parquet file, those of one run (by its uid) or of all; how many there are."""

    def event(self, event_id: str) -> Placed:
        """The event with an id."""

    def sweep(self, keep: timedelta | None, history: timedelta | None, *, dry_run: bool) -> Swept:
        """Delete what nobody needs any more; None: the usual times."""

    def sweep_events(self, retention: Retention, existing: Collection[str], *, dry_run: bool) -> SweptEvents:
        """Delete events of runs that are over, or do not exist any more, and have been kept for long enough."""

    def compact(self, table: str, *, dry_run: bool) -> Compacted | FilesRewritten:
        """Write a table anew."""

    def check(self) -> list[Check]:
        """Whether the store can do what ComponentRun needs, with these keys, from here."""
