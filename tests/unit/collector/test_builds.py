"""Lines of the build that a run waits for are among its events, once."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api import names
from componentrun.collector.events import buildlines
from componentrun.collector.events.buildlines import BuildLinesTaken
from componentrun.collector.readers.line import Line
from componentrun.collector.runs.facts import build_pod_facts, has_waited_for
from componentrun.collector.runs.registry import BuildPodTarget, Registry, RunTarget
from componentrun.collector.runs.state import RunState
from componentrun.collector.settings import Settings
from componentrun.core.builds.exchange import COMMANDS, FETCH, PUSH
from componentrun.process.kubernetes.eventerrors import EventErrors
from tests.unit.collector.fakekube import NAMESPACE, Play
from tests.unit.collector.runs import ENDED, a_run, ended_run, raw_run
from tests.unit.collector.world import World, has, log, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.events.events import Event

pytestmark = pytest.mark.usefixtures("quick")

PLACE = "builds"
BUILD = "b-0123"
WAITS: dict[str, Any] = {
    "phase": "Building",
    "phases": [{"phase": "Building", "startTime": "2026-11-24T06:59:59.5Z"}],
    "build": {"name": BUILD, "component": "cleaner"},
}
WAITED: dict[str, Any] = {
    "build": WAITS["build"],
    "phases": [*WAITS["phases"], {"phase": "Pending", "startTime": "2026-11-24T07:00:05Z"}, *ENDED["phases"][1:]],
}


def step(name: str, state: str = "terminated", **details: Any) -> dict[str, Any]:
    ended = {"exitCode": 0, "finishedAt": "2026-11-24T07:00:04Z"} if state == "terminated" else {}
    found = {"name": name, "state": {state: ended | details}, "restartCount": 0}
    return found | ({} if state == "waiting" else {"containerID": "containerd://4711"})


def build_pod(
    *steps: dict[str, Any], phase: str = "Succeeded", uid: str = "build-uid", **metadata: Any
) -> dict[str, Any]:
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.BUILD_LABEL: BUILD,
        names.BUILD_NAMESPACE_LABEL: NAMESPACE,
        names.BUILD_UID_LABEL: "u",
    }
    return {
        "metadata": {
            "namespace": PLACE, "name": f"{BUILD}-u", "uid": uid, "resourceVersion": "1", "labels": labels,
            "creationTimestamp": "2026-11-24T07:00:00Z", **metadata,
        },
        "spec": {},
        "status": {"phase": phase, "initContainerStatuses": list(steps[:2]), "containerStatuses": list(steps[2:])},
    }  # fmt: skip


ALL = (step(FETCH), step(COMMANDS), step(PUSH))
FAILED = (step(FETCH), step(COMMANDS, exitCode=2), step(PUSH, "waiting"))


@pytest.fixture
def world() -> World:
    settings = Settings(collector_segment_seconds=0.05, events_wait_seconds=0.25, builds_namespace=PLACE)
    made = World(settings=settings)
    plays = made.kube.logs.plays
    plays[FETCH], plays[COMMANDS], plays[PUSH] = [Play(log("f"))], [Play(log("c", begin=1))], [Play(log("p", begin=2))]
    return made


def add(world: World, raw: dict[str, Any]) -> dict[str, Any]:
    """Have the API server know the pod."""
    world.kube.server.put("pods", copy.deepcopy(raw), PLACE)
    return raw


async def lines(world: World) -> list[tuple[str, str]]:
    return [
        ((event.params or {})["step"], event.message) for event in await world.events() if event.source == names.BUILD
    ]


EVERYTHING = [(FETCH, "f"), (COMMANDS, "c"), (PUSH, "p")]


async def test_a_run_that_was_seen_late_has_all_lines(world: World) -> None:
    add(world, build_pod(*ALL))
    await world.work(RunState(ended_run(**WAITED)))
    assert await lines(world) == EVERYTHING
    assert world.reported()["message"] == ""
    assert {event.attempt for event in await world.events() if event.source == names.BUILD} == {None}


async def test_a_failed_build(world: World) -> None:
    add(world, build_pod(*FAILED, phase="Failed"))
    await world.work(RunState(ended_run(phase="Failed", result="Error", reason="BuildFailed", **WAITED)))
    assert await lines(world) == EVERYTHING[:2]


async def test_a_run_that_goes_on_reports_its_build(world: World) -> None:
    registry = Registry(world.services)
    runs, pods = RunTarget(registry), BuildPodTarget(registry)
    world.kube.logs.plays[COMMANDS] = [Play(log("c", begin=1), hang=True)]
    runs.changed(raw_run(**WAITS))
    pods.changed(build_pod(step(FETCH), step(COMMANDS, "running"), step(PUSH, "waiting"), phase="Pending"))
    await until(lambda: has(world, "c"))
    assert world.kube.patched == []
    world.kube.end_well()
    pods.changed(add(world, build_pod(*ALL)))
    goes_on = {"phase": "Pending", "phases": WAITED["phases"][:2], "build": WAITS["build"]}
    runs.changed(raw_run(**goes_on))

    async def is_reported() -> bool:
        return bool(world.kube.patched)

    await until(is_reported)
    assert world.kube.patched[0]["status"]["events"] == {"count": 5, "builds": [BUILD]}
    assert await lines(world) == EVERYTHING
    pods.vanished({"build-uid"}, EventErrors("pods", world.metrics))
    version = world.kube.server.get("componentruns", NAMESPACE, "clean")["metadata"]["resourceVersion"]
    raw = raw_run(**ENDED | WAITED)
    raw["metadata"]["resourceVersion"] = version
    runs.changed(raw)

    async def is_delivered() -> bool:
        return len(world.kube.patched) > 1

    await until(is_delivered)
    assert world.kube.patched[1]["status"]["events"] == {"count": 7, "delivered": True, "message": ""}
    assert await lines(world) == EVERYTHING
    await registry.stop()


async def test_the_next_collector_does_not_read_again_what_is_reported(world: World) -> None:
    status = WAITED | {"events": {"count": 5, "builds": [BUILD]}}
    await world.work(RunState(ended_run(**status)))
    assert world.reported()["message"] == ""


@pytest.mark.parametrize(("attempts", "is_missing"), [(1, True), (0, False), (None, True)])
async def test_a_pod_that_is_gone_is_missed_if_there_was_one(
    world: World, attempts: int | None, is_missing: bool
) -> None:
    if attempts is not None:
        status = {"attempts": attempts}
        world.kube.server.put("componentbuilds", {"metadata": {"name": BUILD}, "spec": {}, "status": status})
    await world.work(RunState(ended_run(**WAITED)))
    assert (f"lines of build `{BUILD}` may be missing" in world.reported()["message"]) == is_missing


async def test_a_cancelled_run_does_not_wait_for_a_build_that_goes_on(world: World) -> None:
    world.kube.logs.plays[COMMANDS] = [Play(log("c", begin=1), hang=True)]
    raw = add(world, build_pod(step(FETCH), step(COMMANDS, "running"), step(PUSH, "waiting"), phase="Pending"))
    state = RunState(ended_run(phase="Cancelled", **WAITED))
    state.pod_changed(build_pod_facts(raw))
    await world.work(state)
    assert world.reported()["message"] == ""
    assert (FETCH, "f") in await lines(world)


async def test_without_builds_nothing_is_asked(world: World) -> None:
    world.services = replace(world.services, settings=Settings(collector_segment_seconds=0.05))
    await world.work(RunState(ended_run(**WAITED)))
    assert world.reported()["message"] == ""


class TestSecrets:
    TOKEN = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"

    async def test_are_redacted_by_their_form_and_by_masks(self, world: World) -> None:
        printed = log(f"t {self.TOKEN}", "::add-mask::hush-hush-1", "it is hush-hush-1", begin=1)
        world.kube.logs.plays[COMMANDS] = [Play(printed)]
        world.kube.logs.plays[PUSH] = [Play(log("still hush-hush-1", begin=9))]
        add(world, build_pod(*ALL))
        await world.work(RunState(ended_run(**WAITED)))
        texts = [text for _, text in await lines(world)]
        assert texts[1] == "t [redacted]"
        assert texts[3:] == ["it is [redacted]", "still [redacted]"]
        stored = "".join([event.message for event in await world.events()])
        assert "hush-hush-1" not in stored

    async def test_lines_are_withheld_if_masks_are_forgotten(self, world: World) -> None:
        """A collector that is killed forgets them: the next one stores no line that may have such a value."""
        world.kube.logs.plays[COMMANDS] = [Play(log("::add-mask::hush-hush-1", begin=1), hang=True)]
        waiting = RunState(a_run(**WAITS))
        running = build_pod(step(FETCH), step(COMMANDS, "running"), step(PUSH, "waiting"), phase="Pending")
        waiting.pod_changed(build_pod_facts(running))
        task = asyncio.create_task(world.work(waiting))
        await until(lambda: has(world, "::add-mask::[redacted]"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        world.kube.logs.plays[COMMANDS] = [Play(log("::add-mask::hush-hush-1", "it is hush-hush-1", begin=1))]
        add(world, build_pod(*ALL))
        await world.work(RunState(ended_run(**WAITED)))
        assert "hush-hush-1" not in "".join(await world.messages())
        assert "are withheld" in world.reported()["message"]


class TestLimits:
    async def test_the_first_lines_become_events_and_the_others_are_counted(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(buildlines, "MOST_LINES", 100)
        world.kube.logs.plays[COMMANDS] = [Play(log(*(f"c{number}" for number in range(1000)), begin=1))]
        add(world, build_pod(*ALL))
        await world.work(RunState(ended_run(**WAITED)))
        found = await lines(world)
        assert found == [(FETCH, "f"), *((COMMANDS, f"c{number}") for number in range(99))]
        left: Event = next(event for event in await world.events() if "were left out" in event.message)
        assert left.params is not None
        assert left.params["lines"] == 902
        assert "902 lines" in world.reported()["message"]

    @pytest.mark.parametrize(("amounts", "left"), [((60, 40, 5), 5), ((100, 1), 1), ((60, 60, 5), 5), ((60, 40), 0)])
    def test_counts_go_on_after_a_restart(
        self, amounts: Sequence[int], left: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(buildlines, "MOST_LINES", 100)
        taken = BuildLinesTaken()
        for amount in amounts:
            taken.take([Line(1, b"xy", 32, b"")] * amount)
            taken = BuildLinesTaken.from_json(taken.to_json())
        assert (taken.left_lines, taken.left_bytes) == (left, 2 * left)


@pytest.mark.parametrize(
    ("status", "metadata", "expected"),
    [
        (WAITS, {}, True),
        (WAITED, {}, True),
        ({"phase": "Building", "phases": WAITS["phases"]}, {}, False),
        (WAITS | {"build": {"name": "b-other", "component": "cleaner"}}, {}, False),
        (WAITED, {"creationTimestamp": "2026-11-24T07:00:06Z"}, False),
        (WAITED | {"phases": [{"phase": "Building", "startTime": "2026-11-24T07:00:04.9Z"}]}, {}, True),
        (WAITED | {"phases": [{"phase": "Building", "startTime": "2026-11-24T07:00:05Z"}]}, {}, False),
    ],
    ids=["waits", "waited", "no build", "another build", "built again later", "joined at the end", "built before"],
)
def test_which_runs_have_the_lines_of_a_pod(status: dict[str, Any], metadata: dict[str, Any], expected: bool) -> None:
    assert has_waited_for(a_run(**status), build_pod_facts(build_pod(*ALL, **metadata))) == expected


def test_a_namespace_has_its_own_builds() -> None:
    pod = build_pod_facts(build_pod(*ALL))
    assert not has_waited_for(replace(a_run(**WAITS), namespace="other"), pod)
    assert pod.created is not None
    assert pod.created.utcoffset() == timedelta(0)
