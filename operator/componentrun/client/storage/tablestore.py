"""The interface to the tables of a Storage. `catalogtables.CatalogTables` implements it.

Every method raises only errors of `componentrun.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from componentrun.client.storage.progress import Progress
    from componentrun.csv.columnfacts import ColumnFacts

__all__ = [
    "ColumnInfo",
    "EventAnswer",
    "FilesRewritten",
    "Preview",
    "QueryAnswer",
    "TableDetails",
    "TableInfo",
    "TableStore",
    "TableVersion",
]


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table."""

    id: str
    columns: tuple[str, ...]
    primary_key: tuple[str, ...]
    rows: int | None
    """Number of rows; None if it is not known."""
    bytes: int | None
    version: int
    changed: datetime | None
    changed_by: str
    """Uid of the run, or the program that wrote it."""


@dataclass(frozen=True, slots=True)
class FilesRewritten:
    """Result of rewriting the files of a table."""

    table: str
    outcome: str
    """`rewritten`, `wouldRewrite`, `notNeeded`, `changedMeanwhile`, `unsupported` or `tooLarge`."""
    reason: str
    """Reason, if it is `unsupported`."""
    files: int
    """Number of replaced files, including delete files."""
    new_files: int
    bytes: int
    """Size of the replaced files."""
    new_bytes: int


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One version of a table."""

    number: int
    time: datetime
    what: str
    """Operation: `load`, `increment`, `restore of 3`, `drop`, or Iceberg's operation of another program."""
    rows: int | None
    """Number of rows; None if it is not known."""
    bytes: int | None
    run: str
    """Uid of the run; a generated one if it was no run."""
    attempt: int
    who: str | None
    """User who did it by hand; None if it was a run, or is not known."""
    title: str = ""
    """namespace/name of the run, or the other program; empty if not known."""
    snapshot: str | None = None
    """Id of the snapshot in the catalog; None if the table was never written."""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column of a table."""

    name: str
    type: str | None
    """None: text."""


@dataclass(frozen=True, slots=True)
class TableDetails:
    """Details of a table."""

    id: str
    catalog_name: str
    """Namespace and name in the catalog, as other engines use them."""
    columns: tuple[ColumnInfo, ...]
    primary_key: tuple[str, ...]
    created: datetime
    current: TableVersion
    files: int
    """Number of data files."""
    delete_files: int
    """Number of files with deletes."""
    kept: tuple[int, ...]
    """Earlier versions that can be restored."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class QueryAnswer(Protocol):
    """A query that is prepared and not run yet."""

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


class EventAnswer(Protocol):
    """A query over the table of events that is prepared and not run yet."""

    @property
    def answer(self) -> QueryAnswer:
        """The query."""

    @property
    def until(self) -> datetime | None:
        """Events of runs that ended before this time are in the table; None: nothing was appended yet."""


class TableStore(Protocol):
    """The tables of one Storage."""

    @property
    def storage(self) -> str:
        """Name of the Storage object."""

    def all(self, bucket: str | None = None) -> list[TableInfo]:
        """All tables, or those of one bucket (`in.c-main`). Tables that have no id are other programs' and left out."""

    def put(
        self,
        file: Path,
        table: str,
        *,
        incremental: bool,
        primary_key: Sequence[str],
        progress: Progress,
        schema: Sequence[ColumnFacts] = (),
    ) -> TableInfo:
        """Load a CSV file with a header line into a table, at once. Without a schema, new columns are text."""

    def get(self, table: str, target: IO[bytes], progress: Progress) -> TableInfo:
        """Write a table as CSV with a header line; its rows and bytes as they are there, without the header."""

    def head(self, table: str, rows: int) -> Preview:
        """The first rows of a table."""

    def export(self, table: str, target: Path, *, text: bool) -> int:
        """Write a table to a Parquet file, all columns as text where asked; how many rows it has."""

    def details(self, table: str) -> TableDetails:
        """All that is known of a table."""

    def history(self, table: str, limit: int) -> list[TableVersion]:
        """Versions of a table, also of one that was dropped, the newest first, at most `limit` of them."""

    def restore(self, table: str, version: int, *, who: str) -> TableInfo:
        """Make an earlier version of a table, also of one that was dropped, the newest one."""

    def remove(self, table: str, *, who: str) -> int | None:
        """Drop a table. Returns the version that restores it; None if the table did not exist."""

    def query(self, query: str) -> AbstractContextManager[QueryAnswer]:
        """Prepare a query over tables, which it calls by their ids in double quotes."""

    def query_events(
        self, query: str, since: datetime | None, until: datetime | None
    ) -> AbstractContextManager[EventAnswer]:
        """Prepare a query over the table `events`, of which only events between two times are visible."""

    def compact(self, table: str, *, dry_run: bool) -> FilesRewritten:
        """Rewrite the files of a table, however few there are."""
