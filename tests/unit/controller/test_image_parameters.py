"""Image parameters of a Component, on the fake API server: who gets them, and who must not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from componentrun.wire.grants import GRANT_IN_KEY, REDACT_KEY
from tests.unit.controller.fakes import FakeOperator, World

SECRETS = {"#key": {"name": "app", "key": "key"}, "db.#password": {"name": "app", "key": "password"}}
VALUES = {"key": "app-key-0b5f1e0c", "password": "app-password-0b5f1e0c"}


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


@pytest.fixture
def world() -> World:
    world = World()
    spec = {"image": "shop", "tag": "1", "imageParameters": {"url": "https://a.test"}, "imageParameterSecrets": SECRETS}
    world.kube.put("components", {"metadata": {"name": "shop"}, "spec": spec})
    world.kube.put(
        "secrets", {"metadata": {"name": "app"}, "data": {key: encoded(value) for key, value in VALUES.items()}}
    )
    return world


async def started(world: World, **spec: Any) -> dict[str, Any]:
    world.add_run(**{"image": None, "component": "shop"} | spec)
    await FakeOperator(world).live(2)
    status: dict[str, Any] = world.run()["status"]
    return status


def entry(world: World, key: str) -> Any:
    secret = world.kube.objects["secrets", "team", "load-1"]
    text = (secret.get("stringData") or {}).get(key) or base64.b64decode(secret["data"][key]).decode()
    return json.loads(text)


async def config(world: World) -> dict[str, Any]:
    key = world.store.layout.stage_in_plan(world.run()["metadata"]["uid"], 1)
    plan = json.loads((await world.store.get(key)).data)
    return dict(plan["config"])


async def test_they_are_in_the_plan_and_their_secrets_in_the_grant_of_stage_in(world: World) -> None:
    await started(world)
    assert (await config(world))["image_parameters"] == {"url": "https://a.test"}
    assert entry(world, GRANT_IN_KEY)["image_secrets"] == {"#key": VALUES["key"], "db.#password": VALUES["password"]}
    assert set(VALUES.values()) <= set(entry(world, REDACT_KEY))


async def test_their_secrets_are_in_no_other_object_and_not_in_the_store(world: World) -> None:
    await started(world)
    for kind in ("pods", "componentruns", "components"):
        assert "0b5f1e0c" not in json.dumps(world.kube.of(kind)).replace(world.run()["metadata"]["uid"], "")
    for key in await world.slices():
        assert b"0b5f1e0c" not in (await world.store.get(key)).data


async def test_a_run_of_another_component_gets_none_of_them(world: World) -> None:
    world.kube.put("components", {"metadata": {"name": "other"}, "spec": {"image": "other", "tag": "1"}})
    await started(world, component="other", configuration={"imageParameters": {"own": 1}})
    assert (await config(world))["image_parameters"] == {"own": 1}
    assert entry(world, GRANT_IN_KEY)["image_secrets"] == {}


async def test_a_run_cannot_change_them(world: World) -> None:
    status = await started(world, configuration={"imageParameters": {"url": "https://b.test"}})
    assert status["reason"] == "InvalidSpec"
    assert "Component `shop` sets them, and its runs can't change them" in status["message"]
    assert world.kube.of("pods") == []


@pytest.mark.parametrize(
    "configuration",
    [
        {"parameters": {"a": [{"#copied": VALUES["key"]}]}},
        {"parametersText": json.dumps({"a": [{"#copied": VALUES["key"]}]})},
        {"parameters": {"a": [{}]}, "secrets": [{"path": "a.0.#copied", "secretKeyRef": SECRETS["#key"]}]},
    ],
)
async def test_a_run_that_repeats_the_value_of_a_secret_one_is_refused(
    world: World, configuration: dict[str, Any]
) -> None:
    status = await started(world, configuration=configuration)
    assert status["reason"] == "InvalidSpec"
    assert "`parameters.a.0.#copied` has the value of a secret of Component `shop`" in status["message"]
    assert VALUES["key"] not in json.dumps(status)
    assert world.kube.of("pods") == []


async def test_a_missing_secret_is_named(world: World) -> None:
    del world.kube.objects["secrets", "team", "app"]
    status = await started(world)
    assert status["reason"] == "SecretNotFound"
    assert "the image parameter `#key` is to come from key `key` of Secret `team/app`" in status["message"]


@pytest.mark.parametrize("path", ["key", "db.password", "#a.b", "url.#key"])
async def test_a_path_that_is_none_is_told(world: World, path: str) -> None:
    spec = world.kube.objects["components", "team", "shop"]["spec"]
    world.kube.change("components", "shop", {"spec": {**spec, "imageParameterSecrets": {path: SECRETS["#key"]}}})
    status = await started(world)
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "Component `shop`: spec.imageParameterSecrets" in status["message"]
