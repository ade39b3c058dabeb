"""What a run costs the API server: the writes of its whole life, with all the steps of a kubelet.

A write costs the API server about 5 ms of CPU time, so each of these tests fails if a run needs one more.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from componentrun.wire.agents import StageOutResult
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.kubelet import Durations, Node

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERBS = ("create ", "patch ", "delete ")
_ONCE_FOR_ALL = "create networkpolicies"
"""One write for all runs of its class."""
ALL = ["Pending", "StagingIn", "Running", "StagingOut", "Publishing", "Succeeded"]


def writes(world: World) -> Mapping[str, int]:
    """The writes of the operator to the API server, by verb and kind."""
    return Counter(what for what in world.writes.log if what.startswith(_VERBS) and what != _ONCE_FOR_ALL)


async def life(world: World, node: Node, seconds: float = 12) -> FakeOperator:
    operator = FakeOperator(world)
    await operator.start()
    await node.live(operator, seconds)
    assert world.kube.of("pods") == []
    return operator


def phases(world: World) -> list[str]:
    """The phases in the run's status, whose times are in order."""
    found = world.run()["status"]["phases"]
    assert all(first["startTime"][:19] <= second["startTime"][:19] for first, second in pairwise(found))
    return [item["phase"] for item in found]


async def test_a_tiny_run_that_writes_a_table() -> None:
    world = World()
    world.add_run()
    await life(world, Node(world))
    assert writes(world) == {
        "create pods": 1,
        "create secrets": 1,
        "patch componentruns/status": 3,  # Pending, Publishing, Succeeded
        "delete pods": 1,
    }
    assert phases(world) == ALL


async def test_phases_that_last_are_written_while_they_last() -> None:
    world, durations = World(), Durations(stage_in=4, component=6, stage_out=5)
    world.add_run()
    node = Node(world, durations=durations)
    await life(world, node, 25)
    assert node.phases == ["Pending", "StagingIn", "Running", "StagingOut", "Succeeded"]
    assert writes(world)["patch componentruns/status"] == 6
    assert phases(world) == ALL


async def test_a_run_whose_component_fails() -> None:
    world = World()
    world.exit_code = 1
    world.add_run()
    await life(world, Node(world))
    assert world.phase() == "Failed"
    assert writes(world) == {
        "create pods": 1,
        "create secrets": 1,
        "patch componentruns/status": 2,  # Pending, Failed
        "create events": 1,
        "delete pods": 1,
    }
    assert phases(world) == [*ALL[:4], "Failed"]


async def test_phases_that_no_operator_was_there_to_write_are_in_the_status_all_the_same() -> None:
    """It ends when the component has run for half a second; the next one begins when the component has ended."""
    world = World()
    world.add_run()
    node = Node(world)
    first = FakeOperator(world)
    await first.start()
    await node.live(first, 3)
    assert world.phase() == "Pending"
    world.kube.listener = None
    await node.pass_by(1.5)
    await life(world, node)
    assert phases(world) == ALL
    times = {item["phase"]: item["startTime"] for item in world.run()["status"]["phases"]}
    assert (times["StagingIn"], times["Running"], times["StagingOut"]) == (
        "2026-01-01T00:00:01Z",
        "2026-01-01T00:00:02Z",
        "2026-01-01T00:00:03Z",
    )


async def test_a_run_that_leaves_nothing_to_publish() -> None:
    world = World()
    world.writes_table = False
    world.add_run()
    await life(world, Node(world, said=StageOutResult(ok=True, empty=True)))
    status = world.run()["status"]
    assert (status["phase"], status["result"]) == ("Succeeded", "Success")
    assert writes(world) == {
        "create pods": 1,
        "create secrets": 1,
        "patch componentruns/status": 2,  # Pending, Succeeded
        "delete pods": 1,
    }
    assert phases(world) == [*ALL[:4], "Succeeded"]
    published = next(item for item in status["conditions"] if item["type"] == "Published")
    assert (published["status"], published["message"]) == ("True", "There were no tables to publish.")


async def test_a_run_that_is_cancelled_while_it_runs() -> None:
    world = World()
    world.add_run()
    node = Node(world, durations=Durations(component=60))
    operator = FakeOperator(world)
    await operator.start()
    await node.live(operator, 7)
    world.kube.change("componentruns", "load", {"spec": {"cancel": True}})
    await node.live(operator, 5)
    assert writes(world) == {
        "create pods": 1,
        "create secrets": 1,
        "patch componentruns/status": 4,  # Pending, Running, the decision, Cancelled
        "create events": 1,
        "delete pods": 1,
    }
    (told,) = world.kube.of("events")
    assert (told["reason"], told["type"]) == ("Cancelled", "Normal")
    assert told["note"].startswith("The run was cancelled.")


async def test_a_run_whose_component_takes_too_long() -> None:
    world = World()
    world.add_run(timeout="4s")
    await life(world, Node(world, durations=Durations(component=60)), 15)
    (told,) = world.kube.of("events")
    assert (told["reason"], told["type"]) == ("Timeout", "Warning")
    assert "longer than its timeout of 4s" in told["note"], "the event about the end says why it was stopped"
