"""The part of SeaweedFS, store and catalog, that belongs to one test."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.storage.store.objectversions import Versions
from componentrun.storage.store.settings import StoreSettings
from dev.cluster.stores import catalog

if TYPE_CHECKING:
    from dev.cluster.stores.catalog import Access
    from dev.cluster.stores.seaweedfs import Lake


@dataclass(frozen=True)
class LakeSpace:
    """A prefix of keys in the bucket and a prefix of namespaces in the catalog.

    `settings` says how to reach the bucket as a Storage does, `catalog` how to log in to the catalog: uri, warehouse,
    client id and client secret.
    """

    lake: Lake
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    @property
    def namespace_prefix(self) -> str:
        """What the name of each namespace begins with, such as `t0123abcd_`."""
        return f"t{self.name}_"

    @property
    def settings(self) -> StoreSettings:
        """The bucket, with a prefix of this test's own."""
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
        """How to log in to the catalog."""
        return self.lake.catalog

    def empty(self) -> None:
        """Drop the namespaces with their tables, and delete the objects with all their versions."""
        catalog.forget(self.catalog, self.namespace_prefix)
        asyncio.run(self._delete_objects())

    async def _delete_objects(self) -> None:
        versions = Versions(self.settings)
        await versions.delete(await versions.below(self.settings.prefix + "/"))
