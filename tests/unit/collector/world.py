"""A cluster and a store in memory, and one run that a worker has to deliver."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from obstore.store import MemoryStore

from componentrun.api import names
from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.state import RunState
from componentrun.collector.runs.worker import Services, Worker
from componentrun.collector.settings import Settings
from componentrun.storage.events.reader import read_events
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.unit.collector.fakekube import FakeKube, Play
from tests.unit.collector.node import line
from tests.unit.collector.runs import UID, container, ended_run, raw_pod

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from componentrun.errors import PlatformError
    from componentrun.storage.events.events import Event

T0 = 1_795_506_393 * SECOND
ATTEMPT = {"number": 1, "pod": "clean-1", "podUID": "pod-uid", "startTime": "2026-11-24T07:00:00Z", "node": "node1"}
COMPONENT_RAN = container(names.COMPONENT, "terminated", exitCode=0)


def log(*texts: str, begin: int = 0) -> bytes:
    return b"".join(line(T0 + begin + number, text.encode()) + b"\n" for number, text in enumerate(texts))


@dataclass
class FakeStores:
    """One store in memory, or errors instead."""

    store: Store = field(default_factory=lambda: Store(StoreSettings("a-bucket"), MemoryStore()))
    errors: list[PlatformError] = field(default_factory=list)
    always: PlatformError | None = None
    asked: list[str | None] = field(default_factory=list)

    async def get(self, _namespace: str, name: str | None, _since: float = 0.0) -> Store:
        self.asked.append(name)
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        if self.always is not None:
            raise self.always
        return self.store

    def forget(self, _namespace: str, _name: str | None) -> None:
        """Nothing is kept."""

    def subscriptions(self, _namespace: str, _store: Store) -> tuple[()]:
        """Nobody else gets events."""
        return ()


@dataclass
class World:
    """What a worker sees."""

    kube: FakeKube = field(default_factory=FakeKube)
    stores: FakeStores = field(default_factory=FakeStores)
    settings: Settings = field(
        default_factory=lambda: Settings(collector_segment_seconds=0.05, events_wait_seconds=0.25)
    )
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        kube: Any = self.kube
        stores: Any = self.stores
        self.services = Services(kube, stores, self.metrics, self.settings)

    async def work(self, state: RunState) -> None:
        async with asyncio.timeout(30):
            await Worker(state, self.services).work()

    async def events(self) -> list[Event]:
        return [event async for event in read_events(self.stores.store, UID)]

    async def messages(self) -> list[str]:
        return [event.message for event in await self.events()]

    def reported(self) -> dict[str, Any]:
        (patch,) = self.kube.patched
        return dict(patch["status"]["events"])


def with_pod(world: World, *plays: Play, secrets: list[str] | None = None, **status: Any) -> RunState:
    """A run that has ended, and its pod with a component that has ended."""
    world.kube.logs.plays[names.COMPONENT] = list(plays)
    world.kube.add_secret("clean-1", secrets or [])
    state = RunState(ended_run(attempts=[ATTEMPT], **status))
    state.pod_changed(pod_facts(raw_pod(COMPONENT_RAN, phase="Succeeded")))
    return state


async def has(world: World, message: str) -> bool:
    return message in await world.messages()


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await check():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
