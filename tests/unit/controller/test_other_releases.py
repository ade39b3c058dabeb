"""What this release does not know it leaves alone: after a rollback, and while an upgrade is half done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from componentrun.api.common import API_VERSION
from componentrun.controller.watching.caches import Key
from componentrun.errors import UnsupportedError
from componentrun.process.kubernetes.errors import InvalidError
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.watched import CONFIGURATION, Watched

NEWER: dict[str, dict[str, Any]] = {
    "a phase": {"status": {"phase": "Verifying"}},
    "what it waits for": {"status": {"queue": {"waitingFor": "Budget", "updated": "2026-01-01T00:00:00Z"}}},
    "a result": {"status": {"result": "Partial"}},
    "a phase gone by": {"status": {"phases": [{"phase": "Verifying", "startTime": "2026-01-01T00:00:00Z"}]}},
    "a value of the spec": {"spec": {"network": {"mode": "mesh"}}},
    "a longer duration": {"spec": {"timeout": "3d"}},
    "a field of the spec": {"spec": {"gpu": {"count": 2}}},
    "a field deep in the spec": {"spec": {"output": {"tables": [{"source": "result.csv", "branch": "main"}]}}},
}


def condition(world: World, kind: str, name: str = "a") -> dict[str, Any]:
    given = world.run(name).get("status", {}).get("conditions", [])
    return next((item for item in given if item["type"] == kind), {})


async def a_running_component(world: World, **spec: Any) -> FakeOperator:
    world.add_run("a", **spec)
    operator = FakeOperator(world)
    await operator.live(1)
    assert world.phase("a") == "Running"
    return operator


def by_a_newer_release(world: World, change: dict[str, Any]) -> dict[str, Any]:
    """Have a newer release have written this; what has to be put back for ours to understand the run again."""
    world.kube.listener = None
    before = world.run("a")
    world.kube.change("componentruns", "a", change)
    return {part: {name: before.get(part, {}).get(name) for name in fields} for part, fields in change.items()}


@pytest.mark.parametrize("change", NEWER.values(), ids=list(NEWER))
class TestARunOfANewerRelease:
    async def test_that_runs_goes_on_where_it_was_with_the_next_release(self, change: dict[str, Any]) -> None:
        world = Watched()
        await a_running_component(world, configuration=CONFIGURATION)
        world.add_run("b", configuration=CONFIGURATION)
        back = by_a_newer_release(world, change)
        older = FakeOperator(world)
        for _ in range(3):
            await older.live(0)
            world.now += timedelta(minutes=3)
        assert world.run("a")["status"]["phase"] == change.get("status", {}).get("phase", "Running")
        assert [pod["metadata"]["name"] for pod in world.kube.of("pods")] == ["a-1"], "its place is kept, and its pod"
        refused = condition(world, "Accepted")
        assert (refused["status"], refused["reason"]) == ("False", "UnsupportedValue")
        world.kube.change("componentruns", "a", back)
        await FakeOperator(world).live(20)
        assert [world.phase(name) for name in "ab"] == ["Succeeded", "Succeeded"], world.run("a")["status"]
        assert condition(world, "Accepted")["status"] == "True"

    async def test_that_waits_keeps_nobody_waiting_and_is_started_by_the_next_release(
        self, change: dict[str, Any]
    ) -> None:
        world = Watched()
        world.max_running = 1
        world.add_run("a", configuration=CONFIGURATION)
        back = by_a_newer_release(world, change)
        world.add_run("b", configuration=CONFIGURATION)
        await FakeOperator(world).live(20)
        assert world.pods_made() == ["b-1"]
        assert world.phase("b") == "Succeeded"
        world.kube.change("componentruns", "a", back)
        await FakeOperator(world).live(20)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]

    async def test_is_told_once_by_condition_event_and_metric(self, change: dict[str, Any]) -> None:
        world = World()
        await a_running_component(world)
        by_a_newer_release(world, change)
        world.writes.log.clear()
        older = FakeOperator(world)
        for _ in range(3):
            await older.live(1)
        assert world.writes.log == ["patch componentruns/status", "create events"]
        (event,) = [item for item in world.kube.of("events") if item["reason"] == "UnsupportedValue"]
        assert event["type"] == "Warning"
        assert event["note"] == condition(world, "Accepted")["message"]
        assert older.caches.runs.unsupported == {Key(NAMESPACE, "a")}


class TestWhatIsNotUnderstood:
    async def test_is_named_by_its_path(self) -> None:
        world = World()
        key = world.add_run("a", network={"mode": "mesh"})
        operator = FakeOperator(world)
        await operator.start()
        with pytest.raises(
            UnsupportedError, match=r"can't be read by this release of the operator: `spec\.network\.mode`"
        ):
            operator.caches.runs.get(key)

    async def test_is_not_a_field_that_says_nothing(self) -> None:
        """A newer CRD may give every run a default."""
        world = World()
        world.add_run("a", gpu=False, sandbox="", later={})
        await FakeOperator(world).live()
        assert world.phase("a") == "Succeeded"

    async def test_is_not_counted_any_more_when_its_run_is_deleted(self) -> None:
        world = World()
        world.add_run("a", gpu=True)
        operator = FakeOperator(world)
        await operator.live(1)
        assert operator.caches.runs.unsupported
        world.kube.remove("componentruns", NAMESPACE, "a")
        await operator.work()
        assert not operator.caches.runs.unsupported

    async def test_of_a_run_that_has_ended_is_nobodys_concern(self) -> None:
        world = World()
        await FakeOperator(world).live(0)
        world.add_run("a")
        world.kube.change("componentruns", "a", {"status": {"phase": "Failed", "result": "Partial"}})
        operator = FakeOperator(world)
        await operator.live(1)
        assert world.writes.log == []
        assert not operator.caches.runs.unsupported

    async def test_is_left_alone_by_one_that_stands_by(self) -> None:
        world = World()
        world.add_run("a", gpu=True)
        operator = FakeOperator(world)
        await operator.start()
        operator.reconciler.active = False
        await operator.work()
        assert world.writes.log == []

    async def test_that_can_not_be_written_down_is_no_defect(self) -> None:
        """An older CRD refuses the status that a newer one took."""
        world = World()
        world.add_run("a", gpu=True)
        world.kube.refusals["patch", "componentruns"] = [InvalidError("status.phase: Unsupported value", 422)]
        await FakeOperator(world).live(1)
        assert world.kube.of("pods") == []

    @pytest.mark.parametrize("corrected", [True, False])
    async def test_is_not_said_of_a_later_run_of_its_name(self, corrected: bool) -> None:
        """It was deleted and created again, corrected, and the operator has not heard of that yet."""
        world = World()
        world.add_run("a", gpu=True)
        operator = FakeOperator(world)
        await operator.start()
        with operator.unheard("componentruns"):
            world.kube.remove("componentruns", NAMESPACE, "a")
            if corrected:
                world.add_run("a")
            await operator.work()
        assert not condition(world, "Accepted") if corrected else world.writes.log == []

    async def test_ends_with_its_run_when_that_is_deleted(self) -> None:
        world = World()
        await a_running_component(world)
        by_a_newer_release(world, {"spec": {"gpu": True}})
        older = FakeOperator(world)
        await older.live(1)
        world.kube.change("pods", "a-1", {"metadata": {"ownerReferences": None}})  # no garbage collector
        world.kube.remove("componentruns", NAMESPACE, "a")
        await older.work()
        assert world.kube.of("pods") == []


class TestAComponentOfANewerRelease:
    @pytest.mark.parametrize("change", [{"sandbox": "gvisor"}, {"network": {"mode": "mesh"}}])
    async def test_has_its_runs_wait_out_of_line_until_it_is_understood(self, change: dict[str, Any]) -> None:
        world = Watched()
        world.max_running = 1
        body = {"metadata": {"name": "cleaner"}, "spec": {"image": "cleaner", "tag": "1", **change}}
        world.kube.put("components", {"apiVersion": API_VERSION, "kind": "Component", **body})
        world.add_run("a", image=None, component="cleaner")
        world.add_run("b")
        operator = FakeOperator(world)
        await operator.live(300)
        assert world.phase("a") not in {"Failed", "Succeeded"}
        assert condition(world, "Accepted")["status"] == "False"
        assert "Component `cleaner` can't be read by this release" in condition(world, "Accepted")["message"]
        assert world.phase("b") == "Succeeded"
        world.kube.change("components", "cleaner", {"spec": dict.fromkeys(change)})
        await operator.live(20)
        assert world.phase("a") == "Succeeded", world.run("a")["status"]
        assert condition(world, "Accepted")["status"] == "True"


class TestTheStatusOfANewerRelease:
    async def test_keeps_what_this_one_does_not_know(self) -> None:
        world = World()
        await a_running_component(world)
        known = world.run("a")["status"]
        more = {
            "usage": {"cpuSeconds": 3},
            "attempts": [{**known["attempts"][0], "zone": "a"}],
            "conditions": [
                *({**item, "observer": "newer"} for item in known["conditions"]),
                {"type": "Billed", "status": "True", "reason": "Billed", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
        }
        by_a_newer_release(world, {"status": more})
        await FakeOperator(world).live()
        status = world.run("a")["status"]
        assert status["phase"] == "Succeeded"
        assert status["usage"] == {"cpuSeconds": 3}
        assert status["attempts"][0]["zone"] == "a"
        assert status["attempts"][0]["completionTime"]
        assert condition(world, "Billed")["reason"] == "Billed"
        assert condition(world, "Succeeded") | {"observer": "newer", "status": "True"} == condition(world, "Succeeded")
