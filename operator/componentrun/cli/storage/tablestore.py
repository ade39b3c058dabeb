"""The border to the tables of a Storage, as the commands see it. `CatalogTables` (catalogtables.py) does it for real.

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

    from componentrun.cli.terminal.progress import Progress

__all__ = [
    "ColumnInfo",
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
    """Rows that a reader gets; None: nobody counted them."""
    bytes: int | None
    version: int
    changed: datetime | None
    changed_by: str
    """Uid of the run, or what else wrote it."""


@dataclass(frozen=True, slots=True)
class FilesRewritten:
    """What became of the files of a table."""

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
    """What made it: `load`, `increment`, `restore of 3`, `drop`; Iceberg's word for what another program did."""
    rows: int | None
    """Rows that a reader gets; None: nobody counted them."""
    bytes: int | None
    run: str
    """Uid of the run; one that was made up where no run stands behind it."""
    attempt: int
    who: str | None
    """The person who did it by hand; None: a run did it, or nobody said."""
    title: str = ""
    """namespace/name of the run, or the other program that did it; empty: not known."""
    snapshot: str | None = None
    """Id of the snapshot in the catalog; None: nobody has put anything into the table."""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column of a table."""

    name: str
    type: str | None
    """None: text."""


@dataclass(frozen=True, slots=True)
class TableDetails:
    """All that is known of one table."""

    id: str
    catalog_name: str
    """What other engines call it: namespace and name in the catalog."""
    columns: tuple[ColumnInfo, ...]
    primary_key: tuple[str, ...]
    created: datetime
    current: TableVersion
    files: int
    """Of rows."""
    delete_files: int
    """That say which of these rows are deleted."""
    kept: tuple[int, ...]
    """Earlier versions that can be restored."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


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
    ) -> TableInfo:
        """Load a CSV file with a header line into a table, at once."""

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
        """Drop a table; the version that brings it back, None where it was not there."""

    def query(self, query: str) -> AbstractContextManager[QueryAnswer]:
        """Prepare a query over tables, which it calls by their ids in double quotes."""

    def compact(self, table: str, *, dry_run: bool) -> FilesRewritten:
        """Rewrite the files of a table, however few there are."""
