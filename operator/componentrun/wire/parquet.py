"""The files of an Iceberg table: Parquet files with its rows, and files with positions of deleted rows.

Part of stage-in's plan, so plain frozen dataclasses (see `agents`). The loader and the command line, which access the
store with keys, use the same classes with equal `url` and `path`. `sql.scan` turns them into SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ParquetColumn", "ParquetFile", "ParquetTable"]


@dataclass(frozen=True, slots=True)
class ParquetColumn:
    """A column of the table's current schema."""

    name: str
    id: int
    """Field id, which identifies the column in files, whatever its name was when they were written."""
    type: str
    """Iceberg's type as text: `string`, `long`, `decimal(38,9)`."""


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A file of rows, or of positions of deleted rows."""

    url: str = field(repr=False)
    """Location for reading: a signed URL, `s3://bucket/key` or a local path."""
    path: str
    """`s3://bucket/key`, as in delete files and in messages."""
    size: int
    """Bytes."""
    rows: int = 0
    """Number of rows in a data file, including deleted ones."""
    deletes: tuple[int, ...] = ()
    """Delete files of the table that may refer to this data file."""


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """The rows of a table in one snapshot."""

    columns: tuple[ParquetColumn, ...]
    """Columns, without `_timestamp`."""
    files: tuple[ParquetFile, ...]
    """Files in the order of the rows."""
    deletes: tuple[ParquetFile, ...] = ()
    """Parquet files with `file_path` and `pos` of deleted rows."""
    timestamp_id: int | None = None
    """Field id of `_timestamp`; None: the table has none."""
    after: int | None = None
    """Only rows whose `_timestamp` (microseconds since 1970) is greater or unknown; None: all rows."""

    @property
    def size(self) -> int:
        """Total size of the files in bytes."""
        return sum(file.size for file in (*self.files, *self.deletes))
