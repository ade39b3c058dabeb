"""Parameters reach the run as the text that they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.cli.errors import advice_of, exit_code_of
from componentrun.client.kubernetes.answers import Asked, explain
from componentrun.process.kubernetes.errors import error_for
from componentrun.process.kubernetes.resources import RUNS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World

HEAD = "apiVersion: componentrun.dev/v1alpha1\nkind: ComponentRun\n"
TEXT = '{"zip": 1.0,\n  "city": 12345678901234567890123, "name": {"z": 1e2, "a": "\\u00e9"}}'


def configuration(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.created()["spec"]["configuration"]
    return found


@pytest.mark.parametrize("text", [TEXT, f"\ufeff{TEXT}\n"])
def test_a_json_file_stays_byte_for_byte(world: World, tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text, encoding="utf-8")
    assert world.run("submit", "--image", "a", "--parameters", str(tmp_path / "p.json")).exit_code == 0
    assert configuration(world) == {"parametersText": TEXT}


def test_a_yaml_file_keeps_the_order_of_its_keys(world: World, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("zip: 1.0\ncity: [{z: 1, a: 2}]\nname: é\n", encoding="utf-8")
    world.run("submit", "--image", "a", "--parameters", str(tmp_path / "p.yaml"))
    assert configuration(world) == {"parametersText": '{"zip": 1.0, "city": [{"z": 1, "a": 2}], "name": "é"}'}


def test_parameters_of_a_manifest_become_a_text_in_their_order(world: World) -> None:
    text = f"{HEAD}spec: {{image: a, configuration: {{id: c, parameters: {{zip: 1, city: 2}}, version: v}}}}\n"
    assert world.run("submit", "-f", "-", text=text).exit_code == 0
    assert list(configuration(world).items()) == [
        ("id", "c"),
        ("parametersText", '{"zip": 1, "city": 2}'),
        ("version", "v"),
    ]


def test_the_text_of_a_manifest_stays(world: World) -> None:
    text = f"{HEAD}spec: {{image: a, configuration: {{parametersText: {json.dumps(TEXT)}}}}}\n"
    assert world.run("submit", "-f", "-", text=text).exit_code == 0
    assert configuration(world) == {"parametersText": TEXT}


def test_single_parameters_are_set_among_the_others_in_their_order(world: World, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"zip": 1.0, "city": {"b": 1, "a": 2}}')
    flags = ["--param", "zip=2", "--param", "city.b=3", "--param", "area=4"]
    world.run("submit", "--image", "a", "--parameters", str(tmp_path / "p.json"), *flags)
    assert configuration(world) == {"parametersText": '{"zip": 2, "city": {"b": 3, "a": 2}, "area": 4}'}


def test_parameters_may_come_from_a_config_map(world: World) -> None:
    text = f"{HEAD}spec: {{image: a, configuration: {{id: c, parameters: {{zip: 1}}}}}}\n"
    assert world.run("submit", "-f", "-", "--parameters-from", "big/p.json", text=text).exit_code == 0
    reference = {"configMapKeyRef": {"name": "big", "key": "p.json"}}
    assert configuration(world) == {"id": "c", "parametersFrom": reference}


WHOLE = '{"parameters": {"a": 1}, "storage": {"input": {}}}'


@pytest.mark.parametrize(
    ("content", "flags", "told"),
    [
        ('{"a": 1, "a": 2}', [], "`spec.configuration.parametersText`: it has the key `a` twice in one object"),
        ("[1]", [], "holds a list; expected an object of parameters"),
        ("", [], "holds nothing; expected an object of parameters"),
        ("null", [], "holds null; expected an object of parameters"),
        ('"a text"', [], "holds a text; expected an object of parameters"),
        ("5", [], "holds a number; expected an object of parameters"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", [], "line 4: it has the key `c` twice in one object; expected each key once"),
        (
            WHOLE,
            [],
            (
                "found a whole configuration (an object `parameters` beside `storage`), so the component would find "
                "`parameters.parameters`; expected what is below `parameters`: pass that (`jq .parameters FILE`), or "
                "make runs of the whole with `componentrun convert FILE`"
            ),
        ),
        ("{}", ["--parameters-from", "a/b"], "found both `--parameters` and `--parameters-from`"),
        (
            json.dumps({"a": "x" * 1_048_576}),
            [],
            "found 1048585 characters, expected at most 1048576; keep them in a ConfigMap, compressed if they have",
        ),
    ],
)
def test_what_can_not_be_the_parameters_is_refused(
    world: World, tmp_path: Path, content: str, flags: list[str], told: str
) -> None:
    (tmp_path / "p.json").write_text(content)
    done = world.run("submit", "--image", "a", "--parameters", str(tmp_path / "p.json"), *flags)
    assert (done.exit_code, world.cluster.objects["componentruns"]) == (1, {})
    assert told in done.stderr


def test_what_is_wrong_with_a_large_text_is_told_once(world: World, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"a": "x" * 1_048_576}))
    done = world.run("submit", "--image", "a", "--parameters", str(tmp_path / "p.json"))
    assert done.stderr.count("`spec.configuration.parametersText`") == 1


@pytest.mark.parametrize(
    ("text", "flags", "told"),
    [
        ("parameters: {parameters: {a: 1}}", [], "found a whole configuration (an object `parameters`), so"),
        (
            "parameters: {a: 1}, parametersText: '{}'",
            [],
            "`spec.configuration`: found `parameters` and `parametersText`, expected at most one of them",
        ),
        ("parametersText: '{1}'", ["--param", "a=1"], "`spec.configuration.parametersText`: it is not JSON"),
        (
            "parametersFrom: {configMapKeyRef: {name: a, key: b}}",
            ["--param", "a=1"],
            "`--param` changes parameters that are in the run, and these are in a ConfigMap",
        ),
        ("", ["--parameters-from", "a"], "`--parameters-from a`: expected `CONFIGMAP/KEY`"),
    ],
)
def test_what_can_not_be_in_a_manifest_is_refused(world: World, text: str, flags: list[str], told: str) -> None:
    manifest = f"{HEAD}spec: {{image: a, configuration: {{{text}}}}}\n"
    done = world.run("submit", "-f", "-", *flags, text=manifest)
    assert done.exit_code == 1
    assert told in done.stderr


def test_a_run_that_is_larger_than_kubernetes_stores_is_refused_before_it_is_sent(world: World) -> None:
    quotes = json.dumps({"a": ["x"] * 180_000})
    text = json.dumps(
        {
            "apiVersion": "componentrun.dev/v1alpha1",
            "kind": "ComponentRun",
            "spec": {
                "image": "a",
                "configuration": {"parametersText": quotes, "imageParameters": {"b": "y" * 300_000}},
            },
        }
    )
    done = world.run("submit", "-f", "-", text=text)
    assert (done.exit_code, world.cluster.objects["componentruns"]) == (1, {})
    assert "bytes as JSON; expected at most 1400000 (etcd stores 1.5 MiB, with the run's status)" in done.stderr
    assert "kubectl create configmap NAME --from-file=parameters.json.gz" in done.stderr


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (413, "Request entity too large: limit is 3145728"),
        (500, "etcdserver: request is too large"),
        (
            500,
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (3146218 vs. 2097152)",
        ),
    ],
)
def test_a_cluster_that_finds_a_run_too_large_is_not_to_be_tried_again(status: int, message: str) -> None:
    answer = json.dumps({"kind": "Status", "message": message}).encode()
    error = explain(error_for(status, answer, "POST"), Asked("create", RUNS, "one", "team", "https://cluster"))
    assert exit_code_of(error) == 1
    assert "it is larger than Kubernetes stores (etcd takes 1.5 MiB)" in error.message
    assert "keep them in a ConfigMap" in advice_of(error)
