"""A catalog with one table and a store, in memory: what is committed is checked and applied by PyIceberg's own code."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata
from pyiceberg.typedef import Record
from pyiceberg.types import NestedField, StringType

from componentrun.errors import Reason
from componentrun.loader.catalog.catalog import ConflictError
from componentrun.loader.catalog.names import IcebergName
from componentrun.loader.maintenance.objects import Listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.loader.catalog.catalog import TableChange

__all__ = ["NAME", "MemoryLake"]

NAME = IcebergName("out_c_main", "a")
LOCATION = "s3://lake/out_c_main/a"


class MemoryLake(FileIO):
    """The store is `self.objects`, by location; the catalog is `find` and `commit`."""

    def __init__(self, now: float, *, keeps_parents: bool = True) -> None:
        """`keeps_parents`: whether a snapshot names its parent after that was removed, as most catalogs have it."""
        super().__init__({})
        self._keeps_parents = keeps_parents
        self.now = now
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.settings: Any = None
        self._table = new_table_metadata(
            Schema(NestedField(1, "v", StringType(), required=False)),
            UNPARTITIONED_PARTITION_SPEC,
            UNSORTED_SORT_ORDER,
            LOCATION,
            {"componentrun.created": datetime.fromtimestamp(now, UTC).isoformat()},
        )
        self.versions = 0
        self._write_metadata()

    def find(self, _: IcebergName) -> Table:
        location = f"{LOCATION}/metadata/v{self.versions}.metadata.json"
        return Table(("out_c_main", "a"), self._table, location, self, SimpleNamespace())  # type: ignore[arg-type]

    def commit(self, changes: Sequence[TableChange]) -> None:
        for requirement in changes[0]._requirements:
            try:
                requirement.validate(self._table)
            except CommitFailedException as error:
                raise ConflictError(str(error), Reason.PUBLISH_FAILED) from None
        updated = update_table_metadata(self._table, tuple(changes[0]._updates))
        # Snapshots are as old as the test wants them, not as the test itself.
        added = {found.snapshot_id for found in updated.snapshots} - {
            found.snapshot_id for found in self._table.snapshots
        }
        moment = int(self.now * 1000)
        snapshots = [
            found.model_copy(update={"timestamp_ms": moment}) if found.snapshot_id in added else found
            for found in updated.snapshots
        ]
        if self._keeps_parents:
            parents = {found.snapshot_id: found.parent_snapshot_id for found in self._table.snapshots}
            snapshots = [
                found.model_copy(
                    update={"parent_snapshot_id": parents.get(found.snapshot_id, found.parent_snapshot_id)}
                )
                for found in snapshots
            ]
        log = [
            entry.model_copy(update={"timestamp_ms": moment}) if entry.snapshot_id in added else entry
            for entry in updated.snapshot_log
        ]
        self._table = updated.model_copy(update={"snapshots": snapshots, "snapshot_log": log})
        self._write_metadata()

    def upload(self, location: str, size: int = 1) -> DataFile:
        """A data file of the table."""
        self.objects[location] = (b"x" * size, self.now)
        return data_file(location, DataFileContent.DATA)

    def fetch(self, *_: Any) -> list[str]:
        raise AssertionError("no file is read here")

    def heads(self, locations: Sequence[str], size: int) -> list[bytes]:
        return [self.objects[location][0][:size] for location in locations]

    def list_below(self, location: str) -> Iterator[list[Listed]]:
        yield [
            Listed(name, len(data), datetime.fromtimestamp(changed, UTC))
            for name, (data, changed) in list(self.objects.items())
            if name.startswith(location)
        ]

    def delete(self, locations: Any) -> None:
        for location in [locations] if isinstance(locations, str) else locations:
            self.objects.pop(location, None)

    def new_input(self, location: str) -> InputFile:
        return _Input(location, self)

    def new_output(self, location: str) -> OutputFile:
        return _Output(location, self)

    def _write_metadata(self) -> None:
        self.versions += 1
        content = json.dumps({"table-uuid": str(self._table.table_uuid)}).encode()
        self.objects[f"{LOCATION}/metadata/v{self.versions}.metadata.json"] = (content, self.now)


def data_file(location: str, content: DataFileContent) -> DataFile:
    return DataFile.from_args(
        content=content, file_path=location, file_format=FileFormat.PARQUET, partition=Record(), record_count=1,
        file_size_in_bytes=1, spec_id=0,
    )  # fmt: skip


class _Input(InputFile):
    def __init__(self, location: str, lake: MemoryLake) -> None:
        super().__init__(location)
        self._lake = lake

    def __len__(self) -> int:
        return len(self._lake.objects[self.location][0])

    def exists(self) -> bool:
        return self.location in self._lake.objects

    def open(self, seekable: bool = True) -> Any:  # noqa: ARG002
        return io.BytesIO(self._lake.objects[self.location][0])


class _Output(OutputFile):
    def __init__(self, location: str, lake: MemoryLake) -> None:
        super().__init__(location)
        self._lake = lake

    def __len__(self) -> int:
        return 0

    def exists(self) -> bool:
        return False

    def to_input_file(self) -> InputFile:
        return _Input(self.location, self._lake)

    def create(self, overwrite: bool = False) -> Any:  # noqa: ARG002
        lake, location = self._lake, self.location

        class Written(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    lake.objects[location] = (self.getvalue(), lake.now)
                super().close()

        return Written()
