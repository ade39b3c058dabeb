"""Upload like stage-out, load, and read tables, with the real loader, store and catalog."""

from __future__ import annotations

import asyncio
import csv
import io
import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.loading.load import load
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.sql.query import load_httpfs
from componentrun.sql.tables import quoted
from componentrun.storage.access.grants import Signer
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.places import encode
from componentrun.wire.agents import SliceWritten, TableWritten, Where
from componentrun.wire.loader import FenceRequest, LoadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.loader import LoadedTable, TableScan
    from tests.integration.lake_space import LakeSpace

__all__ = ["Bench", "read_plainly"]

Rows = "Sequence[Sequence[str]]"


@dataclass
class Bench:
    """A Storage, and runs that load into it."""

    space: LakeSpace
    scratch: Path
    catalog_uri: str | None = None
    """URL of a gateway in front of the catalog."""
    endpoint: str | None = None
    """URL of a gateway in front of the store."""
    settings: StoreSettings = field(init=False)

    def __post_init__(self) -> None:
        access = self.space.catalog
        self.settings = replace(
            self.space.settings,
            endpoint=self.endpoint or self.space.settings.endpoint,
            catalog=CatalogSettings(
                uri=self.catalog_uri or access.uri,
                warehouse=access.warehouse,
                namespace_prefix=self.space.namespace_prefix,
                client_id=access.client_id,
                client_secret=access.client_secret,
                name="main",
            ),
        )
        self.catalog = Catalog(self.settings)

    def table(
        self,
        run: str,
        destination: str,
        columns: Sequence[str],
        rows: Rows,
        *,
        key: Sequence[str] = (),
        incremental: bool = False,
        delete: Where | None = None,
        attempt: int = 1,
        slices: int = 1,
        **more: Any,
    ) -> TableWritten:
        """Upload rows like stage-out."""
        return asyncio.run(
            self._table(run, destination, columns, rows, key, incremental, delete, attempt, slices, more)
        )

    async def _table(
        self, run: str, destination: str, columns: Sequence[str], rows: Any, key: Sequence[str], incremental: bool,
        delete: Where | None, attempt: int, count: int, more: dict[str, Any],
    ) -> TableWritten:  # fmt: skip
        store = open_store(self.settings)
        prefix = store.layout.data(run, attempt)
        written = []
        for number in range(count):
            part = rows[number * len(rows) // count : (number + 1) * len(rows) // count]
            text = io.StringIO()
            csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(part)
            data = text.getvalue().encode()
            if data:
                object_key = f"{prefix}{uuid.uuid4().hex}"
                written.append(SliceWritten(object_key, len(data), len(part), await store.put(object_key, data)))
        return TableWritten(
            source=f"{destination}.csv",
            destination=destination,
            columns=tuple(columns),
            primary_key=tuple(key),
            incremental=incremental,
            write_always=False,
            slices=tuple(written),
            rows=len(rows),
            size=sum(part.size for part in written),
            delete_where=delete,
            **more,
        )

    def request(self, run: str, *tables: TableWritten, attempt: int = 1, **more: Any) -> LoadRequest:
        """The operator's load request."""
        prefix = open_store(self.settings).layout.data(run, attempt)
        more = {"buckets": ("*",), "title": f"team/{run}"} | more
        return LoadRequest(encode(self.settings), run, attempt, tables, prefix, **more)

    def load(self, run: str, *tables: TableWritten, **more: Any) -> tuple[int, list[LoadedTable]]:
        """Load the tables."""
        return load(self.catalog, self.request(run, *tables, **more), str(self.scratch))

    def fence_request(self, run: str, *tables: str, attempt: int = 1) -> FenceRequest:
        """The operator's request to abandon an attempt."""
        return FenceRequest(encode(self.settings), run, attempt, tables)

    def scan(self, table: str) -> TableScan | None:
        """The scan of a table that readers get; None if the table does not exist."""
        scans, _ = consistent_cut(self.catalog, [table])
        return scans[0] if scans else None

    def rows(self, table: str) -> list[tuple[Any, ...]] | None:
        """Rows that a reader of the plan gets, in load order; None if the table does not exist."""
        scan = self.scan(table)
        if scan is None:
            return None
        return read_plainly(self, scan)

    def new_run(self) -> str:
        """Create a run's uid."""
        return str(uuid.uuid4())


def read_plainly(bench: Bench, scan: TableScan) -> list[tuple[Any, ...]]:
    """Rows of a scan, read from its files without the deleted positions."""
    signer = Signer(bench.settings)

    def sign(path: str) -> str:
        return quoted(signer.sign_location(path, timedelta(minutes=5)))

    connection = duckdb.connect()
    load_httpfs(connection, None)
    found: list[tuple[Any, ...]] = []
    fields = ", ".join(
        f"{column.id}: {{name: 'c{place}', type: 'VARCHAR', default_value: NULL}}"
        for place, column in enumerate(scan.columns)
    )
    chosen = ", ".join(f"c{place}" for place in range(len(scan.columns)))
    for file in scan.files:
        deletes = (sign(scan.deletes[number].path) for number in file.deletes)
        gone = {
            position
            for url in deletes
            for path, position in connection.execute(f"FROM read_parquet({url})").fetchall()
            if path == file.path
        }
        rows = connection.execute(
            f"SELECT file_row_number, {chosen} FROM read_parquet({sign(file.path)}, schema = MAP {{{fields}}}, "  # noqa: S608
            "file_row_number = true) ORDER BY 1"
        ).fetchall()
        found += [row[1:] for row in rows if row[0] not in gone]
    return found
