"""How much is done at a time, whose turn it is, and what becomes of requests when their caller or the loader ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import TransientError, UnknownOutcomeError
from componentrun.loader.service.slots import FullError, Slots, StoppedError
from componentrun.process.fairqueue import Flow
from tests.unit.loader.serving import STORAGE, a_fence, a_load, a_plan, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from componentrun.controller.storages.loaderclient import LoaderClient
    from tests.unit.loader.serving import Served

OTHER = "other-team/default"


@asynccontextmanager
async def asked(folder: Path, **chosen: int) -> AsyncIterator[tuple[Served, LoaderClient]]:
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(folder, **chosen))
        yield served, await stack.enter_async_context(served.client())


def queued(served: Served, operation: str = "load") -> float:
    return served.number("componentrun_loader_requests_queued", operation=operation)


async def test_a_store_that_hangs_leaves_room_for_others(tmp_path: Path) -> None:
    async with asked(tmp_path, loads=2) as (served, client):
        runs = [f"hung-{number}" for number in range(50)]
        served.engine.held(*runs)
        hung = [asyncio.create_task(client.load(a_load(run), STORAGE)) for run in runs]
        await until(lambda: queued(served) == 49)
        for number in range(5):
            await client.load(a_load(f"quick-{number}"), OTHER)
        assert served.engine.begun[0].startswith("hung")
        assert len(served.engine.begun) == 6, "one of the namespace that hangs"
        for task in hung:
            task.cancel()


async def test_storages_of_a_namespace_take_turns(tmp_path: Path) -> None:
    async with asked(tmp_path, loads=2) as (served, client):
        free = served.engine.held("first")
        tasks = [asyncio.create_task(client.load(a_load("first"), "team/a"))]
        await until(lambda: served.engine.begun)
        for run, storage in (("a-1", "team/a"), ("a-2", "team/a"), ("a-3", "team/a"), ("b-1", "team/b")):
            before = queued(served)
            tasks.append(asyncio.create_task(client.load(a_load(run), storage)))
            await until(lambda before=before: queued(served) > before)  # type: ignore[misc]
        free.set()
        await asyncio.gather(*tasks)
        assert served.engine.begun == ["first", "a-1", "b-1", "a-2", "a-3"]


async def test_plans_and_fences_do_not_wait_behind_loads(tmp_path: Path) -> None:
    async with asked(tmp_path, loads=2) as (served, client):
        served.engine.held("one", "two", "three")
        loads = [
            asyncio.create_task(client.load(a_load(run), storage))
            for run, storage in (("one", STORAGE), ("two", OTHER), ("three", STORAGE))
        ]
        await until(lambda: queued(served) == 1)
        await client.plan(a_plan(), STORAGE)
        await client.fence(a_fence("fenced"), STORAGE)
        assert "three" not in served.engine.begun
        for task in loads:
            task.cancel()


async def test_a_queue_that_is_full_of_one_namespace_takes_another(tmp_path: Path) -> None:
    async with asked(tmp_path, loads=2, places=10) as (served, client):
        served.engine.held(*(f"run-{number}" for number in range(20)))
        tasks = [asyncio.create_task(client.load(a_load(f"run-{number}"), STORAGE)) for number in range(6)]
        await until(lambda: queued(served) == 5)
        with pytest.raises(TransientError, match="5 requests of namespace team wait already") as caught:
            await client.load(a_load("run-19"), STORAGE)
        assert not caught.value.unknown
        await client.load(a_load("another"), OTHER)
        assert served.number("componentrun_loader_requests_total", operation="load", outcome="busy") == 1
        for task in tasks:
            task.cancel()


async def test_a_request_whose_caller_is_gone_is_not_begun(tmp_path: Path) -> None:
    async with asked(tmp_path, loads=2) as (served, client):
        free = served.engine.held("first")
        first = asyncio.create_task(client.load(a_load("first"), STORAGE))
        await until(lambda: served.engine.begun)
        gone = asyncio.create_task(client.load(a_load("gone"), STORAGE))
        await until(lambda: queued(served) == 1)
        gone.cancel()
        await until(lambda: queued(served) == 0)
        free.set()
        await first
        await client.load(a_load("last"), STORAGE)
        assert served.engine.begun == ["first", "last"]
        assert served.number("componentrun_loader_requests_total", operation="load", outcome="gone") == 1


async def test_a_load_that_has_begun_is_finished_without_its_caller(tmp_path: Path) -> None:
    async with asked(tmp_path) as (served, client):
        free = served.engine.held("first")
        first = asyncio.create_task(client.load(a_load("first"), STORAGE))
        await until(lambda: served.engine.begun)
        first.cancel()
        await until(lambda: served.number("componentrun_loader_requests_total", operation="load", outcome="gone"))
        assert served.number("componentrun_loader_requests_in_progress", operation="load") == 1
        free.set()
        await until(lambda: served.engine.ended == ["first"])
        assert served.engine.cancelled == []
        await until(lambda: served.number("componentrun_loader_requests_in_progress", operation="load") == 0)


async def test_at_the_end_what_is_in_progress_is_answered_and_what_waits_is_sent_elsewhere(tmp_path: Path) -> None:
    async with asked(tmp_path, loads=2) as (served, client):
        free = served.engine.held("first")
        first = asyncio.create_task(client.load(a_load("first"), STORAGE))
        await until(lambda: served.engine.begun)
        waiting = asyncio.create_task(client.load(a_load("waiting"), STORAGE))
        await until(lambda: queued(served) == 1)
        stopping = asyncio.create_task(served.server.stop())
        with pytest.raises(TransientError, match="this loader ends") as caught:
            await waiting
        assert not caught.value.unknown
        assert served.server.unready()
        with pytest.raises(TransientError) as late:
            await client.load(a_load("late"), STORAGE)
        assert not late.value.unknown
        free.set()
        assert (await first).attempt == 1
        await stopping
        assert served.engine.begun == ["first"]


async def test_what_takes_longer_than_the_grace_period_is_cancelled_and_its_outcome_unknown(tmp_path: Path) -> None:
    async with serving(tmp_path, stop_seconds=1) as served, served.client() as client:
        served.engine.held("first")
        first = asyncio.create_task(client.load(a_load("first"), STORAGE))
        await until(lambda: served.engine.begun)
        await served.server.stop()
        assert served.engine.cancelled == ["first"]
        with pytest.raises(UnknownOutcomeError):
            await first


async def test_at_the_end_a_load_without_a_caller_is_finished_too(tmp_path: Path) -> None:
    async with asked(tmp_path) as (served, client):
        free = served.engine.held("first")
        first = asyncio.create_task(client.load(a_load("first"), STORAGE))
        await until(lambda: served.engine.begun)
        first.cancel()
        await until(lambda: served.number("componentrun_loader_requests_total", operation="load", outcome="gone"))
        stopping = asyncio.create_task(served.server.stop())
        await until(served.server.unready)
        free.set()
        await stopping
        assert (served.engine.ended, served.engine.cancelled) == (["first"], [])


class TestSlots:
    async def test_a_slot_that_is_given_to_a_caller_who_leaves_at_that_moment_is_not_lost(self) -> None:
        slots = Slots(1, 10)
        held = await slots.take(Flow("a"))
        waiting = asyncio.create_task(slots.take(Flow("a")))
        await asyncio.sleep(0)
        slots.release(held)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(5):
            await slots.take(Flow("b"))

    async def test_one_place_is_left_for_whoever_comes(self) -> None:
        slots = Slots(1, 2)
        await slots.take(Flow("a"))
        waiting = asyncio.create_task(slots.take(Flow("a")))
        await asyncio.sleep(0)
        with pytest.raises(FullError):
            await slots.take(Flow("a"))
        other = asyncio.create_task(slots.take(Flow("b")))
        await asyncio.sleep(0)
        assert not other.done()
        slots.stop()
        for task in (waiting, other):
            with pytest.raises(StoppedError):
                await task
        with pytest.raises(StoppedError):
            await slots.take(Flow("c"))
