"""The watch of pods is behind that of runs, or away: no line is lost, or it is said that some may be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from componentrun.api import names
from componentrun.collector.runs import worker
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.state import RunState
from componentrun.process.kubernetes.errors import UnavailableError
from componentrun.process.kubernetes.resources import PODS
from tests.unit.collector.fakekube import Play
from tests.unit.collector.runs import a_run, container, ended_run, raw_pod
from tests.unit.collector.world import ATTEMPT, COMPONENT_RAN, World, log, until

pytestmark = pytest.mark.usefixtures("quick")


async def test_a_pod_that_could_not_be_looked_for_is_looked_for_again() -> None:
    """The API server is away for a moment when an ended run's pod, of which no watch told, is looked for."""
    world = World()
    world.kube.logs.plays[names.COMPONENT] = [Play(log("one"))]
    world.kube.add_secret("clean-1", [])
    world.kube.server.put("pods", raw_pod(COMPONENT_RAN, phase="Succeeded"))
    get, fails = world.kube.get, [UnavailableError("no answer")]

    async def sometimes(resource: Any, namespace: str, name: str) -> Any:
        if resource is PODS and fails:
            raise fails.pop()
        return await get(resource, namespace, name)

    world.kube.get = sometimes
    await world.work(RunState(ended_run(attempts=[ATTEMPT])))
    assert "one" in await world.messages()


async def test_a_pod_that_was_heard_of_before_its_component_started_is_read_all_the_same() -> None:
    """The watch of pods is behind that of runs: the run is over, the pod still seems to wait."""
    world = World()
    world.kube.logs.plays[names.COMPONENT] = [Play(log("one"))]
    world.kube.add_secret("clean-1", [])
    world.kube.server.put("pods", raw_pod(COMPONENT_RAN, phase="Succeeded"))
    state = RunState(ended_run(attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(container(names.COMPONENT, "waiting"), phase="Pending")))
    await world.work(state)
    assert "one" in await world.messages()


async def test_an_attempt_is_not_reported_by_what_its_pod_was_before_it_started() -> None:
    """The same between two attempts: the operator deletes the pod as soon as it is reported."""
    world = World()
    world.kube.logs.plays[names.COMPONENT] = [Play(log("one"))]
    world.kube.add_secret("clean-1", [])
    world.kube.server.put("pods", raw_pod(COMPONENT_RAN, phase="Failed"))
    first = {**ATTEMPT, "completionTime": "2026-11-24T07:00:05Z", "reason": "PodDeleted"}
    state = RunState(a_run(phase="Queued", attempts=[first], nextAttemptTime="2026-11-24T07:01:00Z", phases=[]))
    state.pod_changed(pod_facts(raw_pod(container(names.COMPONENT, "waiting"), phase="Pending")))
    working = asyncio.create_task(worker.Worker(state, world.services).work())

    async def reported() -> bool:
        return bool(world.kube.patched)

    await until(reported)
    try:
        assert "one" in await world.messages()
    finally:
        working.cancel()


async def test_a_pod_that_started_and_went_while_its_watch_was_away_is_missed_aloud() -> None:
    """A listing lacks it (`deleted(uid, None)`); what was heard last is that it waits."""
    world = World()
    state = RunState(ended_run(attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(container(names.COMPONENT, "waiting"), phase="Pending")))
    state.pod_deleted("pod-uid")
    await world.work(state)
    assert "may be missing" in world.reported()["message"]
