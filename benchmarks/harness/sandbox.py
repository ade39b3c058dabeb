"""An empty prefix in a store and in its catalog, with the loader's work in this process."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from benchmarks.harness.csvfiles import folder
from benchmarks.harness.testbed import sweep
from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.loading.databases import Databases
from componentrun.loader.loading.load import load
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.keys import TableId
from componentrun.storage.store.places import encode
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.agents import SliceWritten, TableWritten
from componentrun.wire.loader import LoadRequest, PlanAnswer
from dev.cluster.stores import catalog as catalogs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.loader.catalog.names import IcebergName
    from componentrun.storage.store.connection import Store
    from dev.cluster.stores.seaweedfs import Lake

__all__ = ["SHARE", "Sandbox", "open_sandbox"]

SHARE: Final = 4
"""Number of concurrent loads that share a loader's memory, as in the chart."""


@dataclass(frozen=True)
class Sandbox:
    """A prefix of keys in the bucket, and a prefix of namespaces in the catalog."""

    settings: StoreSettings
    scratch: str
    """Folder for files of loads."""

    @property
    def access(self) -> CatalogSettings:
        """Connection settings of the catalog."""
        if self.settings.catalog is None:
            raise ValueError("the place was made without a catalog")
        return self.settings.catalog

    @property
    def s5cmd(self) -> dict[str, str]:
        """Environment of s5cmd, with keys and endpoint."""
        return {
            "AWS_ACCESS_KEY_ID": self.settings.access_key or "",
            "AWS_SECRET_ACCESS_KEY": self.settings.secret_key or "",
            "AWS_REGION": self.settings.region,
            "S3_ENDPOINT_URL": self.settings.endpoint or "",
        }

    @cached_property
    def store(self) -> Store:
        """The bucket."""
        return open_store(self.settings)

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog."""
        return Catalog(self.settings)

    @cached_property
    def databases(self) -> Databases:
        """Databases that small loads share."""
        return Databases(self.scratch, SHARE)

    @cached_property
    def _encoded(self) -> dict[str, object]:
        return encode(self.settings)

    async def stage(
        self, run: str, table: str, columns: Sequence[str], rows: bytes, *, count: int, increment: bool = False
    ) -> TableWritten:
        """Upload rows like stage-out: headerless CSV, one slice, not compressed."""
        key = f"{self.store.layout.data(run, 1)}{uuid.uuid4().hex}"
        part = SliceWritten(key, len(rows), count, await self.store.put(key, rows))
        return TableWritten(
            source=f"{table}.csv",
            destination=table,
            columns=tuple(columns),
            primary_key=(),
            incremental=increment,
            write_always=False,
            slices=(part,),
            rows=count,
            size=len(rows),
        )

    def request(self, run: str, tables: Sequence[TableWritten]) -> LoadRequest:
        """Return the operator's request to a loader for a run."""
        prefix = self.store.layout.data(run, 1)
        return LoadRequest(self._encoded, run, 1, tuple(tables), prefix, ("*",), title=f"benchmark/{run}")

    def load(self, run: str, tables: Sequence[TableWritten]) -> None:
        """Publish a run's uploads like a loader."""
        load(self.catalog, self.request(run, tables), self.scratch, share=SHARE, databases=self.databases)

    async def plan(self, tables: Sequence[str]) -> PlanAnswer:
        """Return a loader's answer about a run's input tables."""
        scans, missing = await asyncio.to_thread(consistent_cut, self.catalog, tables)
        return PlanAnswer(tuple(scans), tuple(missing))

    def name(self, table: str) -> IcebergName:
        """Return a table's name in the catalog."""
        return to_iceberg(self.catalog.prefix, TableId.parse(table))


@contextmanager
def open_sandbox(known: Lake, *, disposable: bool = False) -> Iterator[Sandbox]:
    """An empty sandbox; its data is deleted afterwards, unless store and catalog are `disposable`."""
    name = uuid.uuid4().hex[:8]
    settings = StoreSettings(
        bucket=known.bucket,
        endpoint=known.endpoint,
        prefix=f"benchmarks/{name}",
        region=known.region,
        access_key=known.access_key,
        secret_key=known.secret_key,
        catalog=CatalogSettings(
            uri=known.catalog_uri,
            warehouse=known.catalog_warehouse,
            namespace_prefix=f"b{name}_",
            client_id=known.catalog_client_id,
            client_secret=known.catalog_client_secret,
        ),
    )
    with tempfile.TemporaryDirectory(dir=folder()) as scratch:
        sandbox = Sandbox(settings, scratch)
        try:
            yield sandbox
        finally:
            if not disposable:
                catalogs.forget(known.catalog, f"b{name}_")
                sweep(sandbox.store, f"{settings.prefix}/")
