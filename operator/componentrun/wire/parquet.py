"""Where the rows of an Iceberg table are: Parquet files, and the files that name deleted rows of them.

Part of stage-in's plan, so plain frozen dataclasses (see `agents`). The loader and the command line fill in the same,
with `url` and `path` alike, where they reach the store with keys. How it becomes SQL: `sql.scan`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ParquetColumn", "ParquetFile", "ParquetTable"]


@dataclass(frozen=True, slots=True)
class ParquetColumn:
    """A column as it stands in the table's current schema."""

    name: str
    id: int
    """Field id: files name columns by it, whatever they were called when they were written."""
    type: str
    """Iceberg's type as text: `string`, `long`, `decimal(38,9)`."""


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A file of rows, or of positions of deleted rows."""

    url: str = field(repr=False)
    """What it is read by: a signed URL, `s3://bucket/key` or a local path."""
    path: str
    """`s3://bucket/key`: delete files name data files like this, and messages do."""
    size: int
    """Bytes."""
    rows: int = 0
    """Rows in a data file, deleted ones included."""
    deletes: tuple[int, ...] = ()
    """Which of the table's delete files may name this data file."""


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """The rows of a table as of one snapshot."""

    columns: tuple[ParquetColumn, ...]
    """Without `_timestamp`."""
    files: tuple[ParquetFile, ...]
    """In the order of the rows."""
    deletes: tuple[ParquetFile, ...] = ()
    """Parquet files with `file_path` and `pos` of deleted rows."""
    timestamp_id: int | None = None
    """Field id of `_timestamp`; None: the table has none."""
    after: int | None = None
    """Only rows whose `_timestamp` (microseconds since 1970) is greater, or not known; None: all rows."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in (*self.files, *self.deletes))
