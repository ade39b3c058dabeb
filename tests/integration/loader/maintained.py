"""A Storage whose table `out.c-main.a` is maintained, with the real store and catalog."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.maintenance.expiring import Deleted, delete_orphans, expire
from componentrun.loader.maintenance.history import HistoryLimits
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.storage.store.keys import TableId
from tests.integration.loader.staging import Bench

__all__ = ["A", "Place"]

A = "out.c-main.a"


class Place(Bench):
    """Runs maintenance as if some days had passed."""

    @property
    def name(self) -> Any:
        return to_iceberg(self.catalog.prefix, TableId.parse(A))

    def fully(self, *values: str) -> str:
        run = self.new_run()
        self.load(run, self.table(run, A, ["id"], [[value] for value in values]))
        return run

    def increment(self, *values: str) -> str:
        run = self.new_run()
        self.load(run, self.table(run, A, ["id"], [[value] for value in values], incremental=True))
        return run

    def expire(self, days: float, snapshots: int = 1) -> Deleted:
        limits = HistoryLimits(timedelta(days=2), snapshots)
        return expire(self.catalog, self.name, limits, str(self.scratch), self.later(days))

    def orphans(self, days: float) -> Deleted:
        return delete_orphans(self.catalog, self.name, str(self.scratch), self.later(days))

    def later(self, days: float) -> Any:
        return lambda: time.time() + days * 86400

    def files(self) -> set[str]:
        """All files in the table's folder."""
        table = self.catalog.find(self.name)
        assert table is not None
        pages = TableObjects(self.settings).list_below(f"{table.location()}/")
        return {item.location for page in pages for item in page}

    def snapshots(self) -> int:
        table = self.catalog.find(self.name)
        assert table is not None
        return len(table.metadata.snapshots)
