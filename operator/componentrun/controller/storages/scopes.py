"""What is known of each Storage's store and catalog, asked in the background and told in the Storage's status.

A run that starts before the answer is there waits for it; every later one finds it. The status is the memory: another
operator, or this one after its next start, reads it there.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from componentrun.controller.storages.identity import StoreId
from componentrun.core.storages.catalog import finding_of, finding_of_failure
from componentrun.core.storages.scope import check_after, known_scope, status_of, status_of_failure, store_check_after
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.errors import KubeError, NotFoundError
from componentrun.process.kubernetes.resources import STORAGES
from componentrun.storage.access.scope import find_scope
from componentrun.storage.store.errors import NoAnswerError
from componentrun.storage.store.resource import Unreadable, parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from componentrun.api.storage import Storage
    from componentrun.controller.storages.catalogtables import CatalogTables
    from componentrun.controller.storages.gate import StoreGate
    from componentrun.controller.storages.stores import OpenStorage, Stores
    from componentrun.controller.watching.caches import Key, ObjectCache
    from componentrun.controller.work.queue import WorkQueue
    from componentrun.core.storages.catalog import CatalogFinding
    from componentrun.core.storages.scope import Scope
    from componentrun.process.kubernetes.client import Kube
    from componentrun.storage.access.grants import Signer
    from componentrun.storage.store.connection import Store

__all__ = ["Scopes", "StorageWatch"]

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds after which a store that can't be asked is asked again, twice as many each time; what mends it (a Secret that
was applied behind its Storage, a bucket) tells nobody."""

_ASK_SECONDS: Final = 30.0
"""Timeout in seconds for all requests, about twelve, that probe what a store can do."""


class Scopes:
    """Asks stores, each at most once at a time."""

    def __init__(
        self, clock: Callable[[], datetime], find: Callable[[Store, Signer], Awaitable[Scope]] = find_scope
    ) -> None:
        """`find` asks a store; tests give one that needs none."""
        self._clock = clock
        self._find = find
        self._known: dict[tuple[str, int], Scope] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[Scope]] = {}

    async def of(self, opened: OpenStorage) -> Scope:
        """What is known, or else what the store says now.

        Raises:
            PlatformError: the keys, the bucket or the endpoint are wrong.
            TransientError: the store is away, or takes too long.
        """
        key = _key(opened.storage)
        known = self._known.get(key) or known_scope(opened.storage, self._clock())
        if known is not None:
            self._known[key] = known
            return known
        return await self.ask(opened)

    async def ask(self, opened: OpenStorage) -> Scope:
        """Probe the store now. Concurrent callers share one probe and its result. Raises as `of` does."""
        key = _key(opened.storage)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._find_in_time(opened))
            asking.add_done_callback(lambda task: self._asked(key, task))
        # Cancelling one caller must not cancel the probe for the others.
        self._known[key] = found = await asyncio.shield(asking)
        return found

    def _asked(self, key: tuple[str, int], task: asyncio.Task[Scope]) -> None:
        """Forget the finished probe. Its error is retrieved, in case no caller waits for it any more."""
        self._asking.pop(key)
        if not task.cancelled():
            task.exception()

    async def _find_in_time(self, opened: OpenStorage) -> Scope:
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                return await self._find(opened.store, opened.signer)
        except TimeoutError:
            where = opened.store.settings.where()
            told = f"the capabilities of the store were not determined within {_ASK_SECONDS:.0f} s"
            raise NoAnswerError(f"{told}, at {where}", told) from None

    def fresh(self, storage: Storage) -> Scope | None:
        """What was found for this very spec, though its status may not say so yet."""
        return self._known.get(_key(storage))

    def forget(self, uid: str, *, but: int | None = None) -> None:
        """The Storage is gone, or has another spec (generation) by now."""
        for key in [key for key in self._known if key[0] == uid and key[1] != but]:
            self._known.pop(key, None)


