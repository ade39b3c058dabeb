"""From a Storage object to a receiver that gets events: found, changed, taken away, and what is wrong with it.

Faked: the Kubernetes API. Real: HTTP, the subscriptions, the worker's writer; Storage is in memory.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import MemoryStore

from componentrun.api.storage import Storage
from componentrun.collector.events import stores as stores_module
from componentrun.collector.events.journal import Limits
from componentrun.collector.events.stores import Stores
from componentrun.collector.events.writer import EventWriter, SupersededError
from componentrun.collector.forward import delivery as delivery_module
from componentrun.collector.forward import forwarder as module
from componentrun.collector.forward import subscription as lane_module
from componentrun.collector.forward.forwarder import Forwarder
from componentrun.collector.metrics import Metrics
from componentrun.collector.runs.lifecycle import LifecycleEvent
from componentrun.collector.runs.state import RunState
from componentrun.core.redact.redactor import Redactor
from componentrun.process.logs import RunLogger
from componentrun.storage.events.forwardmarks import marked_runs, read_mark
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.unit.collector.fakekube import FakeKube
from tests.unit.collector.forward.receiver import OTHER, SECRET, Answering, got
from tests.unit.collector.runs import UID, a_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOG = RunLogger(logging.getLogger("test"), "team", "clean")


class World:
    """A namespace with a Storage, and a collector in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, receiver: Answering) -> None:
        monkeypatch.setattr(lane_module, "_LINGER", 0.0)
        monkeypatch.setattr(lane_module, "_FIRST_PAUSE", 0.001)
        monkeypatch.setattr(delivery_module, "_FIRST_PAUSE", 0.001)
        self.store = Store(StoreSettings("a-bucket", name="main"), MemoryStore())
        monkeypatch.setattr(stores_module, "open_store", lambda _settings, **_: self.store)
        monkeypatch.setattr(stores_module, "_TRIED_SECONDS", -1.0)
        monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
        self.receiver, self.metrics, self.kube = receiver, Metrics(), FakeKube()
        self.webhook: dict[str, Any] = {"url": receiver.url, "secretName": "hook"}
        self.secret(SECRET)
        self.storage(webhook=self.webhook)
        self.begun: list[Forwarder] = []
        self.begin()

    def begin(self) -> None:
        """A collector starts."""
        kube: Any = self.kube
        self.forwarder = Forwarder(kube, self.metrics, lambda _: True)
        self.begun.append(self.forwarder)
        self.stores = Stores(kube, None, self.forwarder)

    def storage(self, **events: Any) -> None:
        spec = {"bucket": "a-bucket", "default": True, "events": events}
        self.kube.server.put("storages", {"metadata": {"name": "main"}, "spec": spec})

    def secret(self, value: str) -> None:
        data = {"secret": base64.b64encode(value.encode()).decode()}
        self.kube.server.put("secrets", {"metadata": {"name": "hook"}, "data": data})

    async def reopen(self) -> None:
        """The collector reads the Storage again."""
        self.stores.forget("team", None)
        await self.stores.get("team", None)

    async def write(self, first: int, *messages: str, last: bool = False) -> None:
        """What a worker does with a segment."""
        state = RunState(a_run())
        writer = EventWriter(state, self.stores, self.metrics, LOG, Limits())
        journal = await writer.journal()
        assert journal.next_seq == first
        for number, message in enumerate(messages):
            told = LifecycleEvent(f"{first}-{number}", 1_795_506_393 * 10**9, "info", message)
            if last and number == len(messages) - 1:
                journal.finish(told, Redactor())
            else:
                journal.add_lifecycle(told, Redactor())
        await writer.write(journal.take_segment())

    async def until_sent(self) -> None:
        async with asyncio.timeout(20):
            while [run async for run in marked_runs(self.store, "team/main/webhook")]:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch, receiver: Answering) -> AsyncIterator[World]:
    monkeypatch.setattr(delivery_module, "PATIENCE", delivery_module.PATIENCE * 10_000)  # the events are of a fixed day
    made = World(monkeypatch, receiver)
    yield made
    for forwarder in made.begun:
        await forwarder.stop()


async def test_what_a_worker_writes_is_sent(world: World) -> None:
    await world.write(1, "accepted", "running")
    await world.write(3, "over", last=True)
    await world.until_sent()
    assert got(world.receiver) == [f"{UID}-1", f"{UID}-2", f"{UID}-3"]
    assert {event["subject"] for request in world.receiver.taken for event in request.json} == {"clean"}


