"""`CatalogStore`: the border to a Storage whose tables are in an Iceberg catalog.

Everything but tables is in the bucket, as in any Storage. What reads and writes catalogs is an extra, and loaded at the
first use.
"""

from __future__ import annotations

import functools
from typing import IO, TYPE_CHECKING

from componentrun.cli.errors import EnvironmentFault
from componentrun.cli.objects import ObjectStore
from componentrun.storage.layout import TableId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from componentrun.cli.catalogtables import CatalogTables
    from componentrun.cli.progress import Progress
    from componentrun.cli.store import FilesRewritten, Preview, QueryAnswer, TableDetails, TableInfo, TableVersion
    from componentrun.storage.settings import StoreSettings

__all__ = ["CatalogStore"]


class CatalogStore(ObjectStore):
    """One Storage with a catalog."""

    def catalog_access(self) -> StoreSettings:
        """How to reach the store and the catalog."""
        return self._store.settings

    @functools.cached_property
    def _tables(self) -> CatalogTables:
        try:
            from componentrun.cli.catalogtables import CatalogTables  # noqa: PLC0415 - needs the extra `loader`
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("pyiceberg"):
                raise
            raise EnvironmentFault(
                f"the tables of Storage `{self.name}` are in a catalog, and what reads it is not installed here",
                "`pip install 'componentrun[loader]'`",
            ) from None
        return CatalogTables(self._store.settings)

    def query(self, query: str) -> AbstractContextManager[QueryAnswer]:
        """Prepare a query over tables, which it calls by their ids in double quotes."""
        return self._tables.query(query)

    def tables(self, bucket: str | None = None) -> list[TableInfo]:
        """All tables, or those of one bucket. Tables that have no id are other programs' and left out."""
        return self._tables.all(bucket)

    def put(
        self,
        file: Path,
        table: str,
        *,
        incremental: bool,
        primary_key: Sequence[str],
        progress: Progress,
    ) -> TableInfo:
        """Load a CSV file into a table, at once."""
        target, key = TableId.parse(table), tuple(primary_key)
        load = self._tables.put(self._counting(progress), file, target, incremental=incremental, primary_key=key)
        return self._runner.run(load)

    def get(self, table: str, target: IO[bytes], progress: Progress) -> TableInfo:
        """Write a table as CSV with a header line."""
        return self._tables.get(TableId.parse(table), target, progress)

    def head(self, table: str, rows: int) -> Preview:
        """The first rows of a table."""
        return self._tables.head(TableId.parse(table), rows)

    def export(self, table: str, target: Path, *, text: bool) -> int:
        """Write a table to a Parquet file; how many rows it has."""
        return self._tables.export(TableId.parse(table), target, text=text)

    def details(self, table: str) -> TableDetails:
        """All that is known of a table."""
        return self._tables.details(TableId.parse(table))

    def history(self, table: str, limit: int) -> list[TableVersion]:
        """Versions of a table, also of one that was dropped, the newest first."""
        return self._tables.history(TableId.parse(table), limit)

    def restore(self, table: str, version: int, *, who: str) -> TableInfo:
        """Make an earlier version of a table, also of one that was dropped, the newest one."""
        return self._tables.restore(TableId.parse(table), version, who=who)

    def remove(self, table: str, *, who: str) -> int | None:
        """Drop a table; the version that brings it back, None where it was not there."""
        return self._tables.remove(TableId.parse(table), who=who)

    def compact(self, table: str, *, dry_run: bool) -> FilesRewritten:
        """Rewrite the files of a table."""
        return self._tables.compact(TableId.parse(table), dry_run=dry_run)
