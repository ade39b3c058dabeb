"""Tables in catalogs: the loader publishes them, gives publishing up, and finds their files."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from componentrun.controller.storages.identity import StoreId
from componentrun.controller.watching.caches import Key
from componentrun.core.request.buckets import WritableBuckets, check_writable, writable_buckets
from componentrun.core.request.image import component_id
from componentrun.core.storages.catalog import finding_of, is_catalog_settled, need_catalog
from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError
from componentrun.storage.access.plans import read_stage_out_plan
from componentrun.storage.store.keys import TableId
from componentrun.storage.store.places import encode
from componentrun.wire.loader import CheckRequest, FenceRequest, LoadRequest, PlanRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.storages.cataloggate import CatalogGate
    from componentrun.controller.storages.loaderclient import LoaderClient
    from componentrun.controller.storages.stores import OpenStorage
    from componentrun.wire.agents import TableWritten
    from componentrun.wire.loader import CatalogCheck, LoadedTable, PlanAnswer

__all__ = ["CatalogTables"]

log = logging.getLogger(__name__)

_FRESH_SECONDS: Final = 15.0
"""Seconds for which a check is valid, so that a thousand starting runs do not check a catalog each."""


class CatalogTables:
    """Sends the requests about tables to the loader."""

    def __init__(self, loader: LoaderClient, gate: CatalogGate) -> None:
        """`loader` stays open for as long as the operator runs; `gate` knows which catalogs do not respond."""
        self._loader = loader
        self._gate = gate
        self._found: dict[StoreId, tuple[float, tuple[CatalogCheck, ...]]] = {}
        """Results of recent checks with their times."""

    async def publish(
        self, opened: OpenStorage, run: ComponentRun, attempt: int, tables: Sequence[TableWritten]
    ) -> tuple[LoadedTable, ...]:
        """Publish all tables of an attempt, or none. Safe to repeat.

        Raises:
            UserError: (OutputInvalid) a table does not fit or must not be written; nothing was changed.
            PlatformError: the loader, the catalog or the store refused; nothing was changed.
            TransientError: a service does not respond; if the error is `unknown`, the tables may be published.
        """
        plan = await read_stage_out_plan(opened.store, run.metadata.uid, attempt)
        if plan is None:
            raise PlatformError(
                f"the plan of attempt {attempt}, which says what it may write, is missing",
                Reason.PUBLISH_FAILED,
                advice="Run it again.",
            )
        buckets = plan.buckets or ()
        check_writable([table.destination for table in tables], WritableBuckets(buckets, run.spec.component))
        request = LoadRequest(
            storage=encode(opened.store.settings),
            run=run.metadata.uid,
            attempt=attempt,
            tables=tuple(tables),
            prefix=opened.store.layout.data(run.metadata.uid, attempt),
            title=f"{run.metadata.namespace}/{run.metadata.name}",
            component=run.spec.component or component_id(run.spec.image or "", None),
            buckets=buckets,
            typed=plan.check_types,
            allow_non_atomic=opened.storage.spec.allow_non_atomic,
        )
        async with self._gate.using(opened.storage, _key(run)):
            return (await self._loader.load(request, _name(opened))).tables

    async def is_given_up(self, opened: OpenStorage, run: ComponentRun, attempt: int, tables: Sequence[str]) -> bool:
        """Make sure that an attempt is never published.

        Args:
            opened: the Storage.
            run: the run.
            attempt: number of the attempt.
            tables: ids of its tables; invalid ids, and tables that it must not write, never reached the loader.

        Returns:
            True if it is certain; False if the attempt is published already.

        Raises:
            ComponentRunError: not certain yet; call again.
        """
        buckets = await self._buckets(opened, run, attempt)
        asked = tuple(table for table in dict.fromkeys(tables) if _is_table(table) and _may_write(buckets, table))
        if not asked:
            return True
        request = FenceRequest(encode(opened.store.settings), run.metadata.uid, attempt, asked)
        async with self._gate.using(opened.storage, _key(run)):
            answer = await self._loader.fence(request, _name(opened))
        return not answer.published

    async def _buckets(self, opened: OpenStorage, run: ComponentRun, attempt: int) -> WritableBuckets:
        """The buckets that the attempt may write. If its plan is missing, those that the run names."""
        plan = await read_stage_out_plan(opened.store, run.metadata.uid, attempt)
        if plan is None:
            return writable_buckets(run.spec.output, None)
        return WritableBuckets(plan.buckets or (), run.spec.component)

    async def plan(self, opened: OpenStorage, run: ComponentRun, tables: Sequence[str]) -> PlanAnswer:
        """One consistent snapshot of the tables that a run reads.

        Raises:
            ComponentRunError: the loader, the catalog or the store refused or does not respond.
        """
        async with self._gate.using(opened.storage, _key(run)):
            return await self._loader.plan(PlanRequest(encode(opened.store.settings), tuple(tables)), _name(opened))

    @property
    def has_loader(self) -> bool:
        """Whether a loader is installed."""
        return self._loader.installed

    async def check(self, opened: OpenStorage) -> tuple[CatalogCheck, ...]:
        """Check whether the catalog supports what publishing needs.

        Raises:
            ComponentRunError: the loader refused or does not respond; the state of the catalog is unknown.
        """
        answer = await self._loader.check(CheckRequest(encode(opened.store.settings)), _name(opened))
        self._found[StoreId.of(opened.storage)] = (self._now(), answer.checks)
        return answer.checks

    async def need_fit(self, opened: OpenStorage) -> None:
        """Refuse a run that needs tables if its catalog can't be used, according to a recent check.

        Raises:
            PlatformError, TransientError: see `core.storages.catalog.need_catalog`.
        """
        storage = opened.storage
        if storage.spec.catalog is None or is_catalog_settled(storage):
            return
        when, checks = self._found.get(StoreId.of(storage), (0.0, ()))
        if not checks or self._now() - when > _FRESH_SECONDS:
            self._forget_old()
            try:
                checks = await self.check(opened)
            except ComponentRunError as error:
                # The next step that needs the loader reports the error.
                log.warning("the catalog of Storage %s could not be checked: %s", _name(opened), error.message)
                return
        need_catalog(storage, finding_of(storage, checks))

    def _forget_old(self) -> None:
        now = self._now()
        self._found = {store: found for store, found in self._found.items() if now - found[0] <= _FRESH_SECONDS}

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _is_table(table: str) -> bool:
    try:
        TableId.parse(table)
    except UserError:
        return False
    return True


def _may_write(buckets: WritableBuckets, table: str) -> bool:
    return buckets.allows(TableId.parse(table).bucket_id)


def _key(run: ComponentRun) -> Key:
    return Key(run.metadata.namespace, run.metadata.name)


def _name(opened: OpenStorage) -> str:
    return f"{opened.storage.metadata.namespace}/{opened.storage.metadata.name}"
