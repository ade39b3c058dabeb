"""An API server that keeps one Storage, and a store that counts how often it is asked what it holds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from componentrun.api.storage import Storage
from componentrun.controller.metrics import Metrics
from componentrun.controller.storages.gate import StoreGate
from componentrun.controller.storages.references import References
from componentrun.controller.storages.scopes import Scopes, StorageWatch
from componentrun.controller.storages.stores import OpenStorage
from componentrun.controller.watching.caches import Caches, Key, ObjectCache
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.storages.scope import Scope, ScopeMethod
from componentrun.errors import ComponentRunError, PlatformError
from componentrun.storage.store.errors import NoAnswerError
from componentrun.wire.loader import CatalogCheck

if TYPE_CHECKING:
    from componentrun.controller.storages.catalogtables import CatalogTables
    from componentrun.controller.storages.stores import Stores
    from componentrun.process.kubernetes.client import Kube

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEEN = Scope(ScopeMethod.FORM, "seen", versioned=True)


class World:
    """An API server that keeps one Storage, and a store that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Scope | PlatformError = SEEN
        self.patches: list[dict[str, Any]] = []
        self.object: dict[str, Any] = {
            "metadata": {"name": "main", "namespace": "team", "uid": "u", "generation": 1, "resourceVersion": "5"},
            "spec": {"bucket": "bucket"},
        }
        self.queue: WorkQueue[Key] = WorkQueue()
        self.storages = ObjectCache()
        self.storages.listen(self.queue.add)
        self.scopes = Scopes(lambda: self.now, cast("Any", self.find))
        caches, self.runs, self.metrics = Caches(), WorkQueue[Key](), Metrics()
        references = References(cast("Kube", self), caches)
        self.gate = StoreGate(self.runs, caches, references, self.metrics, lambda: NOW)
        self.tried = 0
        self.catalog: tuple[CatalogCheck, ...] | ComponentRunError = (CatalogCheck("connect", True, "it answers"),)
        """What the loader finds, or what becomes of asking it."""
        self.has_loader = True
        self.hangs: asyncio.Event | None = None
        """Set while the loader has no answer."""
        self.now = NOW
        self.watch = StorageWatch(
            cast("Kube", self), self.storages, cast("Stores", self), self.scopes, self.queue, lambda: self.now,
            self.gate, cast("CatalogTables", self),
        )  # fmt: skip
        self.watch.active = True

    async def find(self, *_: Any) -> Scope:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, NoAnswerError):
            raise self.answer
        if isinstance(self.answer, PlatformError):
            # Stores name requests, objects and times in their words: no two are the same.
            raise PlatformError(f"{self.answer.message} ({self.asked})", self.answer.reason)
        return self.answer

    async def open(self, *_: Any) -> OpenStorage:
        return OpenStorage(Storage.model_validate(self.object), cast("Any", None), cast("Any", None))

    async def check(self, _opened: OpenStorage) -> tuple[CatalogCheck, ...]:
        self.tried += 1
        if self.hangs is not None:
            await self.hangs.wait()
        if isinstance(self.catalog, ComponentRunError):
            raise self.catalog
        return self.catalog

    async def patch(self, _resource: Any, _namespace: str, _name: str, body: dict[str, Any], _sub: str) -> Any:
        self.patches.append(body)
        version = str(int(self.object["metadata"]["resourceVersion"]) + 1)
        metadata = {**self.object["metadata"], "resourceVersion": version}
        self.object = {**self.object, **body, "metadata": metadata}
        return self.object

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message."""
        (found,) = [item for item in self.object["status"]["conditions"] if item["type"] == kind]
        return found["status"], found["reason"], found["message"]

    def conditions(self) -> dict[str, str]:
        return {item["type"]: item["reason"] for item in self.object["status"]["conditions"]}

    async def settle(self) -> None:
        working = asyncio.create_task(self.watch.work())
        while not self.queue.idle:  # noqa: ASYNC110 - the queue tells no event
            await asyncio.sleep(0)
        working.cancel()