class StorageWatch:
    """Has every Storage's status say what its store and its catalog can do. Level-triggered: a key says only `look`."""

    def __init__(
        self,
        kube: Kube,
        storages: ObjectCache,
        stores: Stores,
        scopes: Scopes,
        queue: WorkQueue[Key],
        clock: Callable[[], datetime],
        gate: StoreGate,
        catalogs: CatalogTables,
    ) -> None:
        """Nothing is done before `active` is set. The gate says which stores don't respond."""
        self.active = False
        self._kube = kube
        self._storages = storages
        self._stores = stores
        self._scopes = scopes
        self._queue = queue
        self._clock = clock
        self._gate = gate
        self._catalogs = catalogs
        gate.on_change = self._store_changed
        self._failed: dict[Key, tuple[tuple[str, int], datetime, float]] = {}

    def look_at_all(self) -> None:
        """Have every Storage looked at."""
        for key in self._storages.all_keys():
            self._queue.add(key)

    async def work(self) -> None:
        """Take keys and look, for ever."""
        while True:
            key = await self._queue.get()
            try:
                wake = await self._look(key)
            except KubeError as error:
                _log.warning("the status of Storage %s was not written, again later: %s", key, error.message)
                self._queue.retry(key)
            except Exception:  # noqa: BLE001 - the top of a worker: a defect must not stop the operator
                _log.exception("Storage %s could not be looked at, again later", key)
                self._queue.retry(key)
            else:
                self._queue.forget(key)
                if wake is not None:
                    self._queue.add_after(key, wake)
            finally:
                self._queue.done(key)

    async def _look(self, key: Key) -> float | None:
        """Ask the store and the catalog if it is time to; seconds until the next look."""
        document = self._storages.document(key)
        if document is None:
            self._failed.pop(key, None)
            self._gate.forget(key)
        if document is None or not self.active:
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
        # Writing down that it failed wakes us up; without this the store would be asked again at once, for ever.
        pause = self._pause(key, storage)
        if pause > 0:
            return pause
        self._scopes.forget(storage.metadata.uid, but=storage.metadata.generation)
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
        return await self._tell(key, storage, scope, await self._find_catalog(opened), asked_at)

    async def _tell(
        self, key: Key, storage: Storage, scope: Scope, found: CatalogFinding | None, asked_at: datetime | None
    ) -> float:
        """Write down what was found; seconds until the next look. `asked_at` is when the store was, if it was."""
        now = self._clock()
        status = status_of(storage, scope, now, found, checked=asked_at or storage.status.checked)
        if found is not None and not found.is_settled:
            _log.warning("Storage %s, catalog: %s: %s", key, found.reason, found.message)
            pause = self._put_off(key, storage)
        else:
            self._failed.pop(key, None)
            pause = check_after(storage.model_copy(update={"status": status}), now)
        await self._write(storage, status.to_dict())
        return pause

    def _known(self, storage: Storage) -> Scope | None:
        """What need not be asked of the store now; None: ask it."""
        if storage.status.checked is None:
            # A run that waited for the answer a moment ago has brought it.
            return self._scopes.fresh(storage)
        now = self._clock()
        due = store_check_after(storage, now) <= 0 or self._gate.is_down(StoreId.of(storage))
        return None if due else known_scope(storage, now)

    async def _ask_store(self, opened: OpenStorage) -> Scope:
        async with self._gate.asking(StoreId.of(opened.storage)):
            return await self._scopes.ask(opened)

    async def _find_catalog(self, opened: OpenStorage) -> CatalogFinding | None:
        """Have the catalog tried; None: the Storage has none."""
        if opened.storage.spec.catalog is None:
            return None
        try:
            return finding_of(opened.storage, await self._catalogs.check(opened))
        except ComponentRunError as error:
            return finding_of_failure(error, has_loader=self._catalogs.has_loader)

    def _store_changed(self, key: Key) -> None:
        """A store has stopped or begun to respond: that is looked at, and told, now."""
        self._failed.pop(key, None)
        self._queue.add(key)

    def _pause(self, key: Key, storage: Storage) -> float:
        """Seconds until a store that could not be asked may be asked again; an edited Storage is asked at once."""
        what, when, pause = self._failed.get(key, (None, self._clock(), 0.0))
        return (when + timedelta(seconds=pause) - self._clock()).total_seconds() if what == _key(storage) else 0.0

    def _put_off(self, key: Key, storage: Storage) -> float:
        """Seconds after which it is asked again."""
        what, _, pause = self._failed.get(key, (None, None, 0.0))
        pause = min(pause * 2, _LONGEST_PAUSE) if what == _key(storage) else _FIRST_PAUSE
        self._failed[key] = (_key(storage), self._clock(), pause)
        return pause

    async def _write(self, storage: Storage, status: dict[str, Any]) -> None:
        """Write the status; nothing is sent where nothing changed."""
        if status == storage.status.to_dict():
            return
        metadata = storage.metadata
        # What was found holds for the Storage that was read, not for another that took its name meanwhile.
        body = {"metadata": {"resourceVersion": metadata.resource_version}, "status": status}
        try:
            answer = await self._kube.patch(STORAGES, metadata.namespace, metadata.name, body, "status")
        except NotFoundError:
            return  # it is gone, or its CRD is older than this operator
        self._storages.seen(answer)


def _key(storage: Storage) -> tuple[str, int]:
    return storage.metadata.uid, storage.metadata.generation
