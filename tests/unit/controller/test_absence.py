"""What is not in the cache is not deleted: hand edits of pods, watches that stand still, failovers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from componentrun.api import names
from componentrun.api.names import ATTEMPT_LABEL, MANAGED_BY_LABEL, RUN_LABEL, RUN_UID_LABEL
from componentrun.process.kubernetes.errors import ForbiddenError, UnavailableError
from tests.unit.controller.fakekube import NAMESPACE, is_ours
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.watched import CONFIGURATION, Watched

EDITS: dict[str, dict[str, Any]] = {
    "managed-by is taken away": {MANAGED_BY_LABEL: None},
    "managed-by is changed": {MANAGED_BY_LABEL: "somebody"},
    "run is taken away": {RUN_LABEL: None},
    "run names another run": {RUN_LABEL: "other"},
    "run-uid is taken away": {RUN_UID_LABEL: None},
    "run-uid is another run's": {RUN_UID_LABEL: "uid-1"},
    "attempt is taken away": {ATTEMPT_LABEL: None},
    "attempt is a later one": {ATTEMPT_LABEL: "7"},
    "all are taken away": dict.fromkeys((MANAGED_BY_LABEL, RUN_LABEL, RUN_UID_LABEL, ATTEMPT_LABEL)),
}


async def a_running_component(world: World, **spec: Any) -> FakeOperator:
    world.add_run("a", **spec)
    operator = FakeOperator(world)
    await operator.live(1)
    assert world.phase("a") == "Running"
    return operator


def edit(world: World, labels: dict[str, Any], name: str = "a-1") -> None:
    world.kube.change("pods", name, {"metadata": {"labels": labels}})


def labels_of(world: World, name: str = "a-1") -> dict[str, str]:
    return dict(world.kube.objects["pods", NAMESPACE, name]["metadata"]["labels"])


class TestAPodWhoseLabelsAreEdited:
    @pytest.mark.parametrize("change", EDITS.values(), ids=list(EDITS))
    async def test_is_found_given_them_back_and_its_run_goes_on(self, change: dict[str, Any]) -> None:
        world = World()
        operator = await a_running_component(world)
        before = labels_of(world)
        edit(world, change)
        await operator.work()
        assert labels_of(world) == before
        assert world.phase("a") == "Running"
        await operator.live(10)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]

    @pytest.mark.parametrize("change", EDITS.values(), ids=list(EDITS))
    async def test_keeps_its_groups_next_run_waiting(self, change: dict[str, Any]) -> None:
        world = Watched()
        operator = await a_running_component(world, configuration=CONFIGURATION)
        world.add_run("b", configuration=CONFIGURATION)
        await operator.work()
        edit(world, change)
        await operator.work()
        assert world.pods_made() == ["a-1"]
        await operator.live(20)
        assert [world.phase(name) for name in "ab"] == ["Succeeded", "Succeeded"]
        assert world.most == 1, "two components of one group at once"

    async def test_keeps_its_place_in_the_namespace(self) -> None:
        world = Watched()
        world.max_running = 1
        operator = await a_running_component(world)
        world.add_run("b")
        await operator.work()
        with operator.unheard("componentruns"):
            edit(world, {MANAGED_BY_LABEL: None})
            await operator.work()
        assert world.pods_made() == ["a-1"]
        await operator.live(20)
        assert world.phase("b") == "Succeeded"

    @pytest.mark.parametrize("change", EDITS.values(), ids=list(EDITS))
    async def test_is_found_by_an_operator_that_comes_later(self, change: dict[str, Any]) -> None:
        """A failover: no listing has the pod, and no cache had it before."""
        world = Watched()
        await a_running_component(world, configuration=CONFIGURATION)
        world.kube.listener = None
        edit(world, change)
        world.add_run("b", configuration=CONFIGURATION)
        later = FakeOperator(world)
        await later.start()
        for _ in range(40):
            world.now += timedelta(seconds=1)
            await later.work()
        assert world.phase("a") == "Running", world.run("a")["status"]
        assert is_ours(world.kube.objects["pods", NAMESPACE, "a-1"])
        assert world.pods_made() == ["a-1"]
        await later.live(20)
        assert [world.phase(name) for name in "ab"] == ["Succeeded", "Succeeded"]

    async def test_whose_labels_can_not_be_given_back_is_read_again_until_its_run_has_ended(self) -> None:
        """As with a chart of an earlier release, whose roles lack the right."""
        world = World()
        operator = await a_running_component(world)
        world.kube.refusals["patch", "pods"] = [ForbiddenError("may not", 403) for _ in range(100)]
        edit(world, {MANAGED_BY_LABEL: None})
        await operator.live(30)
        assert not world.kube.of("pods")
        assert world.phase("a") == "Succeeded", world.run("a")["status"]

    async def test_and_that_has_lost_its_owner_too_is_found_by_what_the_status_says(self) -> None:
        world = World()
        operator = await a_running_component(world)
        without = {"ownerReferences": None, "labels": EDITS["all are taken away"]}
        world.kube.change("pods", "a-1", {"metadata": without})
        await operator.work()
        assert is_ours(world.kube.objects["pods", NAMESPACE, "a-1"])
        await operator.live(10)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]

    async def test_and_whose_run_is_deleted_at_the_same_time_keeps_its_place_until_it_is_gone(self) -> None:
        """Without its labels nobody would have told it to end but the garbage collector, which takes its time."""
        world = Watched()
        operator = await a_running_component(world, configuration=CONFIGURATION)
        world.add_run("b", configuration=CONFIGURATION)
        await operator.work()
        world.kube.change("pods", "a-1", {"metadata": {"labels": {MANAGED_BY_LABEL: None}}})
        run = world.kube.objects.pop(("componentruns", NAMESPACE, "a"))
        world.kube._tell("DELETED", "componentruns", run)
        await operator.work()
        assert world.pods_made() == ["a-1", "b-1"]
        assert world.most == 1, "two components of one group at once"
        await operator.live(10)
        assert world.phase("b") == "Succeeded"

    async def test_after_its_runs_end_is_deleted_all_the_same(self) -> None:
        world = World()
        operator = await a_running_component(world)
        while world.phase("a") != "Succeeded":
            await operator.live(1)
        edit(world, {MANAGED_BY_LABEL: None})
        await operator.live(10)
        assert world.kube.of("pods") == []


class TestAPodThatHasLostItsOwner:
    async def test_is_found_by_its_labels_and_ends_with_its_run(self) -> None:
        world = World()
        operator = await a_running_component(world)
        world.kube.change("pods", "a-1", {"metadata": {"ownerReferences": None}})
        await operator.work()
        assert world.phase("a") == "Running"
        world.kube.remove("componentruns", NAMESPACE, "a")
        await operator.work()
        assert world.kube.of("pods") == []

    async def test_and_is_said_to_be_a_run_that_is_gone_is_not_swept(self) -> None:
        world = World()
        operator = await a_running_component(world)
        edits = {"ownerReferences": None, "labels": {RUN_UID_LABEL: "of-nobody"}}
        world.kube.change("pods", "a-1", {"metadata": edits})
        await operator.live(40)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]


class TestAWatchOfPodsThatStandsStill:
    async def test_is_no_end_of_a_run_for_an_operator_that_takes_over(self) -> None:
        world = Watched()
        late = FakeOperator(world)
        await late.start()  # it stands by, and hears of no pod from here on
        await a_running_component(world, configuration=CONFIGURATION)
        world.kube.listener = late._hear
        late._hear("ADDED", "componentruns", world.run("a"))
        with late.unheard("pods"):
            world.add_run("b", configuration=CONFIGURATION)
            for _ in range(40):
                world.now += timedelta(seconds=1)
                await late.work()
            assert world.phase("a") == "Running", world.run("a")["status"]
            assert world.pods_made() == ["a-1"]
        await late.live(20)
        assert [world.phase(name) for name in "ab"] == ["Succeeded", "Succeeded"]

    async def test_is_no_timeout_of_a_component_that_has_ended(self) -> None:
        world = World()
        operator = await a_running_component(world, timeout="1m")
        with operator.unheard("pods"):
            for _ in range(70):
                world.now += timedelta(seconds=1)
                await world.kubelet()
                await operator.work()
        await operator.live(5)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]


class TestAPodThatIsDeleted:
    async def test_ends_its_run_after_one_request(self) -> None:
        world = World()
        operator = await a_running_component(world)
        world.kube.asked.clear()
        world.kube.remove("pods", NAMESPACE, "a-1")
        await operator.live(40)
        assert world.run("a")["status"]["reason"] == "PodDeleted"
        assert world.kube.asked.count("get pods") == 1

    async def test_is_no_end_while_the_api_server_does_not_say_so(self) -> None:
        world = Watched()
        operator = await a_running_component(world, configuration=CONFIGURATION)
        world.add_run("b", configuration=CONFIGURATION)
        await operator.work()
        world.kube.refusals["get", "pods"] = [UnavailableError("no answer") for _ in range(5)]
        world.kube.remove("pods", NAMESPACE, "a-1")
        await operator.work()
        assert world.phase("a") == "Running"
        assert world.pods_made() == ["a-1"]
        await operator.live(20)
        assert world.run("a")["status"]["reason"] == "PodDeleted"
        assert world.phase("b") == "Succeeded"

    async def test_and_made_again_by_somebody_is_not_the_runs(self) -> None:
        world = World()
        operator = await a_running_component(world)
        pod = world.kube.objects["pods", NAMESPACE, "a-1"]
        body = {"metadata": {"name": "a-1", "labels": dict(pod["metadata"]["labels"])}, "spec": {}, "status": {}}
        world.kube.remove("pods", NAMESPACE, "a-1")
        world.kube.put("pods", body)
        await operator.live(40)
        assert world.run("a")["status"]["reason"] == "PodDeleted"


class TestARunThatEndsAsItShould:
    @pytest.mark.parametrize("code", [0, 1])
    async def test_costs_no_request_for_its_pod(self, code: int) -> None:
        world = World()
        world.exit_code = code
        world.add_run("a")
        await FakeOperator(world).live()
        assert world.phase("a") in {"Succeeded", "Failed"}
        assert "get pods" not in world.kube.asked

    async def test_also_where_another_attempt_follows_costs_no_more_than_one(self) -> None:
        world = World()
        world.failing_inputs = 1
        world.add_run("a", retry={"backoff": {"initial": "1s", "max": "1s"}})
        await FakeOperator(world).live(40)
        assert world.phase("a") == "Succeeded"
        assert world.kube.asked.count("get pods") <= 1


class TestAPodThatSomebodyMadeLikeARuns:
    async def test_does_not_take_the_place_of_the_one_that_the_status_knows(self) -> None:
        world = World()
        operator = await a_running_component(world)
        pod = world.kube.objects["pods", NAMESPACE, "a-1"]
        labels = {**pod["metadata"]["labels"], names.ATTEMPT_LABEL: "7"}
        owners = pod["metadata"]["ownerReferences"]
        metadata = {"name": "a-7", "labels": labels, "ownerReferences": owners}
        world.kube.put("pods", {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}})
        await operator.live(40)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]


class TestARunWhoseTimeToLiveIsOver:
    async def test_is_not_deleted_where_that_was_raised_and_the_watch_is_behind(self) -> None:
        world = World()
        world.add_run("a", ttlAfterFinished="20s")
        operator = FakeOperator(world)
        while world.phase("a") != "Succeeded":
            await operator.live(1)
        await operator.live(5)
        with operator.unheard("componentruns"):
            world.kube.change("componentruns", "a", {"spec": {"ttlAfterFinished": "1h"}})
            world.now += timedelta(minutes=1)
            await operator.work()
        assert ("componentruns", NAMESPACE, "a") in world.kube.objects
