"""A tenant whose store takes requests and never answers: nobody else notices, and its own runs can be stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.unit.controller import virtualtime
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.tenants import HUNG, RESPONSE_SECONDS, Tenants, two_tenants

if TYPE_CHECKING:
    from componentrun.controller.watching.caches import Key
    from tests.unit.controller.fakes import FakeOperator

RUNS = 1000


def hang(world: Tenants, count: int = RUNS) -> list[Key]:
    """Runs of every kind that need a store: to start, to publish, on a Storage of which nothing is known yet."""
    world.hung.hangs = True
    kinds = (
        lambda name: world.put_run(HUNG, name),
        lambda name: world.put_publishing(HUNG, name),
        lambda name: world.put_run(HUNG, name, storage="new"),
    )
    return [kinds[number % 3](f"hung-{number:04}") for number in range(count)]


async def crowded(count: int = RUNS) -> tuple[Tenants, FakeOperator, list[Key]]:
    """An operator that has had a second with so many runs of the tenant whose store hangs."""
    world = two_tenants()
    hanging = hang(world, count)
    operator = await world.operator()
    await asyncio.sleep(1)
    return world, operator, hanging


def test_runs_of_others_are_started_and_published_while_a_thousand_hang() -> None:
    async def scene() -> None:
        world, _, _ = await crowded()
        waits = []
        for number in range(20):
            name, began = f"load-{number}", asyncio.get_running_loop().time()
            key = world.put_run(NAMESPACE, name)
            await world.until(lambda name=name: f"{name}-1" in world.kube.pods_made, 30)
            waits.append(world.kube.pods_made[f"{name}-1"] - began)
            await world.until(lambda key=key: world.status(key).get("phase") == "Succeeded", 30)
        assert max(waits) < 1, "from a run's creation to its pod"

    virtualtime.run(scene())


def component_runs(world: Tenants, run: Key) -> bool:
    pod = world.kube.objects.get(("pods", run.namespace, f"{run.name}-1")) or {}
    return any("running" in item["state"] for item in pod.get("status", {}).get("containerStatuses", ()))


def test_runs_of_others_are_stopped_within_a_second_while_a_thousand_hang() -> None:
    async def scene() -> None:
        world, operator, _ = await crowded()
        key = world.put_run(NAMESPACE, "load")
        late = world.put_run(NAMESPACE, "late", timeout="30s")
        # The pods are asked, not the statuses: a phase that is shorter than two seconds is written with the next one.
        await world.until(lambda: component_runs(world, key) and component_runs(world, late), 30)
        for task in world.background[1:]:
            task.cancel()  # the kubelet: its components run on
        world.background = world.background[:1]
        world.cancel(key)
        assert await world.until(lambda: "load-1" in world.kube.pods_ended, 30) < 1
        await asyncio.sleep(31)
        assert "late-1" in world.kube.pods_ended
        assert world.status(late)["reason"] in {"Terminating", "Timeout"}
        assert operator.queue.failures(late) == 0

    virtualtime.run(scene())


def test_the_tenants_own_runs_are_cancelled_within_a_second_whatever_they_wait_for() -> None:
    """Those whose operation hangs, those that wait for room, and later those that are refused: the breaker is open."""

    async def scene() -> None:
        world, operator, hanging = await crowded()
        starting = [key for key in hanging if world.status(key).get("phase") != "Publishing"]
        for key in starting[:3]:
            assert key in operator.gate._operations, "it is not one whose operation runs"
        for chosen in (starting[:3], starting[-3:]):
            for key in chosen:
                world.cancel(key)
            assert await world.until(lambda chosen=chosen: all(_cancelled(world, key) for key in chosen), 30) < 1
        await asyncio.sleep(2 * RESPONSE_SECONDS)
        for key in starting[100:103]:
            assert "has not responded since" in world.status(key)["message"]
            world.cancel(key)
        assert await world.until(lambda: all(_cancelled(world, key) for key in starting[100:103]), 30) < 1

    virtualtime.run(scene())


def _cancelled(world: Tenants, key: Key) -> bool:
    return bool(world.status(key).get("phase") == "Cancelled")


def test_a_store_that_hangs_is_asked_now_and_then_by_one_run_and_each_run_says_since_when() -> None:
    async def scene() -> None:
        world, operator, hanging = await crowded(300)
        await asyncio.sleep(5 * RESPONSE_SECONDS)
        assert world.hung.most_waiting <= 2 * (32 + 1), "more than the slots of two Storages and a look at each of them"
        assert operator.gate.waiting > 290
        text = operator.metrics.render().decode()
        assert 'componentrun_storage_unresponsive{namespace="hung",storage="known"} 1.0' in text
        assert 'componentrun_storage_unresponsive{namespace="hung",storage="new"} 1.0' in text
        before = world.hung.asked
        await asyncio.sleep(60)
        assert world.hung.asked - before <= 12, "probes of two Storages in a minute"
        for key in hanging[1::3]:
            (told,) = [item["message"] for item in world.status(key)["conditions"] if item["type"] == "Published"]
            assert told.startswith("It will be tried again: Storage `known` has not responded since 2026-01-01T00:00:1")

    virtualtime.run(scene())


def test_runs_go_on_by_themselves_when_the_store_answers_again() -> None:
    async def scene() -> None:
        world = two_tenants()
        hanging = hang(world, 150)
        operator = await world.operator()
        await asyncio.sleep(60)
        world.hung.hangs = False
        starting = [*hanging[::3], *hanging[2::3]]
        await world.until(lambda: {world.status(key).get("phase") for key in starting} == {"Pending"}, 45)
        await world.until(lambda: {world.status(key).get("phase") for key in hanging[1::3]} == {"Failed"}, 45)
        assert operator.gate.waiting == 0, "each has had its turn"
        assert "unresponsive{" not in operator.metrics.render().decode()

    virtualtime.run(scene())


def test_a_start_is_given_up_in_its_time_though_its_store_is_not_asked() -> None:
    async def scene() -> None:
        world = two_tenants()
        hanging = hang(world, 90)
        await world.operator()
        await asyncio.sleep(200)
        for key in hanging[::3]:
            status = world.status(key)
            assert (status["phase"], status["reason"]) == ("Failed", "StorageUnavailable")
            assert "has not responded since" in status["message"] or "did not answer" in status["message"]

    virtualtime.run(scene())
