"""Runs of Components that say which parameters they accept, on the fake API server."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

import pytest

from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.test_processors import add_component as add_processor

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
    assert (
        "spec.configuration: the parameters can't be checked: Component `acme.ex-shop`: spec.configuration.schema.type"
        in told
    )


class TestProcessors:
    """Parameters of processors, which their own Components describe."""

    LEVEL: ClassVar = {"type": "object", "properties": {"level": {"type": "integer"}, "#key": {"minLength": 20}}}

    @staticmethod
    async def status_of(world: World, processors: dict[str, Any] | None, **spec: Any) -> dict[str, Any]:
        world.add_run(processors=processors, **spec)
        await FakeOperator(world).live(2)
        status: dict[str, Any] = world.run()["status"]
        return status

    async def test_one_that_does_not_match_is_named_with_its_step_before_anything_is_created(self) -> None:
        world = World()
        add_processor(world, "unzip", configuration={"schema": self.LEVEL})
        wrong = {"level": "best", "#key": "hunter2"}
        steps = [{"component": "unzip", "parameters": {"level": 3}}, {"component": "unzip", "parameters": wrong}]
        status = await self.status_of(world, {"before": steps})
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidConfiguration")
        assert status["message"] == (
            "The run could not be started: spec.processors.before[1]: the parameters do not match the schema of "
            "Component `unzip` (2 problems): `parameters.level`: found `best`, expected a whole number; "
            "`parameters.#key`: found a secret, expected at least 20 characters. Correct the parameters."
        )
        assert world.kube.of("pods") == []
        assert world.kube.of("secrets") == []

    async def test_those_of_a_component_are_named_with_it(self) -> None:
        world = World()
        add_processor(world, "unzip", configuration={"schema": self.LEVEL})
        steps = {"after": [{"component": "unzip", "parameters": {"level": "best"}}]}
        add_component(world, processors=steps)
        status = await self.status_of(world, None, image=None, component="acme.ex-shop")
        assert status["reason"] == "InvalidConfiguration"
        assert ": Component `acme.ex-shop`: spec.processors.after[0]: the parameters do not match" in status["message"]

    async def test_the_component_and_its_processors_are_told_at_once(self) -> None:
        world = World()
        add_component(world, configuration={"schema": {"required": ["shop"]}})
        add_processor(world, "unzip", configuration={"schema": {"required": ["level"]}})
        status = await self.status_of(
            world, {"after": [{"component": "unzip"}]}, image=None, component="acme.ex-shop", configuration={}
        )
        assert "spec.configuration: the parameters do not match" in status["message"]
        assert "Also: spec.processors.after[0]: the parameters do not match" in status["message"]

    async def test_with_warn_the_run_starts_with_a_warning(self) -> None:
        world = World()
        add_processor(world, "unzip", configuration={"schema": {"required": ["level"]}, "validation": "Warn"})
        status = await self.status_of(world, {"after": [{"component": "unzip"}]})
        assert len(world.kube.of("pods")) == 1
        (warning,) = status["warnings"]
        assert warning.startswith("spec.processors.after[0]: ")
        assert "`parameters.level`: found nothing, expected a value" in warning

    @pytest.mark.parametrize(
        "spec",
        [
            {"configuration": {"schema": {"required": ["level"]}, "validation": "Off"}},
            # A processor has no configuration row.
            {"configuration": {"rowSchema": {"required": ["level"]}}},
        ],
    )
    async def test_what_is_not_to_be_checked_is_not(self, spec: dict[str, Any]) -> None:
        world = World()
        add_processor(world, "unzip", **spec)
        status = await self.status_of(
            world, {"after": [{"component": "unzip"}]}, configuration={"id": "7", "row": "r1"}
        )
        assert len(world.kube.of("pods")) == 1
        assert not status.get("warnings")

    async def test_they_are_not_checked_for_other_actions(self) -> None:
        world = World()
        add_processor(world, "unzip", configuration={"schema": {"required": ["level"]}})
        await self.status_of(world, {"after": [{"component": "unzip"}]}, action="testConnection")
        assert len(world.kube.of("pods")) == 1
