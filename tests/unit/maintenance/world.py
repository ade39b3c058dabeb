"""Namespaces in memory, and a store in memory for each bucket."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from obstore.store import MemoryStore

from componentrun.maintenance import app, places
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from componentrun.storage.cleanup.sweep import sweep
from componentrun.storage.events import sweep as eventsweep
from componentrun.storage.events.events import About, Event
from componentrun.storage.events.runs import EventRun, ended_runs, enter_ended, enter_open, open_runs
from componentrun.storage.events.segments import append_segment
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.fakekube.inprocess import InProcessKube
from tests.fakekube.server import ApiServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import pytest

    from componentrun.storage.store.connection import ObjectInfo

NOW = datetime.now(UTC)


class World:
    """Namespaces, and a store in memory for each bucket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kube = InProcessKube(ApiServer("team"))
        self.backends: dict[str, MemoryStore] = {}
        self.away: dict[str, Exception] = {}

        def opened(settings: StoreSettings) -> Store:
            store = Store(settings, self.backends.setdefault(settings.bucket, MemoryStore()))
            if settings.bucket in self.away:
                monkeypatch.setattr(store, "page", self._refuse(self.away[settings.bucket]))
            return store

        @asynccontextmanager
        async def connected() -> AsyncIterator[InProcessKube]:
            yield self.kube

        async def connect(_observer: object) -> Any:
            return connected()

        monkeypatch.setattr(places, "open_store", opened)
        monkeypatch.setattr(app, "connect", connect)
        # Hidden versions need a client that is not in memory.
        monkeypatch.setattr(app, "sweep", lambda store, keep, **_: sweep(store, keep))
        # What the tests write is new; here it is old enough.
        monkeypatch.setattr(eventsweep, "LEAST_KEEP", -timedelta(hours=1))

    def _refuse(self, error: Exception) -> Callable[..., Awaitable[list[ObjectInfo]]]:
        async def refuse(_prefix: str, **_: Any) -> list[ObjectInfo]:
            raise error

        return refuse

    def storage(self, name: str, bucket: str, keep: str | None) -> None:
        events = {"events": {"keep": keep}} if keep is not None else {}
        self._add(STORAGES, name, {"bucket": bucket, **events})

    def component(self, name: str, keep: Any) -> None:
        self._add(COMPONENTS, name, {"image": "i", "events": {"keep": keep}})

    def cluster_component(self, name: str, keep: Any) -> None:
        self._add(CLUSTER_COMPONENTS, name, {"image": "i", "events": {"keep": keep}})

    def _add(self, what: Any, name: str, spec: dict[str, Any]) -> None:
        metadata = {"name": name, "uid": f"uid-{name}"}
        self.kube.server.put(what.plural, {"metadata": metadata, "spec": spec})

    def run(self, name: str) -> None:
        self._add(RUNS, name, {})

    async def said(self, bucket: str, uid: str, component: str, days: int, *, ended: bool = True) -> None:
        store, time = self.store(bucket), NOW - timedelta(days=days)
        event = Event(f"{uid}-1", 1, time.isoformat(), uid, component, "", "info", "x")
        run, about = EventRun(uid, component, ""), About().following(uid, [event], time)
        await enter_open(store, run)
        await append_segment(store, uid, 1, [event], {}, about)
        if ended:
            await enter_ended(store, run, about)

    def store(self, bucket: str) -> Store:
        return Store(StoreSettings(bucket), self.backends.setdefault(bucket, MemoryStore()))

    async def left(self, bucket: str) -> set[str]:
        return {run.run async for run in ended_runs(self.store(bucket))} | set(await open_runs(self.store(bucket)))
