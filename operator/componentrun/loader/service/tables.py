"""Does what the loader is asked for: an `Engine` on real catalogs. Work that blocks is done in threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.catalog.checking import check_catalog
from componentrun.loader.loading.databases import Databases
from componentrun.loader.loading.fencing import fence
from componentrun.loader.loading.load import load
from componentrun.loader.maintenance.changes import ChangeNotes
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.loader.service.slots import CHECKS
from componentrun.storage.store.places import decode
from componentrun.wire.loader import (
    CatalogCheck,
    CatalogReason,
    CheckAnswer,
    FenceAnswer,
    LoadAnswer,
    PlanAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from componentrun.loader.service.engine import LoadObserver
    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.loader import CheckRequest, FenceRequest, LoadRequest, PlanRequest

__all__ = ["TableEngine"]

Result = TypeVar("Result")

_KEPT_SECONDS: Final = 600.0
"""How long a connection to a catalog is used: its token is good for longer."""
_MOST_KEPT: Final = 64
_CHECK_SECONDS: Final = 60.0
"""For all tries of a check together; they take a quarter of a second."""


class TableEngine:
    """Loads, fences, plans and checks."""

    def __init__(
        self, scratch: str, observer: LoadObserver, *, loads: int, plans: int, scratch_bytes: int | None = None
    ) -> None:
        """Nothing is connected yet.

        Args:
            scratch: a folder for files of loads that are under way.
            observer: told of conflicts.
            loads: how many loads there are at a time; each has its share of the memory.
            plans: how many other requests there are at a time.
            scratch_bytes: size of the folder, of which each load has its share; None: that of the disk.
        """
        self._loads = loads
        self._threads = ThreadPoolExecutor(loads + plans, thread_name_prefix="request")
        self._scratch = scratch
        self._most_bytes = scratch_bytes // loads if scratch_bytes is not None else None
        self._observer = observer
        self._catalogs = _Catalogs()
        self._databases = Databases(scratch, loads)
        self._notes = ChangeNotes()
        # Threads of their own: catalogs that hang, which are found out about by checks, hold no run up.
        self._checkers = ThreadPoolExecutor(CHECKS, thread_name_prefix="check")
        self._checking: dict[StoreSettings, asyncio.Future[tuple[CatalogCheck, ...]]] = {}
        """Those that work: one for each catalog, so that a slow one has one thread and not all."""

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def load(self, request: LoadRequest) -> LoadAnswer:
        """Publish an attempt's tables, see `loader.loading.load`."""

        def work() -> LoadAnswer:
            catalog = self._catalogs.open(request.storage)
            attempt, tables = load(
                catalog,
                request,
                self._scratch,
                on_conflict=self._observer.conflict_retried,
                share=self._loads,
                databases=self._databases,
                most_bytes=self._most_bytes,
            )
            self._notes.changed(catalog.settings, [table.table for table in tables])
            return LoadAnswer(tuple(tables), attempt)

        return await self._in_thread(work)

    async def fence(self, request: FenceRequest) -> FenceAnswer:
        """Have it that an attempt is never published, see `loader.loading.load.fence`."""
        published = await self._in_thread(lambda: fence(self._catalogs.open(request.storage), request))
        return FenceAnswer(published)

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """Which files hold the rows of tables, see `loader.reading.scanning`."""
        scans, missing = await self._in_thread(
            lambda: consistent_cut(self._catalogs.open(request.storage), request.tables)
        )
        return PlanAnswer(tuple(scans), tuple(missing))

    async def check(self, request: CheckRequest) -> CheckAnswer:
        """Whether a catalog is fit for runs, see `loader.catalog.checking`."""
        settings = decode(request.storage)
        checking = self._checking.get(settings)
        if checking is None:
            checking = asyncio.get_running_loop().run_in_executor(self._checkers, check_catalog, settings)
            self._checking[settings] = checking
            checking.add_done_callback(lambda _: self._checking.pop(settings, None))
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return CheckAnswer(await asyncio.shield(checking))
        except TimeoutError:
            # It ends by itself, and cleans up: each of its requests has a timeout.
            return CheckAnswer((_TOO_SLOW,))


_TOO_SLOW: Final = CatalogCheck(
    "answer in time",
    ok=False,
    detail=f"it answers too slowly: changing two empty tables took more than {_CHECK_SECONDS:.0f} s",
    hint="look at the catalog's load and its database",
    reason=CatalogReason.UNAVAILABLE,
)


class _Catalogs:
    """Connections to catalogs, kept for a while: each costs a request for its configuration and one for a token."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[StoreSettings, tuple[float, Catalog]] = OrderedDict()

    def open(self, storage: dict[str, Any]) -> Catalog:
        settings = decode(storage)
        now = time.monotonic()
        with self._lock:
            made, catalog = self._kept.get(settings, (0.0, None))
        if catalog is None or now - made > _KEPT_SECONDS:
            catalog = Catalog(settings)
            with self._lock:
                self._kept[settings] = (now, catalog)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return catalog
