"""A kubelet that was restarted refuses a pod, and drops what it said of the containers that ran.

Their phases may not be in the run's status yet, as short phases are written with the next change.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.kubelet import Node

if TYPE_CHECKING:
    from componentrun.controller.watching.caches import Key

BOUND = 0.3
"""Seconds after which the pod has a node, and its kubelet has reported nothing."""
STARTED = 3.0
"""Seconds after which the component of a tiny run has run for half a second."""


def refuse(world: World) -> None:
    """What a kubelet writes (kubelet.go, rejectPod): only the time at which it acknowledged the pod stays."""
    before = world.kube.objects["pods", NAMESPACE, "load-1"]["status"]
    refused = {"phase": "Failed", "reason": "NodeAffinity", "message": "Pod was rejected"}
    lost: dict[str, list[Any]] = {"conditions": [], "containerStatuses": [], "initContainerStatuses": []}
    acknowledged = {"startTime": before.get("startTime") or world.text()}
    world.kube.change("pods", "load-1", {"status": {**refused, **lost, **acknowledged}})


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


class TestAStandbyWhoseWatchOfPodsIsBehind:
    """It knows the pod as it was before any container, and the statuses in between are in no object any more."""

    async def standing_by(self, world: World) -> FakeOperator:
        _, node, _ = await begin(world, BOUND)
        standby = FakeOperator(world)
        await standby.start()
        await standby.work()
        world.kube.listener = None
        await node.pass_by(STARTED)
        refuse(world)
        return standby

    def assert_ended(self, world: World) -> None:
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "NodeLost"), status
        assert pods_made(world) == ["pods/load-1"]

    async def test_does_not_start_it_again_after_a_listing(self) -> None:
        world = World()
        standby = await self.standing_by(world)
        await standby.resync.everything()
        await standby.work()
        self.assert_ended(world)

    async def test_nor_after_it_has_read_the_pod(self) -> None:
        world = World()
        standby = await self.standing_by(world)
        world.now += timedelta(seconds=world.limits.pending + 1)
        await standby.work()
        self.assert_ended(world)

    async def test_nor_when_the_pod_has_its_labels_again(self) -> None:
        """A watch that selects by labels reports what it missed as a new pod."""
        world = World()
        _, node, _ = await begin(world, BOUND)
        standby = FakeOperator(world)
        await standby.start()
        pod = world.kube.objects["pods", NAMESPACE, "load-1"]
        await standby.work()
        standby._hear("DELETED", "pods", pod)
        world.kube.listener = None
        await node.pass_by(STARTED)
        refuse(world)
        standby._hear("ADDED", "pods", pod)
        await standby.work()
        self.assert_ended(world)


@pytest.mark.parametrize("seconds", [1.0, 2.0], ids=["the sidecar runs", "the input comes"])
async def test_one_that_its_kubelet_had_taken_is_not_followed_by_another(seconds: float) -> None:
    """What the kubelet did between its last report and its restart, nobody knows."""
    world = World()
    operator, _, _ = await begin(world, seconds)
    refuse(world)
    await operator.work()
    assert world.run()["status"]["reason"] == "NodeLost"
    assert pods_made(world) == ["pods/load-1"]


async def test_nor_one_that_is_refused_when_its_kubelet_could_have_been_restarted() -> None:
    """As a kubelet that could not report anything: it runs the pod, is restarted, and is heard again."""
    world = World()
    operator, _, _ = await begin(world, BOUND)
    world.now += timedelta(seconds=10)
    refuse(world)
    await operator.work()
    assert world.run()["status"]["reason"] == "NodeLost"
    assert pods_made(world) == ["pods/load-1"]


async def test_one_that_was_watched_and_never_taken_by_its_kubelet_is_followed_by_another() -> None:
    world = World()
    operator, _, key = await begin(world, BOUND)
    refuse(world)
    await operator.work()
    status = world.run(key.name)["status"]
    assert (status["reason"], status["attempts"][0]["reason"]) == ("Retrying", "NodeRefused")


async def test_and_stays_so_whoever_reads_it_later() -> None:
    world = World()
    operator, _, key = await begin(world, BOUND)
    refuse(world)
    world.kube.listener = None
    world.kube.change("pods", "load-1", {"metadata": {"annotations": {"example.com/note": "1"}}})
    await operator.resync.everything()
    await operator.work()
    assert world.run(key.name)["status"]["attempts"][0]["reason"] == "NodeRefused"
