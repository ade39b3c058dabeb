"""The loader's operations: an `Engine` on real catalogs. Blocking work runs in threads."""

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
"""How long a connection to a catalog is reused. Its token is valid for longer."""
_MOST_KEPT: Final = 64
_CHECK_SECONDS: Final = 60.0
"""Time limit of a check. A check normally takes a quarter of a second."""


class TableEngine:
    """Executes loads, fences, plans and checks."""

    def __init__(
        self, scratch: str, observer: LoadObserver, *, loads: int, plans: int, scratch_bytes: int | None = None
    ) -> None:
        """Connections are opened when they are first needed.

        Args:
            scratch: folder for temporary files of loads.
            observer: is notified of conflicts.
            loads: number of concurrent loads. Each gets an equal share of the memory.
            plans: number of other concurrent requests.
            scratch_bytes: size of the folder, of which each load gets an equal share; None: no limit.
        """
        self._loads = loads
        self._threads = ThreadPoolExecutor(loads + plans, thread_name_prefix="request")
        self._scratch = scratch
        self._most_bytes = scratch_bytes // loads if scratch_bytes is not None else None
        self._observer = observer
        self._catalogs = _Catalogs()
        self._databases = Databases(scratch, loads)
        self._notes = ChangeNotes()
        # Checks have their own threads, so that hanging catalogs, which checks are meant to detect, do not delay runs.
        self._checkers = ThreadPoolExecutor(CHECKS, thread_name_prefix="check")
        self._checking: dict[StoreSettings, asyncio.Future[tuple[CatalogCheck, ...]]] = {}
        """Checks in progress: at most one for each catalog, so that a slow catalog occupies only one thread."""

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def load(self, request: LoadRequest) -> LoadAnswer:
        """Publish an attempt's tables; see `loader.loading.load`."""

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
        """Ensure that an attempt is never published; see `loader.loading.fencing.fence`."""
        published = await self._in_thread(lambda: fence(self._catalogs.open(request.storage), request))
        return FenceAnswer(published)

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """List the files that contain the rows of tables; see `loader.reading.scanning`."""
        scans, missing = await self._in_thread(
            lambda: consistent_cut(self._catalogs.open(request.storage), request.tables)
        )
        return PlanAnswer(tuple(scans), tuple(missing))

    async def check(self, request: CheckRequest) -> CheckAnswer:
        """Check whether a catalog supports what runs need; see `loader.catalog.checking`."""
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
            # The check continues, and ends with its cleanup, because each of its requests has a timeout.
            return CheckAnswer((_TOO_SLOW,))


_TOO_SLOW: Final = CatalogCheck(
    "answer in time",
    ok=False,
    detail=f"it answers too slowly: changing two empty tables took more than {_CHECK_SECONDS:.0f} s",
    hint="look at the catalog's load and its database",
    reason=CatalogReason.UNAVAILABLE,
)


class _Catalogs:
    """Cached connections to catalogs. Opening one costs a request for the configuration and one for a token."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[StoreSettings, tuple[float, Catalog]] = OrderedDict()

    def open(self, storage: dict[str, Any]) -> Catalog:
        settings = decode(storage)
        now = time.monotonic()
        with self._lock:
            opened_at, catalog = self._kept.get(settings, (0.0, None))
        if catalog is None or now - opened_at > _KEPT_SECONDS:
            catalog = Catalog(settings)
            with self._lock:
                self._kept[settings] = (now, catalog)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return catalog
