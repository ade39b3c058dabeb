"""A place for tables in the cluster's store with a catalog, and the loader's own work there, in this process."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from benchmarks.lab import sweep
from benchmarks.tables import folder
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

__all__ = ["SHARE", "LakePlace", "lake_place"]

SHARE: Final = 4
"""Loads that share the memory of a loader, as in the chart."""


@dataclass(frozen=True)
class LakePlace:
    """A prefix of keys in the bucket, and a prefix of namespaces in the catalog."""

    settings: StoreSettings
    scratch: str
    """A folder for files of loads."""

    @property
    def access(self) -> CatalogSettings:
        """How to log in to the catalog."""
        if self.settings.catalog is None:
            raise ValueError("the place was made without a catalog")
        return self.settings.catalog

    @property
    def s5cmd(self) -> dict[str, str]:
        """What s5cmd reads its keys and its endpoint from."""
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
        """What small loads share."""
        return Databases(self.scratch, SHARE)

    @cached_property
    def _encoded(self) -> dict[str, object]:
        return encode(self.settings)

    async def stage(
        self, run: str, table: str, columns: Sequence[str], rows: bytes, *, count: int, increment: bool = False
    ) -> TableWritten:
        """Upload rows as stage-out would have: headerless CSV, one slice, not compressed."""
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
        """What the operator asks of a loader for a run."""
        prefix = self.store.layout.data(run, 1)
        return LoadRequest(self._encoded, run, 1, tuple(tables), prefix, ("*",), title=f"benchmark/{run}")

    def load(self, run: str, tables: Sequence[TableWritten]) -> None:
        """Publish what a run uploaded, as a loader does."""
        load(self.catalog, self.request(run, tables), self.scratch, share=SHARE, databases=self.databases)

    async def plan(self, tables: Sequence[str]) -> PlanAnswer:
        """What a loader answers the operator of tables that a run reads."""
        scans, missing = await asyncio.to_thread(consistent_cut, self.catalog, tables)
        return PlanAnswer(tuple(scans), tuple(missing))

    def name(self, table: str) -> IcebergName:
        """What a table is called in the catalog."""
        return to_iceberg(self.catalog.prefix, TableId.parse(table))


@contextmanager
def lake_place(known: Lake, *, goes: bool = False) -> Iterator[LakePlace]:
    """A place that is empty; afterwards nothing of it is left, unless store and catalog go themselves (`goes`)."""
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
        place = LakePlace(settings, scratch)
        try:
            yield place
        finally:
            if not goes:
                catalogs.forget(known.catalog, f"b{name}_")
                sweep(place.store, f"{settings.prefix}/")
