"""How long a run is published when its store does not answer: as long as its tables may have begun to change.

Patience in this world: 10 s for what has changed nothing, 15 s for what may have been decided.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from componentrun.api.componentrun import ComponentRun
from componentrun.controller.watching.caches import Key
from componentrun.storage.store.errors import NoAnswerError
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import TABLE, FakeOperator, World


async def world_whose_store_is_away_at_the_publish() -> tuple[World, FakeOperator]:
    world = World()
    world.add_run()
    operator = FakeOperator(world)
    await operator.live(2)
    world.store.away = True
    await operator.live(2)
    assert world.phase() == "Publishing"
    return world, operator


def published(world: World) -> dict[str, Any]:
    return next(item for item in world.run()["status"]["conditions"] if item["type"] == "Published")


async def test_where_this_operator_has_asked_nothing_of_the_loader_it_takes_the_patience_of_a_start() -> None:
    world, operator = await world_whose_store_is_away_at_the_publish()
    await operator.live(11)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "PublishFailed")
    world.store.away = False
    await FakeOperator(world).live(5)
    assert await world.rows(TABLE) is None, "a run that is said to have failed changed a table"
    assert operator.reconciler._publisher._undecided == {}


async def test_an_operator_that_finds_it_in_the_middle_can_not_know_and_tries_until_it_does() -> None:
    world, _ = await world_whose_store_is_away_at_the_publish()
    second = FakeOperator(world)
    await second.live(30)
    assert world.phase() == "Publishing"
    world.store.away = False
    await second.live(6)
    assert (world.phase(), await world.rows(TABLE)) == ("Succeeded", 2)


async def test_where_the_loader_was_asked_and_nobody_answered_its_tables_may_have_changed() -> None:
    world = World()
    world.add_run()
    world.loader.loses_answers = True
    operator = FakeOperator(world)
    await operator.live(30)
    assert world.phase() == "Publishing", "its tables have changed, and it would be said to have failed"
    world.loader.loses_answers = False
    await operator.live(5)
    assert (world.phase(), await world.rows(TABLE)) == ("Succeeded", 2)


async def test_what_was_written_for_another_run_of_the_name_says_nothing_about_this_one() -> None:
    world, operator = await world_whose_store_is_away_at_the_publish()
    publisher = operator.reconciler._publisher
    run = ComponentRun.model_validate(world.run())
    other = run.model_copy(update={"metadata": run.metadata.model_copy(update={"uid": "another"})})
    error = NoAnswerError("no answer", "operation timed out")
    assert not publisher.may_have_begun(run, error)
    assert publisher.may_have_begun(other, error)


async def test_nothing_is_remembered_of_a_run_that_is_deleted_in_the_middle() -> None:
    world, operator = await world_whose_store_is_away_at_the_publish()
    world.kube.remove("componentruns", NAMESPACE, "load")
    await operator.work()
    assert operator.reconciler._publisher._undecided == {}


class TestAnotherOperatorThatPublishesMeanwhile:
    """The pod of the first one is deleted by force, and its process works on for a moment."""

    async def test_leaves_the_first_one_no_certainty_that_nothing_has_changed(self) -> None:
        world, first = await world_whose_store_is_away_at_the_publish()
        world.store.away, world.loader.loses_answers = False, True
        await FakeOperator(world).live(0)
        assert await world.rows(TABLE) == 2, "the second one has its tables, and the loader does not answer again"
        world.store.away = True
        await first.live(11)
        assert world.phase() == "Publishing", "its tables have changed, and it would be said to have failed"
        world.store.away, world.loader.loses_answers = False, False
        await first.live(5)
        assert (world.phase(), await world.rows(TABLE)) == ("Succeeded", 2)

    async def test_has_a_verdict_refused_that_was_decided_before(self) -> None:
        world, first = await world_whose_store_is_away_at_the_publish()
        world.now += timedelta(seconds=11)
        with first.unheard("componentruns"):
            world.store.away, world.loader.loses_answers = False, True
            await FakeOperator(world).live(0)
            first.queue.add(Key(NAMESPACE, "load"))
            await first.work()
        assert world.phase() == "Publishing"

    async def test_is_in_the_status_once_for_each_of_them(self) -> None:
        world, _ = await world_whose_store_is_away_at_the_publish()
        for _ in range(2):
            second = FakeOperator(world)
            await second.live(3)
        begun = [item["phase"] for item in world.run()["status"]["phases"]].count("Publishing")
        assert begun == 3
