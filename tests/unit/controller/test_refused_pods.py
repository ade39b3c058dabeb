"""A kubelet that was restarted refuses a pod, and drops what it said of the containers that ran.

Their phases may not be in the run's status yet, as short phases are written with the next change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.kubelet import Node

if TYPE_CHECKING:
    from componentrun.controller.watching.caches import Key

STARTED = 3.0
"""Seconds after which the component of a tiny run has run for half a second."""


def refuse(world: World) -> None:
    refused = {"phase": "Failed", "reason": "NodeAffinity", "message": "Pod was rejected"}
    world.kube.change("pods", "load-1", {"status": {**refused, "containerStatuses": [], "initContainerStatuses": []}})


async def begin(world: World, seconds: float) -> tuple[FakeOperator, Node, Key]:
    key = world.add_run(retry={"limit": 2, "backoff": {"initial": "1s", "max": "2s"}})
    operator, node = FakeOperator(world), Node(world)
    await operator.start()
    await node.live(operator, seconds)
    assert world.phase() == "Pending", "nothing else is written yet"
    return operator, node, key


def pods_made(world: World) -> list[str]:
    return [name for name in world.kube.created if name.startswith("pods/")]


async def test_after_its_component_was_seen_to_start_it_is_not_started_again() -> None:
    world = World()
    operator, _, _ = await begin(world, STARTED)
    refuse(world)
    await operator.work()
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "NodeLost")
    assert pods_made(world) == ["pods/load-1"]


async def test_nor_after_a_restart_of_the_operator_that_has_seen_nothing_of_it() -> None:
    world = World()
    await begin(world, STARTED)
    world.kube.listener = None
    refuse(world)
    await FakeOperator(world).live(5)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "NodeLost")
    assert "refused the pod, or was restarted and did not take the pod back" in status["message"]
    assert pods_made(world) == ["pods/load-1"]


@pytest.mark.parametrize("seconds", [0.3, 1.0], ids=["no container", "the sidecar"])
async def test_one_that_was_watched_and_never_started_its_component_is_followed_by_another(seconds: float) -> None:
    world = World()
    operator, _, key = await begin(world, seconds)
    refuse(world)
    await operator.work()
    status = world.run(key.name)["status"]
    assert (status["reason"], status["attempts"][0]["reason"]) == ("Retrying", "NodeRefused")
