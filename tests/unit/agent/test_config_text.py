"""config.json as stage-in writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from componentrun.agent.stagein.main import config_content
from componentrun.wire.agents import StageInPlan, from_json, to_json

REST: dict[str, Any] = {"storage": {"input": {"tables": [], "files": []}}, "image_parameters": {}, "action": "run"}
TEXT = '{"zip":1.0,\t"city" : 12345678901234567890123, "name":{"z":1e2,"a":"\\u00e9"}}'


def content(
    plan: StageInPlan, secrets: dict[str, str] | None = None, image_secrets: dict[str, str] | None = None
) -> str:
    """Over the way that a plan takes: JSON in the store."""
    return config_content(from_json(StageInPlan, to_json(plan)), secrets or {}, image_secrets or {}).decode()


def test_a_text_stands_in_it_byte_for_byte() -> None:
    found = content(StageInPlan("ns/run", (), REST, parameters_text=TEXT))
    assert found.startswith(f'{{\n  "parameters": {TEXT},\n')
    assert json.loads(found) == {"parameters": json.loads(TEXT), **REST}
    assert list(json.loads(found)) == ["parameters", "storage", "image_parameters", "action"]


def test_secrets_are_put_in_and_the_rest_of_the_text_stays() -> None:
    found = content(StageInPlan("ns/run", (), REST, parameters_text=TEXT), {"name.#key": "s", "#top": "t"})
    changed = TEXT[:-2] + ', "#key": "s"}, "#top": "t"}'
    assert found.startswith(f'{{\n  "parameters": {changed},\n')


@pytest.mark.parametrize("config", [{"parameters": {"b": 1, "a": [{"n": 1}]}, **REST}, {}, REST])
def test_parameters_that_are_an_object_are_written_as_json(config: dict[str, Any]) -> None:
    found = content(StageInPlan("ns/run", (), config), {"#k": "s"})
    assert json.loads(found) == {**config, "parameters": config.get("parameters", {}) | {"#k": "s"}}


def test_secrets_of_the_image_parameters_are_put_in_there_alone() -> None:
    rest = {**REST, "image_parameters": {"url": "https://a.test", "db": {"port": 1}}}
    found = json.loads(content(StageInPlan("ns/run", (), rest, parameters_text=TEXT), {}, {"#key": "s", "db.#p": "t"}))
    assert found["image_parameters"] == {"url": "https://a.test", "db": {"port": 1, "#p": "t"}, "#key": "s"}
    assert found["parameters"] == json.loads(TEXT)
