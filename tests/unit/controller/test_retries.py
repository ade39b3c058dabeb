"""A run whose first attempts fail before their component starts, with a crash after every write."""

from __future__ import annotations

from collections import Counter

import pytest

from componentrun.controller.metrics import Metrics
from tests.unit.controller.fakekube import Crash
from tests.unit.controller.fakes import TABLE, FakeOperator, World

RETRY = {"limit": 2, "backoff": {"initial": "1s", "max": "2s"}}
WRITES = 26
"""More than such a run needs."""


def make_world(failing: int = 1) -> World:
    world = World()
    world.failing_inputs = failing
    world.add_run(retry=RETRY)
    return world


def pods_made(world: World) -> Counter[str]:
    return Counter(name for name in world.kube.created if name.startswith("pods/"))


async def assert_second_was_published(world: World) -> None:
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Succeeded", "Succeeded"), status
    told = [(attempt["number"], attempt["reason"]) for attempt in status["attempts"]]
    assert told == [(1, "StageInFailed"), (2, "Succeeded")]
    assert "nextAttemptTime" not in status
    assert await world.rows(TABLE) == 2, "an incremental table was loaded not once"
    assert pods_made(world) == {"pods/load-1": 1, "pods/load-2": 1}
    assert world.kube.of("pods") == []
    assert world.kube.of("secrets") == []


def test_every_reason_for_another_attempt_has_its_count_from_the_start() -> None:
    assert 'componentrun_retries_total{reason="StageInFailed"} 0.0' in Metrics().render().decode()


async def test_the_second_attempt_is_published() -> None:
    world = make_world()
    operator = FakeOperator(world)
    await operator.live()
    await assert_second_was_published(world)
    assert 'componentrun_retries_total{reason="StageInFailed"} 1.0' in operator.metrics.render().decode()
    (told,) = (event for event in world.kube.of("events") if event["reason"] == "Retrying")
    assert "Attempt 1 of at most 3 ended with StageInFailed" in told["note"]


async def test_when_all_attempts_fail_the_run_fails_as_the_last_one_did() -> None:
    world = make_world(failing=9)
    await FakeOperator(world).live()
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "StageInFailed")
    assert [attempt["number"] for attempt in status["attempts"]] == [1, 2, 3]
    assert pods_made(world) == {"pods/load-1": 1, "pods/load-2": 1, "pods/load-3": 1}
    assert world.kube.of("pods") == []


@pytest.mark.parametrize("at", range(1, WRITES))
async def test_a_crash_after_any_write_makes_no_attempt_twice(at: int) -> None:
    world = make_world()
    world.writes.crash_at = at
    try:
        await FakeOperator(world).live()
    except (Crash, BaseExceptionGroup):
        world.writes.crash_at = None
        await FakeOperator(world).live()
    await assert_second_was_published(world)


async def test_there_is_no_write_after_which_no_crash_was_tried() -> None:
    world = make_world()
    await FakeOperator(world).live()
    assert world.writes.count < WRITES


@pytest.mark.parametrize("at", range(1, WRITES))
async def test_a_lost_answer_makes_no_attempt_twice(at: int) -> None:
    world = make_world()
    world.writes.lose_at = at
    await FakeOperator(world).live(45)
    await assert_second_was_published(world)


async def test_another_attempt_is_in_the_storage_of_the_first_whatever_is_the_default_by_then() -> None:
    world = make_world()
    operator = FakeOperator(world)
    await operator.live()
    await assert_second_was_published(world)
    wanted = operator.opens.wanted
    assert wanted[0] is None, "nobody said which one"
    assert set(wanted[1:]) == {"main"}, wanted