async def test_a_storage_without_receivers_has_no_lanes_and_no_marks(world: World) -> None:
    world.storage(keep="30d")
    await world.write(1, "accepted", last=True)
    assert world.forwarder.subscriptions("team", "main") == ()
    assert [info.key async for info in world.store.objects(world.store.layout.event_index.forward_marks())] == []


async def test_a_secret_that_is_missing_holds_events_back_and_loses_none(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    secret = world.kube.server.remove("secrets", "team", "hook")
    await world.write(1, "accepted", "over", last=True)
    assert "team/main: events wait for its webhook: there is no Secret `hook`" in caplog.text
    world.kube.server.put("secrets", secret)
    await world.reopen()
    await world.until_sent()
    assert got(world.receiver) == [f"{UID}-1", f"{UID}-2"]


async def test_a_secret_that_changes_is_used_and_never_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await world.write(1, "accepted")
    await world.receiver.until(lambda: len(world.receiver.taken) == 1)
    other = f"whsec_{base64.b64encode(OTHER).decode()}"
    world.secret(f"{SECRET} {other}")
    await world.reopen()
    await world.write(2, "over", last=True)
    await world.until_sent()
    signatures = [request.headers["webhook-signature"].split(" ") for request in world.receiver.taken]
    assert [len(found) for found in signatures] == [1, 2]
    assert not any(part in caplog.text for part in (SECRET, other, SECRET[6:], other[6:]))


async def test_what_a_dead_collector_did_not_send_is_found_and_sent(world: World) -> None:
    world.receiver.status = 500
    await world.write(1, "accepted", "over", last=True)
    await world.receiver.until(lambda: len(world.receiver.requests) > 1)
    world.receiver.status = 200
    for task in world.forwarder._tasks.values():
        task.cancel()
    world.begin()
    looking = asyncio.create_task(world.forwarder.run(world.stores, ("team",)))
    await world.until_sent()
    looking.cancel()
    assert got(world.receiver)[-2:] == [f"{UID}-1", f"{UID}-2"]


async def test_a_store_that_hangs_keeps_no_other_namespace_from_what_was_not_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.receiver.status = 500
    await world.write(1, "accepted", "over", last=True)
    await world.receiver.until(lambda: len(world.receiver.requests) > 1)
    world.receiver.status = 200
    for task in world.forwarder._tasks.values():
        task.cancel()
    world.begin()
    main = world.kube.server.remove("storages", "team", "main")
    hanging = main | {"metadata": {"name": "hanging", "namespace": "another"}}
    for storage in (hanging, main):
        world.kube.server.put("storages", storage)
    get = world.stores.get

    async def get_or_hang(namespace: str, name: str | None, since: float = 0.0) -> Store:
        if namespace == "another":
            await asyncio.Event().wait()
        return await get(namespace, name, since)

    monkeypatch.setattr(world.stores, "get", get_or_hang)
    looking = asyncio.create_task(world.forwarder.run(world.stores, ()))
    await world.until_sent()
    looking.cancel()
    assert got(world.receiver)[-2:] == [f"{UID}-1", f"{UID}-2"]


async def test_a_namespace_with_many_stores_that_hang_does_not_delay_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        spec = {"bucket": "a-bucket", "events": {"webhook": world.webhook}}
        world.kube.server.put("storages", {"metadata": {"name": f"s{number}"}, "spec": spec})
    monkeypatch.setattr(module, "_STORAGE_SECONDS", 0.01)
    monkeypatch.setattr(module, "_NAMESPACE_SECONDS", 0.02)
    tried: list[str] = []

    async def hang(_: str, name: str) -> None:
        tried.append(name)
        await asyncio.Event().wait()

    monkeypatch.setattr(world.stores, "get", hang)
    await world.forwarder._look(world.stores, None)
    assert 1 <= len(tried) <= 3


async def test_a_store_that_hangs_at_the_end_keeps_no_other_receiver_from_being_marked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, is_ending = Store.put, asyncio.Event()
    hanging = world.store.layout.event_index.forward_marks("team/hanging/webhook")

    async def put_or_hang(self: Store, key: str, data: bytes) -> str:
        if is_ending.is_set() and key.startswith(hanging):
            await asyncio.Event().wait()
        return await put(self, key, data)

    monkeypatch.setattr(Store, "put", put_or_hang)
    for name in ("hanging", "main"):
        spec = {"bucket": "a-bucket", "events": {"webhook": world.webhook}}
        storage = {"metadata": {"name": name, "namespace": "team"}, "spec": spec}
        await world.forwarder.configure(Storage.model_validate(storage), world.store)
        (subscription,) = world.forwarder.subscriptions("team", name)
        await subscription.enter("r1", "r1", 1)
        subscription.segment_written("r1", 1, 3, is_wanted=False, is_finished=False)
    is_ending.set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await world.forwarder.stop()
    assert await read_mark(world.store, "team/main/webhook", "r1") == 3


async def test_a_receiver_that_is_taken_away_gets_nothing_more(world: World) -> None:
    await world.write(1, "accepted")
    await world.receiver.until(lambda: len(world.receiver.taken) == 1)
    world.storage()
    await world.reopen()
    assert world.forwarder.subscriptions("team", "main") == ()
    await world.write(2, "over", last=True)
    assert got(world.receiver) == [f"{UID}-1"]


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_receiver_that_is_taken_away_gets_nothing_more_though_no_run_writes(
    world: World, deleted: bool
) -> None:
    await world.write(1, "accepted")
    await world.receiver.until(lambda: len(world.receiver.taken) == 1)
    if deleted:
        world.kube.server.remove("storages", "team", "main")
    else:
        world.storage(keep="30d")
    looking = asyncio.create_task(world.forwarder.run(world.stores, ("team",)))
    async with asyncio.timeout(10):
        while world.forwarder.subscriptions("team", "main"):  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
    looking.cancel()


async def test_the_end_that_another_collector_wrote_and_did_not_send_is_sent(world: World) -> None:
    """Two collectors have a run while shards change, and the one that wrote its last segment ends before it sent it."""
    await world.write(1, "accepted")
    await world.receiver.until(lambda: len(world.receiver.taken) == 1)
    ours = world.forwarder, world.stores
    world.receiver.status = 500
    late = EventWriter(RunState(a_run()), world.stores, world.metrics, LOG, Limits())
    journal = await late.journal()
    world.begin()
    await world.write(2, "over", last=True)
    await world.forwarder.stop()
    world.receiver.status = 200
    world.forwarder, world.stores = ours
    journal.add_lifecycle(LifecycleEvent("other", 1_795_506_393 * 10**9, "info", "what was seen here"), Redactor())
    with pytest.raises(SupersededError):
        await late.write(journal.take_segment())
    await world.until_sent()
    assert got(world.receiver) == [f"{UID}-1", f"{UID}-2"]


async def test_an_api_server_in_trouble_ends_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.kube.server.put("storages", {"metadata": {"name": "broken", "namespace": "team"}, "spec": {}})
    looking = asyncio.create_task(world.forwarder.run(world.stores, ("team",)))
    async with asyncio.timeout(10):
        while "team/broken" not in caplog.text:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
    assert not looking.done()
    looking.cancel()


@pytest.mark.parametrize(
    "change",
    [
        {"webhook": {"url": "https://[hook", "secretName": "hook"}},
        {"webhook": {"url": "https://hook.test", "secretName": "hook", "caBundle": "\u00e9"}},
    ],
)
async def test_a_receiver_that_is_none_keeps_nobody_from_the_others(world: World, change: dict[str, Any]) -> None:
    world.receiver.status = 500
    await world.write(1, "over", last=True)
    await world.receiver.until(lambda: len(world.receiver.requests) > 0)
    world.receiver.status = 200
    for task in world.forwarder._tasks.values():
        task.cancel()
    there = world.kube.server.remove("storages", "team", "main")
    metadata = {"name": "aaa", "namespace": "team"}
    world.kube.server.put("storages", {"metadata": metadata, "spec": {"bucket": "a-bucket", "events": change}})
    world.kube.server.put("storages", there)
    world.begin()
    looking = asyncio.create_task(world.forwarder.run(world.stores, ("team",)))
    await world.until_sent()
    looking.cancel()


def test_a_storage_says_where_to() -> None:
    spec = {"bucket": "a-bucket", "events": {"webhook": {"url": "https://u:p@hook.test", "secretName": "a"}}}
    with pytest.raises(ValueError, match="url"):
        Storage.model_validate({"metadata": {"name": "main"}, "spec": spec})
