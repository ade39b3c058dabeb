"""The part of SeaweedFS (store and catalog) that belongs to one test."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.storage.store.settings import StoreSettings
from dev.cluster.stores import catalog
from tests.integration.emptying import delete_all_versions

if TYPE_CHECKING:
    from dev.cluster.stores.catalog import Access
    from dev.cluster.stores.seaweedfs import Lake


@dataclass(frozen=True)
class LakeSpace:
    """A prefix of keys in the bucket and a prefix of namespaces in the catalog.

    `settings` has the bucket's connection settings for a Storage, and `catalog` those of the catalog: uri, warehouse,
    client id and client secret.
    """

    lake: Lake
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    @property
    def namespace_prefix(self) -> str:
        """Prefix of the namespaces' names, such as `t0123abcd_`."""
        return f"t{self.name}_"

    @property
    def settings(self) -> StoreSettings:
        """The bucket, with this test's own prefix."""
        return StoreSettings(
            bucket=self.lake.bucket,
            endpoint=self.lake.endpoint,
            prefix=f"tests/{self.name}",
            region=self.lake.region,
            access_key=self.lake.access_key,
            secret_key=self.lake.secret_key,
            name="main",
        )

    @property
    def catalog(self) -> Access:
        """Address and credentials of the catalog."""
        return self.lake.catalog

    def empty(self) -> None:
        """Drop the namespaces with their tables, and delete the objects with all versions."""
        catalog.forget(self.catalog, self.namespace_prefix)
        asyncio.run(delete_all_versions(self.settings))
