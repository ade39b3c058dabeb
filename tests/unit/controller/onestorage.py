"""A fake API server with one Storage, and a store that counts how often it is asked what it holds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from componentrun.api.storage import Storage
from componentrun.controller.metrics import Metrics
from componentrun.controller.storages.checks import StorageChecks
from componentrun.controller.storages.gate import StoreGate
from componentrun.controller.storages.references import References
from componentrun.controller.storages.scopes import Scopes
from componentrun.controller.storages.stores import OpenStorage
from componentrun.controller.watching.caches import Caches, Key, ObjectCache
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.storages.scope import Scope, ScopeMethod
from componentrun.errors import ComponentRunError, PlatformError
from componentrun.storage.store.errors import NoAnswerError
from componentrun.wire.loader import CatalogCheck
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes

if TYPE_CHECKING:
    from componentrun.controller.storages.catalogtables import CatalogTables
    from componentrun.controller.storages.stores import Stores

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEEN = Scope(ScopeMethod.FORM, "seen", versioned=True)


class World:
    """A fake API server with one Storage, and a store that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Scope | PlatformError = SEEN
        self.kube = FakeKube(Writes())
        self.kube.server.storage.version = 5
        self.storage = {
            "metadata": {"name": "main", "namespace": "team", "uid": "u", "generation": 1, "resourceVersion": "5"},
            "spec": {"bucket": "bucket"},
        }
        self.storages = ObjectCache()
        self.scopes = Scopes(lambda: self.now, cast("Any", self.find))
        caches, self.runs, self.metrics = Caches(), WorkQueue[Key](), Metrics()
        references = References(self.kube, caches)
        self.gate = StoreGate(self.runs, caches, references, self.metrics, lambda: NOW)
        self.tried = 0
        self.catalog: tuple[CatalogCheck, ...] | ComponentRunError = (CatalogCheck("connect", True, "it answers"),)
        """What the loader finds, or what becomes of asking it."""
        self.has_loader = True
        self.hangs: asyncio.Event | None = None
        """Set while the loader has no answer."""
        self.now = NOW
        self.checks = StorageChecks(
            self.kube, self.storages, cast("Stores", self), self.scopes, lambda: self.now,
            self.gate, cast("CatalogTables", self),
        )  # fmt: skip
        self.checks.activate(True)
        self.changed: list[Key] = []
        """Storages whose task was woken since the last check."""
        self.storages.listen(self.changed.append)
        on_change = self.gate.on_change
        self.gate.on_change = lambda key: (on_change(key), self.changed.append(key))

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
        return OpenStorage(Storage.model_validate(self.storage), cast("Any", None), cast("Any", None))

    async def check(self, _opened: OpenStorage) -> tuple[CatalogCheck, ...]:
        self.tried += 1
        if self.hangs is not None:
            await self.hangs.wait()
        if isinstance(self.catalog, ComponentRunError):
            raise self.catalog
        return self.catalog

    @property
    def storage(self) -> dict[str, Any]:
        """The Storage, as the API server has it; its spec may be changed in place."""
        return self.kube.objects["storages", NAMESPACE, self._name]

    @storage.setter
    def storage(self, raw: dict[str, Any]) -> None:
        metadata, kept = raw["metadata"], self.kube.server.storage
        self._name = metadata["name"]
        self.kube.objects["storages", NAMESPACE, self._name] = raw
        kept.version = max(kept.version, int(metadata["resourceVersion"]))

    def edit(self, **metadata: Any) -> None:
        """Change it as somebody else would; no watch tells."""
        self.kube.change("storages", self._name, {"metadata": metadata})

    @property
    def patches(self) -> list[dict[str, Any]]:
        """What was sent to change it."""
        return [request.document() for request in self.kube.server.requests if request.method == "PATCH"]

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message."""
        (found,) = [item for item in self.storage["status"]["conditions"] if item["type"] == kind]
        return found["status"], found["reason"], found["message"]

    def conditions(self) -> dict[str, str]:
        return {item["type"]: item["reason"] for item in self.storage["status"]["conditions"]}

    async def settle(self) -> None:
        """Check each Storage as often as its task is woken."""
        while self.changed:
            await self.checks.check(self.changed.pop())
