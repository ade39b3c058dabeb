"""A store is asked once for all who wait; the Storage's status says what came of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest

from componentrun.controller.storages.identity import StoreId
from componentrun.controller.storages.scopes import Scopes
from componentrun.controller.watching.caches import Key
from componentrun.core.storages.scope import Scope, ScopeMethod
from componentrun.errors import PlatformError, Reason
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.errors import NoAnswerError
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.agents import StageOutResult
from tests.unit.controller import virtualtime
from tests.unit.controller.fakes import FakeOperator
from tests.unit.controller.fakes import World as Cluster
from tests.unit.controller.kubelet import Node
from tests.unit.controller.onestorage import NOW, SEEN, World

KEY = Key("team", "main")


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_new_storage_is_asked_about_once_and_its_status_says_so(world: World) -> None:
    world.storages.seen(world.storage)
    await world.settle()
    assert world.asked == 1
    assert len(world.patches) == 1
    assert world.conditions() == {
        "Scoped": "SignedForms",
        "Versioned": "VersionsKept",
        "Catalog": "NoCatalog",
        "Ready": "Scoped",
    }


async def test_runs_that_start_at_once_wait_for_one_answer(world: World) -> None:
    opened = await world.open()
    assert await asyncio.gather(*(world.scopes.of(opened) for _ in range(20))) == [SEEN] * 20
    assert world.asked == 1


async def test_runs_that_start_at_once_hear_together_that_the_store_is_away(world: World) -> None:
    world.answer = NoAnswerError("can't list: the store did not answer", "operation timed out")
    opened = await world.open()
    waiting = [asyncio.create_task(world.scopes.of(opened)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    cancelled, *told = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert ({type(error) for error in told}, world.asked) == ({NoAnswerError}, 1)


def test_a_store_that_never_comes_to_an_end_is_given_up() -> None:
    async def scene() -> float:
        world = World()

        async def drips(*_: Any) -> Scope:
            await asyncio.Event().wait()
            return SEEN

        scopes = Scopes(lambda: NOW, cast("Any", drips))
        store = open_store(StoreSettings(bucket="bucket", endpoint="http://store.test"))
        opened = replace(await world.open(), store=store)
        with pytest.raises(NoAnswerError, match="not determined within 30 s"):
            await scopes.of(opened)
        return asyncio.get_running_loop().time()

    assert virtualtime.run(scene()) == 30


async def goes_down(world: World) -> None:
    store = StoreId("team", "main", "u", 1)
    for _ in range(3):
        with suppress(NoAnswerError):
            async with world.gate.asking(store):
                raise NoAnswerError("can't read `k`: the store did not answer", "operation timed out")


async def test_a_store_that_stops_to_respond_is_told_in_the_status_at_once_and_so_is_its_return(world: World) -> None:
    world.storages.seen(world.storage)
    await world.settle()
    assert (world.asked, world.conditions()["Ready"]) == (1, "Scoped")
    await goes_down(world)
    await world.settle()
    (ready,) = [item for item in world.storage["status"]["conditions"] if item["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "StorageUnavailable")
    assert ready["message"].startswith("Storage `main` has not responded since 2026-03-01T12:00:00Z")
    assert world.conditions()["Scoped"] == "SignedForms", "what was found out holds all the same"
    await asyncio.sleep(1.1)  # the first pause of a breaker
    async with world.gate.asking(StoreId("team", "main", "u", 1)):
        """It answers."""
    await world.settle()
    assert (world.asked, world.conditions()["Ready"]) == (2, "Scoped")


async def test_a_storage_that_is_edited_or_deleted_is_not_taken_for_one_that_does_not_respond(world: World) -> None:
    world.storages.seen(world.storage)
    await world.settle()
    await goes_down(world)
    world.edit(generation=2)
    world.storages.seen(world.storage)
    await world.settle()
    assert world.conditions()["Ready"] == "Scoped"
    await goes_down(world)
    world.storages.gone(KEY, world.storages.uid(KEY))
    await world.settle()
    assert world.gate._states == {}
    assert "unresponsive{" not in world.metrics.render().decode()


async def test_what_a_run_has_brought_is_written_down_without_asking_again(world: World) -> None:
    await world.scopes.of(await world.open())
    world.storages.seen(world.storage)
    await world.settle()
    assert (world.asked, len(world.patches)) == (1, 1)


async def test_an_operator_that_starts_anew_reads_the_answer_in_the_status(world: World) -> None:
    world.storages.seen(world.storage)
    await world.settle()
    later = Scopes(lambda: NOW, cast("Any", world.find))
    assert await later.of(await world.open()) == SEEN
    assert world.asked == 1


async def test_a_changed_spec_is_asked_about_anew(world: World) -> None:
    world.storages.seen(world.storage)
    await world.settle()
    world.answer = Scope(ScopeMethod.NONE, "leaks", versioned=False)
    metadata = {**world.storage["metadata"], "generation": 2, "resourceVersion": "9"}
    world.storage = {**world.storage, "metadata": metadata}
    world.storages.seen(world.storage)
    await world.settle()
    assert world.asked == 2
    assert world.conditions()["Ready"] == "StorageUnscoped"
    assert (await world.scopes.of(await world.open())).means is ScopeMethod.NONE


async def test_a_store_that_refuses_is_told_in_the_status_and_not_asked_again_at_once(world: World) -> None:
    world.answer = PlatformError("wrong keys", Reason.STORAGE_ACCESS_DENIED)
    world.storages.seen(world.storage)
    async with asyncio.timeout(5):
        await world.settle()
    assert world.conditions() == {
        "Ready": "StorageAccessDenied",
        "Scoped": "StorageAccessDenied",
        "Catalog": "NoCatalog",
    }
    assert (world.asked, len(world.patches)) == (1, 1)


async def test_an_edited_storage_is_asked_about_at_once_though_the_store_had_just_refused(world: World) -> None:
    world.answer = PlatformError("wrong keys", Reason.STORAGE_ACCESS_DENIED)
    world.storages.seen(world.storage)
    async with asyncio.timeout(5):
        await world.settle()
    world.answer = SEEN
    world.edit(generation=2)
    world.storages.seen(world.storage)
    await world.settle()
    assert (world.asked, world.conditions()["Ready"]) == (2, "Scoped")


async def test_one_that_can_not_be_read_is_told_once_and_without_a_trace(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.storage["spec"]["endpoint"] = "http://minio\u00a0.test"
    world.storages.seen(world.storage)
    await world.settle()
    (told,) = caplog.records
    assert "Storage team/main can't be read by this release of the operator: `spec.endpoint`: " in told.message
    assert (told.exc_info, world.asked) == (None, 0)


async def test_an_operator_that_stands_by_asks_nobody(world: World) -> None:
    world.checks.activate(False)
    world.storages.seen(world.storage)
    await world.settle()
    assert (world.asked, world.patches) == (0, [])


LEAKS = Scope(ScopeMethod.NONE, "`..` leads out", versioned=False)


async def test_a_run_on_a_store_that_does_not_keep_grants_apart_ends_and_says_why() -> None:
    world = Cluster()
    world.scope = LEAKS
    world.add_run()
    await FakeOperator(world).live()
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "StorageUnscoped")
    assert "`..` leads out" in status["message"]
    assert "allowUnscoped" in status["message"]
    assert not world.kube.of("pods")
    assert not world.kube.of("secrets")


async def test_where_the_storage_allows_it_the_run_succeeds_with_a_warning() -> None:
    world = Cluster()
    world.scope, world.storage = LEAKS, {"allowUnscoped": True}
    world.add_run()
    await FakeOperator(world).live()
    status = world.run()["status"]
    assert (status["phase"], status["result"]) == ("Succeeded", "Warning")
    assert "allowUnscoped" in status["warnings"][0]
    assert len(status["warnings"]) == 1


async def test_so_does_one_that_has_nothing_to_publish() -> None:
    world = Cluster()
    world.scope, world.storage, world.writes_table = LEAKS, {"allowUnscoped": True}, False
    world.add_run()
    operator = FakeOperator(world)
    await operator.start()
    await Node(world, said=StageOutResult(ok=True, empty=True)).live(operator, 8)
    status = world.run()["status"]
    assert (status["phase"], status["result"]) == ("Succeeded", "Warning")
    assert "allowUnscoped" in status["warnings"][0]
