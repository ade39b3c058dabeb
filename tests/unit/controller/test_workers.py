"""Workers: what they do with every kind of ending, and that they never end themselves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from componentrun.controller.metrics import Metrics
from componentrun.controller.reconcile.resultwriter import RetryError
from componentrun.controller.storages.gate import StoreGate
from componentrun.controller.storages.references import References
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.work.queue import Backoff, WorkQueue
from componentrun.controller.work.workers import MOST_FAILURES, Workers
from componentrun.process.kubernetes.errors import ConflictError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.process.kubernetes.client import Kube

KEY = Key("team", "load")


class Script:
    """A reconciler that does what it was told: raise, or return when to look again."""

    def __init__(self) -> None:
        self.steps: list[Exception | float | None] = []
        self.calls = 0
        self.given_up: list[Exception] = []
        self.hold: asyncio.Event | None = None

    async def reconcile(self, key: Key) -> float | None:
        assert key == KEY
        self.calls += 1
        if self.hold is not None:
            await self.hold.wait()
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, Exception):
            raise step
        return step

    async def give_up(self, key: Key, error: Exception) -> None:
        assert key == KEY
        self.given_up.append(error)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def queue(metrics: Metrics) -> WorkQueue[Key]:
    return WorkQueue(backoff=Backoff(first=0.001, longest=0.002), observer=metrics.queue)


@pytest.fixture
async def workers(queue: WorkQueue[Key], script: Script, metrics: Metrics) -> AsyncIterator[Workers]:
    caches = Caches()
    gate = StoreGate(queue, caches, References(cast("Kube", None), caches), metrics, lambda: datetime.now(UTC))
    made = Workers(queue, script, metrics, gate)
    made.start()
    yield made
    await made.stop(1)


async def settle(script: Script, calls: int) -> None:
    for _ in range(500):
        if script.calls >= calls:
            await asyncio.sleep(0.01)
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"{script.calls} calls, expected {calls}")


@pytest.mark.parametrize(
    "error", [ConflictError("changed", 409), RetryError("later"), UnavailableError("away"), ZeroDivisionError("defect")]
)
async def test_after_any_error_a_key_comes_again(
    workers: Workers, queue: WorkQueue[Key], script: Script, error: Exception
) -> None:
    script.steps = [error, None]
    queue.add(KEY)
    await settle(script, 2)
    assert script.calls == 2
    assert queue.failures(KEY) == 0
    assert workers.running


async def test_a_key_comes_when_its_wake_up_is_due(workers: Workers, queue: WorkQueue[Key], script: Script) -> None:
    script.steps = [0.01, None]
    queue.add(KEY)
    await settle(script, 2)
    assert script.calls == 2
    assert workers.running


async def test_a_defect_ends_the_run_after_some_tries(
    workers: Workers, queue: WorkQueue[Key], script: Script, metrics: Metrics
) -> None:
    script.steps = [ZeroDivisionError(str(number)) for number in range(MOST_FAILURES)]
    queue.add(KEY)
    await settle(script, MOST_FAILURES)
    assert [str(error) for error in script.given_up] == [str(MOST_FAILURES - 1)]
    assert script.calls == MOST_FAILURES
    assert f'panics_total{{controller="componentrun"}} {MOST_FAILURES}.0' in metrics.render().decode()
    assert workers.running


async def test_an_api_server_that_is_away_never_ends_a_run(
    workers: Workers, queue: WorkQueue[Key], script: Script
) -> None:
    script.steps = [UnavailableError("away") for _ in range(3 * MOST_FAILURES)]
    queue.add(KEY)
    await settle(script, 3 * MOST_FAILURES + 1)
    assert script.given_up == []
    assert workers.running


async def test_success_in_between_forgives_defects(workers: Workers, queue: WorkQueue[Key], script: Script) -> None:
    bad: list[Exception | float | None] = [ZeroDivisionError("defect") for _ in range(MOST_FAILURES - 1)]
    script.steps = [*bad, 0.001, *bad, None]
    queue.add(KEY)
    await settle(script, 2 * MOST_FAILURES)
    assert script.given_up == []
    assert workers.running


async def test_stopping_waits_for_what_is_held(workers: Workers, queue: WorkQueue[Key], script: Script) -> None:
    script.hold = asyncio.Event()
    queue.add(KEY)
    await settle(script, 1)
    stopping = asyncio.create_task(workers.stop(1))
    await asyncio.sleep(0.01)
    assert not stopping.done()
    script.hold.set()
    await stopping
    assert not workers.running


async def test_stopping_does_not_wait_for_ever(workers: Workers, queue: WorkQueue[Key], script: Script) -> None:
    script.hold = asyncio.Event()
    queue.add(KEY)
    await settle(script, 1)
    await asyncio.wait_for(workers.stop(0.01), 1)


async def test_a_worker_that_ends_is_noticed(workers: Workers) -> None:
    assert workers._dispatcher is not None
    workers._dispatcher.cancel()
    with pytest.raises(RuntimeError, match="a worker ended"):
        await asyncio.wait_for(workers.watch(), 1)
    assert not workers.running
