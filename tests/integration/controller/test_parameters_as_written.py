"""Parameters given as text arrive in config.json byte for byte; also checks the component's environment."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.controller.conftest import Place

LOOK = "cp /data/config.json /data/artifacts/out/current/ && env > /data/artifacts/out/current/env"
TEXT = '{"zip": 1.0,\n\t"city":12345678901234567890123, "name" : {"z":1e2,"a":"\\u00e9 é"}, "a": [1.10, null]}'
FROM = {"parametersFrom": {"configMapKeyRef": {"name": "big", "key": "p"}}}


def found(place: Place, folder: Path, configuration: dict[str, Any]) -> Path:
    """Run a component with this configuration, and return the folder with its config.json and environment."""
    name = place.run("sh", "-c", LOOK, configuration=configuration)
    status = place.tenant.wait(name)["status"]
    assert status["phase"] == "Succeeded", status
    fetched = place.tenant.cli("artifacts", name, "--to", str(folder))
    assert fetched.returncode == 0, fetched.stderr
    return folder / "artifacts/out/current"


def parameters(path: Path) -> str:
    """Text of `parameters` in config.json, which must be its first key."""
    text = (path / "config.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["parameters", "storage", "image_parameters", "authorization", "action"]
    head, tail = '{\n  "parameters": ', ',\n  "storage": '
    assert text.startswith(head)
    return text.removeprefix(head).partition(tail)[0]


def config_map(place: Place, **content: dict[str, str]) -> None:
    place.tenant.kubectl("delete", "configmap", "big", "--ignore-not-found")
    body = {"metadata": {"name": "big"}, **content}
    place.tenant.core.create_namespaced_config_map(place.tenant.namespace, body)


def test_a_text_arrives_byte_for_byte_with_its_secrets(place: Place, tmp_path: Path) -> None:
    place.tenant.secret("login", {"password": "a-password"})
    secret = {"path": "name.#password", "secretKeyRef": {"name": "login", "key": "password"}}
    path = found(place, tmp_path, {"parametersText": TEXT, "secrets": [secret]})
    assert parameters(path) == TEXT.replace('é"}', 'é", "#password": "a-password"}')
    told = dict(line.partition("=")[::2] for line in (path / "env").read_text().splitlines() if "=" in line)
    of_kubernetes = {name: value for name, value in told.items() if name.startswith("KUBERNETES_")}
    assert "KUBERNETES_SERVICE_HOST" in of_kubernetes
    assert set(of_kubernetes.values()) == {""}


def test_a_config_map_holds_more_than_a_run_compressed(place: Place, tmp_path: Path) -> None:
    rows = ",".join(f'{{"z{number}": {number}.0, "a": "{"x" * 20}"}}' for number in range(60_000))
    text = f'{{"rows": [{rows}]}}'
    assert len(text) > 2_500_000
    config_map(place, binary_data={"p": base64.b64encode(gzip.compress(text.encode())).decode()})
    assert parameters(found(place, tmp_path, FROM)) == text


def test_a_config_map_of_text_is_read_as_it_is(place: Place, tmp_path: Path) -> None:
    config_map(place, data={"p": f"{TEXT}\n"})
    assert parameters(found(place, tmp_path, FROM)) == TEXT


@pytest.mark.parametrize(
    ("content", "reason", "told"),
    [
        (None, "ConfigMapNotFound", "there is no such ConfigMap. Create it, or name another one."),
        ({"q": "{}"}, "ConfigMapNotFound", "there is no such key (it has: `q`)"),
        ({"p": "[]"}, "InvalidSpec", "it holds a list; expected a JSON object"),
    ],
)
def test_a_config_map_that_can_not_be_used_ends_the_run(
    place: Place, content: dict[str, str] | None, reason: str, told: str
) -> None:
    if content is None:
        place.tenant.kubectl("delete", "configmap", "big", "--ignore-not-found")
    else:
        config_map(place, data=content)
    place.failed(place.run("true", configuration=FROM), reason, "key `p` of ConfigMap", told)
