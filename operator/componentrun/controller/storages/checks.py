"""Checks in the background what each Storage's store and catalog support, and writes that to the Storage's status.

kopf runs a daemon for each Storage (`controller.handlers.check_storage`), which waits here for the next check.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from componentrun.controller.storages.identity import StoreId
from componentrun.controller.work.fairslots import FairSlots
from componentrun.core.storages.catalog import finding_of, finding_of_failure
from componentrun.core.storages.scope import check_after, known_scope, status_of, status_of_failure, store_check_after
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.errors import KubeError, NotFoundError
from componentrun.process.kubernetes.resources import STORAGES
from componentrun.storage.store.resource import Unreadable, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.storage import Storage
    from componentrun.controller.storages.catalogtables import CatalogTables
    from componentrun.controller.storages.gate import StoreGate
    from componentrun.controller.storages.scopes import Scopes
    from componentrun.controller.storages.stores import OpenStorage, Stores
    from componentrun.controller.watching.caches import Key, ObjectCache
    from componentrun.core.storages.catalog import CatalogFinding
    from componentrun.core.storages.scope import Scope
    from componentrun.process.kubernetes.client import Kube

__all__ = ["StorageChecks"]

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 60.0
"""Maximum seconds between checks after failures; the pause doubles each time. Fixes such as a new bucket, or a Secret
that is applied after its Storage, cause no event of the Storage."""
_MOST_CHECKS: Final = 32
"""Maximum concurrent checks. A store that does not respond delays its own check by at most 30 s."""


class StorageChecks:
    """Keeps the status of every Storage up to date with what its store and catalog support.

    Each Storage has its own task, so a store that does not respond does not delay checks of other Storages.
    """

    def __init__(
        self,
        kube: Kube,
        storages: ObjectCache,
        stores: Stores,
        scopes: Scopes,
        clock: Callable[[], datetime],
        gate: StoreGate,
        catalogs: CatalogTables,
    ) -> None:
        """Check nothing before `is_active` is set. `gate` knows which stores do not respond."""
        self.is_active = False
        self._kube = kube
        self._storages = storages
        self._stores = stores
        self._scopes = scopes
        self._clock = clock
        self._gate = gate
        self._catalogs = catalogs
        self._slots = FairSlots(_MOST_CHECKS)
        self._wakes: dict[Key, asyncio.Event] = {}
        self._failed: dict[Key, tuple[tuple[str, int], datetime, float]] = {}
        storages.listen(self._storage_changed)
        gate.on_change = self._store_changed

    def activate(self, active: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Start or stop checking. Only the operator that holds the Lease checks Storages."""
        self.is_active = active
        if active:
            for wake in self._wakes.values():
                wake.set()

    async def run(self, key: Key, uid: str) -> None:
        """Check one Storage whenever a check is due, until it is deleted.

        A check is due after some time, when the Storage changes, and when its store stops or begins to respond.

        Args:
            key: namespace and name.
            uid: uid of the Storage; a later one may have the same name.
        """
        wake = self._wakes[key] = asyncio.Event()
        try:
            # kopf starts no second daemon, so a Storage that is only missing in the cache keeps its task.
            while not self._storages.is_gone(key, uid):
                wake.clear()
                async with self._slots.hold(key.namespace):
                    seconds = await self.check(key)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await wake.wait()
        finally:
            if self._wakes.get(key) is wake:
                del self._wakes[key]

    async def check(self, key: Key) -> float | None:
        """Check a Storage's store and catalog if a check is due.

        Returns:
            Seconds until the next check; None if there is none before the Storage changes.
        """
        document = self._storages.document(key)
        if document is None or not self.is_active:
            return None
        storage = parse(json.loads(document))
        if isinstance(storage, Unreadable):
            _log.error("Storage %s can't be read by this release of the operator: %s", key, storage.problem)
            return None
        store = StoreId.of(storage)
        self._gate.forget(key, but=store)
        wait = check_after(storage, self._clock())
        if wait > 0 and not self._gate.is_down(store):
            return wait
        # Writing the failure to the status wakes this Storage's task, which must not check the store again at once.
        pause = self._pause(key, storage)
        if pause > 0:
            return pause
        self._scopes.forget(storage.metadata.uid, but=storage.metadata.generation)
        try:
            return await self._check(key, storage)
        except KubeError as error:
            _log.warning("the status of Storage %s was not written, it is checked again: %s", key, error.message)
            # If the check failed as well, the next one is put off already.
            return max(self._pause(key, storage), 0.0) or self._put_off(key, storage)

    async def _check(self, key: Key, storage: Storage) -> float:
        """Check the store and the catalog, and write the status. Returns the seconds until the next check."""
        try:
            opened = await self._stores.open(key.namespace, key.name)
            known = self._known(storage)
            scope = known or await self._ask_store(opened)
        except KubeError:
            raise
        except ComponentRunError as error:
            _log.warning("Storage %s can't be used: %s", key, error.message)
            pause = self._put_off(key, storage)
            await self._write(storage, status_of_failure(storage, error, self._clock()).to_dict())
            return pause
        asked_at = self._clock() if known is None else None
        return await self._report(key, storage, scope, await self._find_catalog(opened), asked_at)

    async def _report(
        self, key: Key, storage: Storage, scope: Scope, found: CatalogFinding | None, asked_at: datetime | None
    ) -> float:
        """Write the results to the status. Returns the seconds until the next check.

        Args:
            key: namespace and name.
            storage: the version that was checked.
            scope: what its store supports.
            found: what its catalog supports; None: it has no catalog.
            asked_at: when the store was probed; None: it was not probed now.
        """
        now = self._clock()
        status = status_of(storage, scope, now, found, checked=asked_at or storage.status.checked)
        if found is not None and not found.is_settled:
            _log.warning("Storage %s, catalog: %s: %s", key, found.reason, found.message)
            pause = self._put_off(key, storage)
            await self._write(storage, status.to_dict())
            return pause
        await self._write(storage, status.to_dict())
        self._failed.pop(key, None)
        return check_after(storage.model_copy(update={"status": status}), now)

    def _known(self, storage: Storage) -> Scope | None:
        """The known scope of the store if it is still valid; None: the store must be probed."""
        if storage.status.checked is None:
            # A run that waited for the result may have probed the store a moment ago.
            return self._scopes.fresh(storage)
        now = self._clock()
        due = store_check_after(storage, now) <= 0 or self._gate.is_down(StoreId.of(storage))
        return None if due else known_scope(storage, now)

    async def _ask_store(self, opened: OpenStorage) -> Scope:
        async with self._gate.asking(StoreId.of(opened.storage)):
            return await self._scopes.ask(opened)

    async def _find_catalog(self, opened: OpenStorage) -> CatalogFinding | None:
        """Have the loader check the catalog; None if the Storage has no catalog."""
        if opened.storage.spec.catalog is None:
            return None
        try:
            return finding_of(opened.storage, await self._catalogs.check(opened))
        except ComponentRunError as error:
            return finding_of_failure(error, has_loader=self._catalogs.has_loader)

    def _storage_changed(self, key: Key) -> None:
        """Wake the Storage's task. If the Storage was deleted, drop what is known of it."""
        if self._storages.document(key) is None:
            self._failed.pop(key, None)
            self._gate.forget(key)
        self._wake(key)

    def _store_changed(self, key: Key) -> None:
        """Wake the task after the store has stopped or started to respond, to report that at once."""
        self._failed.pop(key, None)
        self._wake(key)

    def _wake(self, key: Key) -> None:
        wake = self._wakes.get(key)
        if wake is not None:
            wake.set()

    def _pause(self, key: Key, storage: Storage) -> float:
        """Seconds to wait after a failed check; 0 if the Storage was edited since then."""
        what, when, pause = self._failed.get(key, (None, self._clock(), 0.0))
        return (when + timedelta(seconds=pause) - self._clock()).total_seconds() if what == _key(storage) else 0.0

    def _put_off(self, key: Key, storage: Storage) -> float:
        """Record that a check failed. Returns the seconds until the next one, which double with each failure."""
        what, _, pause = self._failed.get(key, (None, None, 0.0))
        pause = min(pause * 2, _LONGEST_PAUSE) if what == _key(storage) else _FIRST_PAUSE
        self._failed[key] = (_key(storage), self._clock(), pause)
        return pause

    async def _write(self, storage: Storage, status: dict[str, Any]) -> None:
        """Write the status, if it has changed."""
        if status == storage.status.to_dict():
            return
        metadata = storage.metadata
        # The result is for the version that was checked, not for a new Storage of the same name.
        body = {"metadata": {"resourceVersion": metadata.resource_version}, "status": status}
        try:
            answer = await self._kube.patch(STORAGES, metadata.namespace, metadata.name, body, "status")
        except NotFoundError:
            return  # it was deleted, or its CRD is older than this operator
        self._storages.seen(answer)


def _key(storage: Storage) -> tuple[str, int]:
    return storage.metadata.uid, storage.metadata.generation
