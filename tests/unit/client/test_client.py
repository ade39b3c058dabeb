"""The clients against an API server on a socket, and a store in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import MemoryStore

from componentrun.client import (
    AlreadyExistsError,
    AsyncClient,
    Client,
    NotFoundError,
    RunUserError,
    WaitTimeoutError,
)
from componentrun.client.kubernetes.client import KubeCluster
from componentrun.client.storage.objects import ObjectStore
from componentrun.client.storage.threads import LoopThread
from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.blocking import BlockingKube
from componentrun.process.kubernetes.client import Kube
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.fakekube.faults import Fault
from tests.fakekube.http import HttpServer
from tests.fakekube.server import ApiServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RUNS = "componentruns"


class Observer:
    def request_done(self, method: str, code: str, host: str) -> None:
        """No metrics."""


@pytest.fixture
def api() -> ApiServer:
    return ApiServer("team")


@pytest.fixture
async def client(api: ApiServer) -> AsyncIterator[Client]:
    async with HttpServer(api) as server:
        made = Client.of(KubeCluster(BlockingKube(Access(server.url)), "team"))
        yield made
        await asyncio.to_thread(made.close)


@pytest.fixture
async def async_client(api: ApiServer) -> AsyncIterator[AsyncClient]:
    async with HttpServer(api) as server:
        access = Access(server.url)
        blocking = Client.of(KubeCluster(BlockingKube(access), "team"))
        async with AsyncClient.of(Kube(access, Observer()), blocking) as made:
            yield made


def end(api: ApiServer, name: str, phase: str = "Succeeded", reason: str = "", **status: Any) -> None:
    status |= {"phase": phase, "reason": reason or phase, "events": {"delivered": True}}
    api.change(RUNS, "team", name, {"status": status})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the server announces nothing
            await asyncio.sleep(0.01)


def is_watched(api: ApiServer) -> bool:
    return any(request.is_watch for request in api.requests)


async def test_a_run_is_waited_for_by_a_watch(api: ApiServer, client: Client) -> None:
    run = await asyncio.to_thread(client.submit, "delays", tables={"in.c-a.b": "b.csv"})
    waiting = asyncio.create_task(asyncio.to_thread(run.wait, 30))
    await until(lambda: is_watched(api))
    end(api, run.name)
    assert (await waiting).result.succeeded
    assert len([request for request in api.requests if request.method == "GET" and not request.is_watch]) == 0


async def test_a_wait_ends_in_time_and_the_run_goes_on(api: ApiServer, client: Client) -> None:
    run = await asyncio.to_thread(client.submit, "delays")
    with pytest.raises(WaitTimeoutError, match="is not over yet: it is `Queued`"):
        await asyncio.to_thread(run.wait, 0.2)
    assert "cancel" not in api.of(RUNS)[0]["spec"]


async def test_a_run_that_is_deleted_is_not_waited_for(api: ApiServer, client: Client) -> None:
    run = await asyncio.to_thread(client.submit, "delays")
    waiting = asyncio.create_task(asyncio.to_thread(run.wait, 30))
    await until(lambda: is_watched(api))
    api.remove(RUNS, "team", run.name)
    with pytest.raises(NotFoundError, match="was deleted before it ended"):
        await waiting


async def test_a_failed_run_raises_an_error_of_its_class(api: ApiServer, client: Client) -> None:
    run = await asyncio.to_thread(client.submit, "delays")
    end(api, run.name, "Failed", "UserError", message="No such column.")
    await asyncio.to_thread(run.wait, 30)
    with pytest.raises(RunUserError, match="No such column"):
        run.raise_for_status()


async def test_a_second_submit_with_the_same_name_returns_the_same_run(client: Client) -> None:
    first = await asyncio.to_thread(client.submit, "delays", name="job-1", parameters={"a": 1})
    second = await asyncio.to_thread(client.submit, "delays", name="job-1", parameters={"a": 1})
    assert second.model.metadata.uid == first.model.metadata.uid
    with pytest.raises(AlreadyExistsError):
        await asyncio.to_thread(client.submit, "delays", name="job-1", parameters={"a": 2})


async def test_a_creation_whose_answer_is_lost_makes_one_run(api: ApiServer, client: Client) -> None:
    api.faults.add(Fault(lost="answer"), "POST", RUNS)
    run = await asyncio.to_thread(client.submit, "delays")
    assert [found["metadata"]["name"] for found in api.of(RUNS)] == [run.name]


async def test_an_exception_cancels_the_run(api: ApiServer, client: Client) -> None:
    def interrupted() -> None:
        with client.submit("delays"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(interrupted)
    assert api.of(RUNS)[0]["spec"]["cancel"] is True


async def test_the_asynchronous_client_does_the_same(api: ApiServer, async_client: AsyncClient) -> None:
    run = await async_client.submit("delays", name="job-1")
    assert (await async_client.submit("delays", name="job-1")).model.metadata.uid == run.model.metadata.uid
    with pytest.raises(WaitTimeoutError):
        await run.wait(0.1)
    waiting = asyncio.create_task(run.wait(30))
    await until(lambda: is_watched(api))
    end(api, run.name)
    assert (await waiting).raise_for_status().result.succeeded
    assert [found.name for found in await async_client.list()] == ["job-1"]
    with pytest.raises(NotFoundError):
        await async_client.get("other")


async def test_a_cancelled_task_cancels_its_run(api: ApiServer, async_client: AsyncClient) -> None:
    async def work() -> None:
        async with await async_client.submit("delays") as run:
            await run.wait()

    task = asyncio.create_task(work())
    await until(lambda: is_watched(api))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert api.of(RUNS)[0]["spec"]["cancel"] is True


async def test_storage_can_be_used_in_a_thread_that_has_an_event_loop() -> None:
    runner = LoopThread()
    store = ObjectStore(Store(StoreSettings(bucket="tables"), MemoryStore()), runner=runner)
    assert store.files.find(name=None, glob=None, tags=(), limit=None) == []
    runner.close()
