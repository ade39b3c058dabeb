"""Secret image parameters of processors: in the grant of stage-in alone, and only for their own step."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from componentrun.agent.stagein.main import _processor_config as processor_config
from componentrun.wire.grants import GrantIn
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.kubelet import Node
from tests.unit.controller.test_processors import add_component


async def test_a_processor_finds_its_secrets_and_nobody_else_does() -> None:
    world = World()
    refs = {"#key": {"name": "vault", "key": "token"}}
    add_component(world, "unzip", imageParameters={"level": 1}, imageParameterSecrets=refs)
    token = base64.b64encode(b"hush-hush").decode()
    world.kube.put("secrets", {"metadata": {"name": "vault"}, "data": {"token": token}})
    world.add_run(processors={"after": [{"component": "unzip"}]})
    operator = FakeOperator(world)
    await operator.start()
    await Node(world).live(operator, 1)
    secret = next(item for item in world.kube.of("secrets") if item["metadata"]["name"] == "load-1")
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    grant = json.loads(data["grant-in"])
    assert grant["step_secrets"] == {"after-1": {"#key": "hush-hush"}}
    assert "hush-hush" not in data["grant-out"]
    assert "hush-hush" in json.loads(data["redact"])
    assert "hush-hush" not in json.dumps(world.kube.of("pods"))


HUSH = base64.b64encode(b"hush-hush").decode()
REFS = {"#key": {"name": "vault", "key": "token"}}
COPY = {"#copied": "hush-hush"}


@pytest.mark.parametrize(
    ("owner", "configuration", "steps", "field"),
    [
        ("unzip", {"parameters": COPY}, [{}], "spec.configuration"),
        ("unzip", {}, [{}, {"parameters": COPY}], "spec.processors.after[1]"),
        ("cleaner", {}, [{"parameters": COPY}], "spec.processors.after[0]"),
    ],
)
async def test_a_run_that_repeats_a_secret_one_anywhere_is_refused(
    owner: str, configuration: dict[str, Any], steps: list[dict[str, Any]], field: str
) -> None:
    world = World()
    for name in ("unzip", "cleaner"):
        add_component(world, name, **({"imageParameterSecrets": REFS} if name == owner else {}))
    world.kube.put("secrets", {"metadata": {"name": "vault"}, "data": {"token": HUSH}})
    processors = {"after": [{"component": "unzip", **step} for step in steps]}
    world.add_run(image=None, component="cleaner", configuration=configuration, processors=processors)
    await FakeOperator(world).live(2)
    status = world.run()["status"]
    assert status["reason"] == "InvalidSpec"
    assert f": {field}: `parameters.#copied` has the value of a secret of Component `{owner}`" in status["message"]
    assert "hush-hush" not in json.dumps(status)
    assert world.kube.of("pods") == []


def test_they_are_inserted_into_its_image_parameters() -> None:
    grant = GrantIn("url", {"#password": "not-this"}, step_secrets={"after-1": {"#key": "hush"}})
    config = {"parameters": {}, "image_parameters": {"level": 1}, "action": "run"}
    assert json.loads(processor_config("after-1", config, grant)) == {
        "parameters": {},
        "image_parameters": {"level": 1, "#key": "hush"},
        "action": "run",
    }
    assert json.loads(processor_config("after-2", config, grant)) == config
