"""A run's events are in one Storage: where the run is, whatever becomes of the namespace's default one meanwhile."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from obstore.store import MemoryStore

from componentrun.collector.events import stores as stores_module
from componentrun.collector.events.journal import Limits
from componentrun.collector.events.stores import Stores
from componentrun.collector.events.writer import EventWriter, SupersededError
from componentrun.collector.metrics import Metrics
from componentrun.collector.runs.lifecycle import LifecycleEvent
from componentrun.collector.runs.state import RunState
from componentrun.core.redact.redactor import Redactor
from componentrun.process.logs import RunLogger
from componentrun.storage.events.segments import list_events
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.unit.collector.fakekube import FakeKube
from tests.unit.collector.runs import UID, a_run


class World:
    """A namespace with two Storages, of which `old` is the default one, and who writes a run's events."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.memory: dict[str, MemoryStore] = {"old": MemoryStore(), "new": MemoryStore()}
        monkeypatch.setattr(stores_module, "_KEPT_SECONDS", -1.0)
        monkeypatch.setattr(stores_module, "open_store", self.open)
        self.kube = FakeKube()
        self.default("old")
        kube: Any = self.kube
        self.stores, self.state = Stores(kube), RunState(a_run())
        self.writer = self.begin()

    def begin(self) -> EventWriter:
        log = RunLogger(logging.getLogger("test"), "team", "clean")
        return EventWriter(self.state, self.stores, Metrics(), log, Limits())

    def open(self, settings: StoreSettings, **_: object) -> Store:
        return Store(settings, self.memory[settings.name])

    def default(self, wanted: str) -> None:
        for name in self.memory:
            self.kube.add_storage(name, default=name == wanted)

    async def segments(self, name: str) -> int:
        return len((await list_events(await self.stores.get("team", name), UID)).segments)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_another_default_storage_does_not_split_the_events_of_a_run_that_goes_on(world: World) -> None:
    journal = await world.writer.journal()
    for number in range(3):
        journal.add_lifecycle(LifecycleEvent(str(number), 1, "info", "a"), Redactor())
        await world.writer.write(journal.take_segment())
        world.default("new")
    assert (await world.segments("old"), await world.segments("new")) == (3, 0)
    assert await world.writer.close() == ""


async def test_what_did_not_work_is_read_again_also_for_those_who_ask_for_the_default_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores_module, "_KEPT_SECONDS", 60.0)
    monkeypatch.setattr(stores_module, "_TRIED_SECONDS", -1.0)
    first = await world.stores.get("team", None)
    assert await world.stores.get("team", "old") is first
    world.stores.forget("team", "old")
    again = await world.stores.get("team", None)
    assert again is not first
    assert await world.stores.get("team", "old") is again


async def test_a_run_that_waited_while_the_default_changed_has_all_of_its_events_where_it_began(world: World) -> None:
    journal = await world.writer.journal()
    journal.add_lifecycle(LifecycleEvent("accepted", 1, "info", "the run was accepted"), Redactor())
    await world.writer.write(journal.take_segment())
    world.default("new")
    world.state.run_changed(a_run(storage="new"))
    journal.add_lifecycle(LifecycleEvent("began", 2, "info", "the component is running"), Redactor())
    with pytest.raises(SupersededError, match="the run uses Storage `new`, and its first events are in `old`"):
        await world.writer.write(journal.take_segment())
    again = world.begin()
    assert (await again.journal()).next_seq == 1


async def test_what_was_changed_before_a_run_holds_for_its_events(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Storage was deleted and created again under its name, for another place, and then a run was created."""
    monkeypatch.setattr(stores_module, "_KEPT_SECONDS", 300.0)
    await world.writer.journal()
    old, _ = world.memory["old"], world.memory.update(old=MemoryStore())
    world.kube.server.change("storages", "team", "old", {"metadata": {"uid": "another"}})
    assert (await world.stores.get("team", None))._backend is old, "who goes on is not split from what was said"
    writer = world.begin()
    journal = await writer.journal()
    journal.add_lifecycle(LifecycleEvent("accepted", 1, "info", "the run was accepted"), Redactor())
    await writer.write(journal.take_segment())
    assert (await list_events(Store(StoreSettings("a-bucket"), old), UID)).segments == ()
    assert await world.segments("old") == 1


async def test_runs_of_the_same_moment_have_it_looked_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores_module, "_KEPT_SECONDS", 300.0)
    looked, find = [], world.stores._find

    async def counted(*arguments: Any) -> Any:
        looked.append(arguments)
        await asyncio.sleep(0)
        return await find(*arguments)

    monkeypatch.setattr(world.stores, "_find", counted)
    outlets = [world.begin() for _ in range(50)]
    await asyncio.gather(*(writer.journal() for writer in outlets))
    assert len(looked) == 1
    first = await world.stores.get("team", "old")
    await world.begin().journal()
    assert len(looked) == 2
    assert await world.stores.get("team", "old") is first, "nothing has changed"
