"""Runs of Components that say which parameters they accept, on the fake API server."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.controller.fakes import FakeOperator, World

SCHEMA = {
    "type": "object",
    "required": ["shop", "#token"],
    "properties": {"shop": {"type": "string"}, "#token": {"type": "string", "minLength": 20}},
}
TOKEN = {"secrets": [{"path": "#token", "secretKeyRef": {"name": "shop", "key": "token"}}]}


def add_component(world: World, **spec: Any) -> None:
    body = {"metadata": {"name": "acme.ex-shop"}, "spec": {"image": "shop", "tag": "1", **spec}}
    world.kube.put("components", body)


def add_secret(world: World, value: str) -> None:
    data = {"token": base64.b64encode(value.encode()).decode()}
    world.kube.put("secrets", {"metadata": {"name": "shop"}, "data": data})


async def status_of(world: World, configuration: dict[str, Any]) -> dict[str, Any]:
    world.add_run(image=None, component="acme.ex-shop", configuration=configuration)
    await FakeOperator(world).live(2)
    status: dict[str, Any] = world.run()["status"]
    return status


async def test_a_run_that_does_not_match_ends_before_anything_is_created_for_it() -> None:
    world = World()
    add_component(world, configuration={"schema": SCHEMA})
    add_secret(world, "hunter2")
    status = await status_of(world, {"parameters": {"shop": 3}, **TOKEN})
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidConfiguration")
    assert "`parameters.shop`: found the number 3, expected a text" in status["message"]
    assert "`parameters.#token`: found a secret, expected at least 20 characters" in status["message"]
    assert "hunter2" not in str(status)
    assert world.kube.of("pods") == []
    assert [item["metadata"]["name"] for item in world.kube.of("secrets")] == ["shop"]
    assert await world.slices() == []


async def test_a_run_that_matches_starts() -> None:
    world = World()
    add_component(world, configuration={"schema": SCHEMA})
    add_secret(world, "hunter2" * 5)
    status = await status_of(world, {"parameters": {"shop": "s"}, **TOKEN})
    assert status["phase"] != "Failed", status
    assert len(world.kube.of("pods")) == 1


async def test_parameters_given_as_text_are_checked_as_well() -> None:
    world = World()
    add_component(world, configuration={"schema": {"required": ["a"]}})
    status = await status_of(world, {"parametersText": '{"b": 1}'})
    assert status["reason"] == "InvalidConfiguration"


async def test_with_warn_the_run_starts_with_a_warning() -> None:
    world = World()
    add_component(world, configuration={"schema": {"required": ["a"]}, "validation": "Warn"})
    status = await status_of(world, {"parameters": {}})
    assert len(world.kube.of("pods")) == 1
    (warning,) = status["warnings"]
    assert "`parameters.a`: found nothing, expected a value" in warning


@pytest.mark.parametrize("validation", ["Enforce", "Warn"])
async def test_a_schema_that_cannot_be_used_is_named(validation: str) -> None:
    world = World()
    add_component(world, configuration={"schema": {"type": "button"}, "validation": validation})
    status = await status_of(world, {"parameters": {}})
    told = status["message"] if validation == "Enforce" else status["warnings"][0]
    assert "the parameters can't be checked: Component `acme.ex-shop`: spec.configuration.schema.type" in told
