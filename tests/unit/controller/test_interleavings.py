"""Interleavings that the simulation found, each as small as it can be told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from componentrun.api.names import MANAGED_BY, MANAGED_BY_LABEL, OPERATOR_LABEL
from componentrun.controller.watching.caches import Key
from componentrun.process.kubernetes.errors import NotFoundError
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.watched import CONFIGURATION, Watched


class PodThatGoesWhenItIsRead(FakeKube):
    """The pod of a name is removed behind the first request for it; its Secret stays for the garbage collector."""

    def __init__(self, writes: Writes) -> None:
        super().__init__(writes)
        self.leaving = ""

    async def get(self, resource: Any, namespace: str | None, name: str) -> dict[str, Any]:
        found = await super().get(resource, namespace, name)
        if resource.plural == "pods" and name == self.leaving:
            self.leaving = ""
            pod = self.objects.pop(("pods", NAMESPACE, name))
            self._tell("DELETED", "pods", pod)
        return found


class TestARunThatIsMadeAnewWhileTheSecretOfTheOneBeforeIsThere:
    async def test_makes_no_pod_that_could_mount_it(self) -> None:
        world = World()
        world.kube = PodThatGoesWhenItIsRead(world.writes)
        labels = {MANAGED_BY_LABEL: MANAGED_BY}
        before = [{"apiVersion": "componentrun.dev/v1", "kind": "ComponentRun", "name": "a", "uid": "before"}]
        world.kube.put("pods", {"metadata": {"name": "a-1", "labels": labels, "ownerReferences": before}})
        pod = world.kube.objects["pods", NAMESPACE, "a-1"]["metadata"]["uid"]
        secret = {"metadata": {"name": "a-1", "labels": labels, "ownerReferences": [{"kind": "Pod", "uid": pod}]}}
        world.kube.put("secrets", secret)
        world.add_run("a")
        operator = FakeOperator(world)
        world.kube.leaving = "a-1"
        await operator.start()
        await operator.work()
        assert world.kube.leaving == ""
        assert ("pods", NAMESPACE, "a-1") not in world.kube.objects
        assert world.phase("a") == "Queued", world.run("a")["status"]
        world.kube.remove("secrets", NAMESPACE, "a-1")
        await operator.live(10)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]


class TestAPodOfAnEarlierAttemptThatLosesItsLabels:
    async def test_is_given_them_back_while_its_run_goes_on(self) -> None:
        """It would be left behind: an operator that starts later does not list it."""
        world = World()
        world.failing_inputs = 1
        world.add_run("a", retry={"backoff": {"initial": "1s", "max": "1s"}})
        operator = FakeOperator(world)
        await operator.live(1)
        while world.phase("a") != "Running":
            await operator.live(1)
        before = dict(world.kube.objects["pods", NAMESPACE, "a-1"]["metadata"]["labels"])
        world.kube.change("pods", "a-1", {"metadata": {"labels": dict.fromkeys(before)}})
        await operator.work()
        assert world.kube.objects["pods", NAMESPACE, "a-1"]["metadata"].get("labels", {}).items() >= {
            (MANAGED_BY_LABEL, MANAGED_BY)
        }


async def restarted_behind_a_deletion(world: Watched, *, made_anew: bool, kind: str) -> FakeOperator:
    """An operator that starts when the run `a` is deleted and its component still runs."""
    spec: dict[str, Any] = {"configuration": CONFIGURATION} if kind == "group" else {}
    world.max_running = 1 if kind == "limit" else None
    world.add_run("a", **spec)
    operator = FakeOperator(world)
    await operator.live(1)
    assert world.phase("a") == "Running"
    del world.kube.objects["componentruns", NAMESPACE, "a"]
    world.add_run("b", **spec)
    if made_anew:
        world.add_run("a", **spec)
    later = FakeOperator(world)
    await later.start()
    return later


class TestAnOperatorThatStartsBehindTheDeletionOfARun:
    @pytest.mark.parametrize("made_anew", [False, True])
    @pytest.mark.parametrize("kind", ["group", "limit"])
    async def test_keeps_the_place_of_its_pod_that_still_runs(self, kind: str, made_anew: bool) -> None:
        world = Watched()
        later = await restarted_behind_a_deletion(world, made_anew=made_anew, kind=kind)
        assert later.queues.turn(Key(NAMESPACE, "b")).verdict == "wait"
        await later.live(30)
        assert world.most == 1, "two components at once"
        assert world.phase("b") == "Succeeded"
        assert world.kube.of("pods") == []

    async def test_keeps_none_for_the_pod_of_another_operators_run(self) -> None:
        world = Watched()
        world.max_running = 1
        world.add_run("a")
        await FakeOperator(world).live(1)
        world.kube.change("componentruns", "a", {"metadata": {"labels": {OPERATOR_LABEL: "another"}}})
        world.add_run("b")
        later = FakeOperator(world)
        await later.start()
        assert later.queues.turn(Key(NAMESPACE, "b")).verdict == "start"
        await later.live(1)
        assert world.phase("b") == "Running"


class TestARunThatIsFoundToBeDeletedBeforeItsEventComes:
    async def test_leaves_no_pod_behind_that_has_lost_its_owner(self) -> None:
        world = World()
        world.add_run("a", ttlAfterFinished="20s", podTtlAfterFinished="20s")
        operator = FakeOperator(world)
        while world.phase("a") != "Succeeded":
            await operator.live(1)
        await operator.live(5)
        world.kube.change("pods", "a-1", {"metadata": {"ownerReferences": None}})
        await operator.work()
        with operator.unheard("componentruns"):
            world.kube.remove("componentruns", NAMESPACE, "a")
            world.now += timedelta(minutes=1)
            await operator.work()
        assert world.kube.of("pods") == []


class TestARunThatIsMadeAnewBehindAWriteThatDidNotFindIt:
    async def test_is_reconciled_and_nothing_is_reported_as_an_error(self) -> None:
        world = World()
        world.add_run("a")
        operator = FakeOperator(world)
        await operator.start()
        with operator.unheard("componentruns"):
            world.kube.remove("componentruns", NAMESPACE, "a")
            world.add_run("a")
            world.kube.refusals["patch", "componentruns"] = [NotFoundError("not found", 404)]
            await operator.work()
        assert world.run("a")["status"]["phase"] in {"Queued", "Pending"}
        await operator.live(10)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]
