"""`CatalogStore`: the border to a Storage whose tables are in an Iceberg catalog, on `componentrun.loader`.

Everything but tables is in the bucket, as in any Storage.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from componentrun.cli.errors import EnvironmentFault
from componentrun.cli.objects import ObjectStore

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from componentrun.cli.store import QueryAnswer
    from componentrun.loader.catalog import Catalog
    from componentrun.storage.settings import StoreSettings

__all__ = ["CatalogStore"]


class CatalogStore(ObjectStore):
    """One Storage with a catalog."""

    def catalog_access(self) -> StoreSettings:
        """How to reach the store and the catalog."""
        return self._store.settings

    @functools.cached_property
    def _catalog(self) -> Catalog:
        """The catalog; connected at the first use."""
        try:
            from componentrun.loader.catalog import Catalog  # noqa: PLC0415 - needs the extra `loader`
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("pyiceberg"):
                raise
            raise EnvironmentFault(
                f"the tables of Storage `{self.name}` are in a catalog, and what reads it is not installed here",
                "`pip install 'componentrun[loader]'`",
            ) from None
        return Catalog(self._store.settings)

    def query(self, query: str) -> AbstractContextManager[QueryAnswer]:
        """Prepare a query over tables, which it calls by their ids in double quotes."""
        catalog = self._catalog
        from componentrun.loader.querying import open_query  # noqa: PLC0415 - needs the extra `loader`

        return open_query(catalog, query)
