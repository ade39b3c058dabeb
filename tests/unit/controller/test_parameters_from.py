"""Parameters that a run keeps in a ConfigMap."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from componentrun.contract import MAX_PARAMETERS_BYTES
from componentrun.controller.attempts.parametersfrom import text_of
from componentrun.errors import Reason, UserError
from tests.unit.controller.fakes import FakeOperator, World

TEXT = '{"zip": 1.0, "city": 2, "name": "\\u00e9"}\n'
FROM = {"parametersFrom": {"configMapKeyRef": {"name": "big", "key": "parameters.json"}}}


def config_map(**content: Any) -> dict[str, Any]:
    return {"metadata": {"name": "big", "namespace": "team"}, **content}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "content",
    [
        {"data": {"p": TEXT}},
        {"binaryData": {"p": encoded(TEXT.encode())}},
        {"binaryData": {"p": encoded(gzip.compress(TEXT.encode()))}},
    ],
    ids=["text", "bytes", "gzip"],
)
def test_the_value_of_a_key_is_the_text(content: dict[str, Any]) -> None:
    assert text_of(config_map(**content), "p", "here") == TEXT


BOMB = gzip.compress(b" " * (MAX_PARAMETERS_BYTES + 1))


@pytest.mark.parametrize(
    ("content", "reason", "told"),
    [
        ({}, Reason.CONFIG_MAP_NOT_FOUND, "here: there is no such key (it has: none). Add it, or name another one."),
        ({"data": {"q": ""}, "binaryData": {"r": ""}}, Reason.CONFIG_MAP_NOT_FOUND, "(it has: `q`, `r`)"),
        ({"binaryData": {"p": encoded(b"\xff\xfe")}}, Reason.INVALID_SPEC, "found bytes that are not UTF-8 text"),
        ({"binaryData": {"p": encoded(BOMB)}}, Reason.INVALID_SPEC, "more than 4 MiB when decompressed"),
        (
            {"binaryData": {"p": encoded(gzip.compress(TEXT.encode())[:-9])}},
            Reason.INVALID_SPEC,
            "the gzip stream ends early",
        ),
        ({"binaryData": {"p": encoded(b"\x1f\x8bnonsense")}}, Reason.INVALID_SPEC, "can't be decompressed"),
    ],
)
def test_what_is_no_text_is_refused_and_named(content: dict[str, Any], reason: Reason, told: str) -> None:
    with pytest.raises(UserError) as caught:
        text_of(config_map(**content), "p", "here")
    assert caught.value.reason is reason
    assert told in caught.value.message


async def plan_of(world: World, attempt: int = 1) -> dict[str, Any]:
    run = world.run()["metadata"]["uid"]
    plan: dict[str, Any] = json.loads((await world.store.get(world.store.layout.stage_in_plan(run, attempt))).data)
    return plan


async def test_the_plan_has_the_text_as_it_is() -> None:
    world = World()
    world.kube.put("configmaps", config_map(data={"parameters.json": TEXT}))
    world.add_run(configuration=FROM)
    await FakeOperator(world).live(2)
    plan = await plan_of(world)
    assert plan["parameters_text"] == TEXT.strip()
    assert "parameters" not in plan["config"]


async def test_the_text_of_the_run_itself_is_in_the_plan_as_it_is() -> None:
    world = World()
    world.add_run(configuration={"parametersText": TEXT})
    await FakeOperator(world).live(2)
    assert (await plan_of(world))["parameters_text"] == TEXT.strip()


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (
            None,
            "key `parameters.json` of ConfigMap `team/big`: there is no such ConfigMap. Create it, or name another",
        ),
        ({"data": {"other": "{}"}}, "there is no such key (it has: `other`)"),
    ],
)
async def test_a_missing_config_map_ends_the_run_and_is_named(there: dict[str, Any] | None, told: str) -> None:
    world = World()
    if there is not None:
        world.kube.put("configmaps", config_map(**there))
    world.add_run(configuration=FROM)
    await FakeOperator(world).live(2)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ConfigMapNotFound")
    assert told in status["message"]
    assert world.kube.of("pods") == []


async def test_a_text_that_is_no_object_ends_the_run_with_the_config_maps_name() -> None:
    world = World()
    world.kube.put("configmaps", config_map(data={"parameters.json": '{"a": 1, "a": 2}'}))
    world.add_run(configuration=FROM)
    await FakeOperator(world).live(2)
    status = world.run()["status"]
    assert status["reason"] == "InvalidSpec"
    assert "key `parameters.json` of ConfigMap `big`: it has the key `a` twice in one object" in status["message"]
