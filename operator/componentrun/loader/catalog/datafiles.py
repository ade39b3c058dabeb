"""Upload local Parquet files to the store and describe them as Iceberg data files."""

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


def store_file(
    table: Table,
    local: Written,
    content: DataFileContent = DataFileContent.DATA,
    partition: Record | None = None,
) -> DataFile:
    """Upload a file below the table's location, and delete the local one.

    Args:
        table: the current state of the table.
        local: the local file.
        content: data, or positions of deleted rows.
        partition: the file's partition; None: the table has no partitions.

    Raises:
        ComponentRunError: the store refused the request or does not respond.
    """
    ending = "-deletes.parquet" if content == DataFileContent.POSITION_DELETES else ".parquet"
    location = f"{table.location().rstrip('/')}/data/{uuid.uuid4()}{ending}"
    cast("LakeFiles", table.io).upload(location, local.path)
    Path(local.path).unlink()
    return DataFile.from_args(
        content=content,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=partition or Record(),
        record_count=local.rows,
        file_size_in_bytes=local.size,
        spec_id=table.metadata.default_spec_id,
    )
