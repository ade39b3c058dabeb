"""A run that leaves nothing to publish has no phase Publishing: with a cancel, and with crashes, in between."""

from __future__ import annotations

import pytest

from componentrun.wire.agents import StageOutResult
from tests.unit.controller.fakekube import Crash
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.kubelet import Node

SECONDS_TO_THE_END = 4.5
"""The component of a tiny run has ended, and stage-out has not."""


def make_world() -> World:
    world = World()
    world.writes_table = False
    world.add_run()
    return world


def node_of(world: World) -> Node:
    return Node(world, said=StageOutResult(ok=True, empty=True))


async def test_a_cancel_that_the_operator_has_not_heard_of_wins_over_its_success() -> None:
    """As for any run that has not begun to publish: the final status names the version that was read."""
    world = make_world()
    operator, node = FakeOperator(world), node_of(world)
    await operator.start()
    await node.live(operator, SECONDS_TO_THE_END)
    with operator.unheard("componentruns"):
        world.kube.change("componentruns", "load", {"spec": {"cancel": True}})
        await node.live(operator, 2)
    assert world.run()["status"]["reason"] == "Cancelled"


async def test_a_cancel_behind_its_success_changes_nothing() -> None:
    world = make_world()
    operator, node = FakeOperator(world), node_of(world)
    await operator.start()
    await node.live(operator, SECONDS_TO_THE_END + 1)
    assert world.phase() == "Succeeded"
    world.kube.change("componentruns", "load", {"spec": {"cancel": True}})
    await node.live(operator, 3)
    assert world.run()["status"]["reason"] == "Succeeded"
    assert world.kube.of("pods") == []


# The first two are the plans, which are written to the store.
@pytest.mark.parametrize("number", range(3, 9))
async def test_an_operator_that_dies_behind_any_of_its_writes_to_the_api_server_changes_nothing(number: int) -> None:
    world, ended = make_world(), False
    node = node_of(world)
    world.writes.crash_at = number
    operator = FakeOperator(world)
    try:
        await operator.start()
        await node.live(operator, 12)
    except Crash:
        ended = True
        world.kube.listener = None
        operator = FakeOperator(world)
        await operator.start()
        await node.live(operator, 12)
    assert ended is (number <= len(world.writes.log))
    assert world.run()["status"]["reason"] == "Succeeded"
    assert [name for name in world.kube.created if name.startswith("pods/")] == ["pods/load-1"]
    assert world.kube.of("pods") == world.kube.of("secrets") == []
    assert await world.rows("out.c-main.result") is None
