"""A run's events are said to be delivered when nothing of what its containers printed is held anywhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from componentrun.api import names
from componentrun.collector.events import writer
from componentrun.collector.readers.api import end as logend
from componentrun.collector.runs import followers
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.state import RunState
from componentrun.collector.settings import Settings
from tests.unit.collector.fakekube import Play
from tests.unit.collector.runs import container, ended_run, raw_pod
from tests.unit.collector.world import ATTEMPT, COMPONENT_RAN, World, has, log, until, with_pod

pytestmark = pytest.mark.usefixtures("quick")

RUNNING = raw_pod(container(names.COMPONENT, "running"))


def slow_writes(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    append = writer.append_lines

    async def slowly(*args: Any) -> Any:
        await asyncio.sleep(seconds)
        return await append(*args)

    monkeypatch.setattr(writer, "append_lines", slowly)


async def test_a_follower_that_waits_for_room_is_not_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is over, the watch of pods is behind, and a segment takes long to be written."""
    monkeypatch.setattr(followers, "_QUIET", 0.05)
    slow_writes(monkeypatch, 0.2)
    world = World(settings=Settings(collector_segment_seconds=0.05, events_wait_seconds=40.0))
    world.kube.add_secret("clean-1", [])
    texts = [f"line {number}" for number in range(12_000)]
    world.kube.logs.plays[names.COMPONENT] = [Play(log(*texts), hang=True)]
    world.kube.server.put("pods", RUNNING)
    state = RunState(ended_run(attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(RUNNING))
    working = asyncio.create_task(world.work(state))

    async def stored_or_done() -> bool:
        return working.done() or await has(world, texts[-1])

    await until(stored_or_done)
    world.kube.logs.plays[names.COMPONENT] = [Play(log(*texts))]
    state.pod_changed(pod_facts(raw_pod(COMPONENT_RAN, phase="Succeeded")))
    world.kube.end_well()
    await working
    assert [event.message for event in await world.events() if event.source == names.COMPONENT] == texts
    assert world.reported()["message"] == ""


async def test_a_sidecar_is_quiet_when_the_last_line_of_its_log_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubelet is slow, or follows a file that was rotated away: that a stream is silent proves nothing."""
    monkeypatch.setattr(followers, "_QUIET", 0.05)
    monkeypatch.setattr(logend, "_GRACE", 0.05)
    world = World(settings=Settings(collector_segment_seconds=0.05, events_wait_seconds=40.0))
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.STAGE_OUT] = [Play(hang=True), Play(log("late"), hang=True)]
    world.kube.logs.last_lines[names.STAGE_OUT] = Play(log("late"))
    pod = raw_pod(container(names.STAGE_OUT, "running"), COMPONENT_RAN)
    world.kube.server.put("pods", pod)
    state = RunState(ended_run(attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(pod))
    await world.work(state)
    assert "late" in await world.messages()
    assert world.reported()["message"] == ""


async def test_a_component_that_may_still_start_is_waited_for() -> None:
    """The run has ended before its component was started; the operator deletes the pod, and the kubelet is faster."""
    world = World(settings=Settings(collector_segment_seconds=0.05, events_wait_seconds=40.0))
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.COMPONENT] = [Play(log("started all the same"))]
    waits = raw_pod(container(names.COMPONENT, "waiting"), phase="Pending")
    world.kube.server.put("pods", waits)
    state = RunState(ended_run(attempts=[ATTEMPT], phase="Failed", result="Error", reason="StartFailed"))
    state.pod_changed(pod_facts(waits))
    working = asyncio.create_task(world.work(state))
    await asyncio.sleep(0.3)
    state.pod_changed(pod_facts(raw_pod(COMPONENT_RAN, phase="Failed")))
    await working
    assert "started all the same" in await world.messages()


async def test_a_container_of_which_a_watch_tells_behind_the_end_is_read_before_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It tells while the last segment is being written: then the run's result is in it already."""
    world = World()
    world.kube.logs.plays[names.STAGE_OUT] = [Play(log("late"))]
    state = with_pod(world, Play(log("one")))
    append = writer.append_lines

    async def tell(*args: Any) -> Any:
        if args[4]["finished"]:
            both = (container(names.STAGE_OUT, "terminated", exitCode=0), COMPONENT_RAN)
            state.pod_changed(pod_facts(raw_pod(*both, phase="Succeeded")))
        return await append(*args)

    monkeypatch.setattr(writer, "append_lines", tell)
    await world.work(state)
    assert {"one", "late"} <= set(await world.messages())


async def test_a_component_that_never_ends_is_given_up_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_QUIET", 0.05)
    world = World()
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.COMPONENT] = [Play(log("one"), hang=True)]
    world.kube.server.put("pods", RUNNING)
    state = RunState(ended_run(attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(RUNNING))
    await world.work(state)
    assert "one" in await world.messages()
    assert "may be missing: it is not known to have ended" in world.reported()["message"]


async def test_a_component_that_neither_starts_nor_ends_is_given_up_aloud_and_counted_once() -> None:
    world = World()
    world.kube.add_secret("clean-1", [])
    waits = raw_pod(container(names.COMPONENT, "waiting"), phase="Pending")
    world.kube.server.put("pods", waits)
    state = RunState(ended_run(attempts=[ATTEMPT], phase="Failed", result="Error", reason="StartFailed"))
    state.pod_changed(pod_facts(waits))
    await world.work(state)
    assert "whether its component was started is not known" in world.reported()["message"]
    assert world.metrics.registry.get_sample_value("componentrun_collector_gaps_total") == 1
