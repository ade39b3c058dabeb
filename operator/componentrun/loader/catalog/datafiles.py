"""Local Parquet files into the store, as Iceberg describes them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from componentrun.loader.catalog.fileio import LakeFiles
    from componentrun.loader.loading.rows import Written

__all__ = ["store_file"]


def store_file(table: Table, written: Written, content: DataFileContent = DataFileContent.DATA) -> DataFile:
    """Store a file below the table's location; the local one is deleted.

    Raises:
        ComponentRunError: the store refused or is away.
    """
    ending = "-deletes.parquet" if content == DataFileContent.POSITION_DELETES else ".parquet"
    location = f"{table.location().rstrip('/')}/data/{uuid.uuid4()}{ending}"
    cast("LakeFiles", table.io).upload(location, written.path)
    Path(written.path).unlink()
    return DataFile.from_args(
        content=content,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=written.rows,
        file_size_in_bytes=written.size,
        spec_id=table.metadata.default_spec_id,
    )
