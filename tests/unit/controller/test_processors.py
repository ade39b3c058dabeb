"""Runs with processors, with all the steps of a kubelet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from componentrun.api.common import API_VERSION
from componentrun.wire.agents import StageInPlan, from_json
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.kubelet import Durations, Node
from tests.unit.controller.test_writes_of_a_run import ALL, life, phases, writes

PROCESSORS = {
    "before": [{"component": "unzip", "parameters": {"level": 3}}],
    "after": [{"component": "header"}, {"component": "unzip"}],
}
STEPS = ["before-1", "component", "after-1", "after-2"]


def add_component(world: World, name: str, **spec: Any) -> None:
    full = {"image": f"r.io/{name}", "tag": "1", "type": "processor", **spec}
    body = {"apiVersion": API_VERSION, "kind": "Component", "metadata": {"name": name}, "spec": full}
    world.kube.put("components", body)


def world_with_processors(**spec: Any) -> World:
    world = World()
    for name in ("unzip", "header"):
        add_component(world, name)
    world.add_run(processors=PROCESSORS, **spec)
    return world


async def test_a_run_goes_through_all_of_its_steps() -> None:
    world = world_with_processors()
    await life(world, Node(world), 30)
    status = world.run()["status"]
    assert (status["phase"], status["result"]) == ("Succeeded", "Success")
    assert phases(world) == ALL
    assert [(step["name"], step["component"], step["image"], step["exitCode"]) for step in status["steps"]] == [
        ("before-1", "unzip", "r.io/unzip:1", 0),
        ("component", "cleaner", "cleaner:1", 0),
        ("after-1", "header", "r.io/header:1", 0),
        ("after-2", "unzip", "r.io/unzip:1", 0),
    ]
    times = [time for step in status["steps"] for time in (step["startTime"], step["completionTime"])]
    assert times == sorted(times)
    assert status["steps"][2]["imageID"] == "after-1@sha256:1"
    assert status["imageID"] == "cleaner@sha256:1"


async def test_short_steps_cost_no_writes() -> None:
    """As in test_writes_of_a_run: a run of a second or two writes three statuses, with processors or without."""
    world = world_with_processors()
    await life(world, Node(world, durations=Durations(gap=0.4, component=0.3)), 30)
    assert writes(world) == {
        "create pods": 1,
        "create secrets": 1,
        "patch componentruns/status": 3,
        "delete pods": 1,
    }


async def test_a_step_that_lasts_is_seen_while_it_lasts() -> None:
    world = world_with_processors()
    operator, node = FakeOperator(world), Node(world, durations=Durations(component=6))
    await operator.start()
    seen = []
    for _ in range(50):
        await node.live(operator, 1)
        message = world.run().get("status", {}).get("message", "")
        if message not in seen:
            seen.append(message)
    running = [text for text in seen if text.endswith(" runs.")]
    assert running == [
        "Processor `unzip` (before-1) runs.",
        "The component runs.",
        "Processor `header` (after-1) runs.",
        "Processor `unzip` (after-2) runs.",
    ]


async def test_a_processor_that_fails_ends_the_run_and_none_is_started_behind_it() -> None:
    world = world_with_processors()
    await life(world, Node(world, codes={"after-1": 1}), 30)
    status = world.run()["status"]
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Failed", "UserError", 1)
    assert status["message"].startswith("Processor `header` (after-1) ended with exit code 1")
    assert [step.get("exitCode") for step in status["steps"]] == [0, 0, 1, None]
    assert await world.rows("out.c-main.result") is None


async def test_a_component_that_fails_as_an_init_container_saves_what_is_always_written() -> None:
    world = world_with_processors()
    world.exit_code, world.write_always = 2, True
    await life(world, Node(world), 30)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ApplicationError")
    assert await world.rows("out.c-main.result") == 2


@pytest.mark.parametrize("step", ["after-1", "after-2"])
async def test_a_processor_after_it_that_fails_saves_them_as_well(step: str) -> None:
    """The first of two is an init container, and the second the main one."""
    world = world_with_processors()
    world.write_always = True
    await life(world, Node(world, codes={step: 1}), 30)
    assert world.run()["status"]["reason"] == "UserError"
    assert await world.rows("out.c-main.result") == 2


async def test_other_actions_than_run_have_no_steps() -> None:
    world = world_with_processors(action="testConnection")
    await life(world, Node(world), 30)
    status = world.run()["status"]
    assert status["phase"] == "Succeeded"
    assert "steps" not in status


async def test_a_processor_before_the_component_that_fails_publishes_nothing() -> None:
    world = world_with_processors()
    world.write_always = True
    await life(world, Node(world, codes={"before-1": 2}), 30)
    assert world.run()["status"]["phase"] == "Failed"
    assert await world.rows("out.c-main.result") is None


async def test_an_agent_that_fails_between_two_steps_is_named() -> None:
    world = world_with_processors()
    await life(world, Node(world, codes={"to-after-1": 2}), 30)
    status = world.run()["status"]
    assert status["reason"] == "StageInFailed"
    assert "Preparing the data folder for processor `header` (after-1) failed" in status["message"]


async def test_another_attempt_begins_with_new_steps_only_if_the_run_asks_for_it() -> None:
    world = world_with_processors(retry={"limit": 1, "afterStart": ["ApplicationError"]})
    operator, node = FakeOperator(world), Node(world, codes={"after-2": 3})
    await operator.start()
    await node.live(operator, 14)
    status = world.run()["status"]
    assert status.get("nextAttemptTime")
    assert status["attempts"][0]["exitCode"] == 3
    assert "steps" not in status


async def test_the_plan_has_the_configuration_of_each_step_and_no_secret_in_the_pod() -> None:
    world = world_with_processors(configuration={"parameters": {"#password": "hush-hush"}})
    operator, node = FakeOperator(world), Node(world)
    await operator.start()
    await node.live(operator, 1)
    uid = world.run()["metadata"]["uid"]
    document = await world.store.find(world.store.layout.stage_in_plan(uid, 1))
    assert document is not None
    plan = from_json(StageInPlan, document.data)
    assert [step.name for step in plan.steps] == STEPS
    assert [step.config and step.config["parameters"] for step in plan.steps] == [{"level": 3}, None, {}, {}]
    assert "hush-hush" not in json.dumps(world.kube.of("pods"))
    assert "hush-hush" not in json.dumps([step.config for step in plan.steps])


async def test_a_processor_that_does_not_exist_is_a_failure_that_names_it() -> None:
    world = World()
    add_component(world, "unzip", type="writer")
    world.add_run(processors={"after": [{"component": "gone"}]})
    world.add_run("other", processors={"after": [{"component": "unzip"}]})
    operator = FakeOperator(world)
    await operator.live(3)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ComponentNotFound")
    assert "spec.processors.after[0].component: there is no Component `gone`" in status["message"]
    assert "has the type `writer`; expected the type `processor`" in world.run("other")["status"]["message"]
    assert world.kube.of("pods") == []
