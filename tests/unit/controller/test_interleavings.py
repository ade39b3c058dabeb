"""Interleavings that the simulation found, each as small as it can be told."""

from __future__ import annotations

from typing import Any

from componentrun.api.names import MANAGED_BY, MANAGED_BY_LABEL
from tests.unit.controller.fakes import NAMESPACE, FakeKube, FakeOperator, World, Writes


class PodThatGoesWhenItIsRead(FakeKube):
    """The pod of a name is removed right behind the first request for it; its Secret stays for the garbage collector."""

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
