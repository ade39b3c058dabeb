"""Flags and files become a manifest."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from componentrun.api.componentrun import ComponentRunSpec
from componentrun.api.problems import EXPECTED
from componentrun.cli.app import app
from componentrun.client.request.naming import generated_name

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World

HEAD = "apiVersion: componentrun.dev/v1alpha1\nkind: ComponentRun\n"
FLAGS: list[tuple[list[str], dict[str, Any]]] = [
    (["--component", "cleaner"], {"component": "cleaner"}),
    (["--component", "cleaner", "--tag", "1.2"], {"component": "cleaner", "tag": "1.2"}),
    (["--image", "alpine:3", "--", "sh", "-c", "echo 1"], {"image": "alpine:3", "command": ["sh", "-c", "echo 1"]}),
    (["--image", "a", "--action", "check"], {"image": "a", "action": "check"}),
    (["--image", "a", "--param", "limit=10"], {"image": "a", "configuration": {"parametersText": '{"limit": 10}'}}),
    (["--image", "a", "--param", "x=word"], {"image": "a", "configuration": {"parametersText": '{"x": "word"}'}}),
    (["--image", "a", "--param", "x="], {"image": "a", "configuration": {"parametersText": '{"x": ""}'}}),
    (["--image", "a", "--param", "x=NaN"], {"image": "a", "configuration": {"parametersText": '{"x": "NaN"}'}}),
    (["--image", "a", "--param", 'x="10"'], {"image": "a", "configuration": {"parametersText": '{"x": "10"}'}}),
    (
        ["--image", "a", "--param", 'x={"b":[1,null]}'],
        {"image": "a", "configuration": {"parametersText": '{"x": {"b": [1, null]}}'}},
    ),
    (
        ["--image", "a", "--param", "db.host=h", "--param", "db.port=5432"],
        {"image": "a", "configuration": {"parametersText": '{"db": {"host": "h", "port": 5432}}'}},
    ),
    (["--image", "a", "--param", r"a\.b=1"], {"image": "a", "configuration": {"parametersText": '{"a.b": 1}'}}),
    (["--image", "a", "--param", "x=a=b"], {"image": "a", "configuration": {"parametersText": '{"x": "a=b"}'}}),
    (
        ["--image", "a", "--secret", "db.#password=login/password"],
        {
            "image": "a",
            "configuration": {
                "secrets": [{"path": "db.#password", "secretKeyRef": {"name": "login", "key": "password"}}]
            },
        },
    ),
    (["--image", "a", "--configuration", "c-1"], {"image": "a", "configuration": {"id": "c-1"}}),
    (["--image", "a", "--input", "in.c-main.foo"], {"image": "a", "input": {"tables": [{"source": "in.c-main.foo"}]}}),
    (
        ["--image", "a", "--input", "in.c-main.foo:x.csv", "--input", "files/y.csv"],
        {
            "image": "a",
            "input": {"tables": [{"source": "in.c-main.foo", "destination": "x.csv"}, {"object": "files/y.csv"}]},
        },
    ),
    (
        ["--image", "a", "--input", "files/a:b/y.csv:z.csv"],
        {"image": "a", "input": {"tables": [{"object": "files/a:b/y.csv", "destination": "z.csv"}]}},
    ),
    (
        ["--image", "a", "--output", "bar.csv:out.c-main.bar"],
        {"image": "a", "output": {"tables": [{"source": "bar.csv", "destination": "out.c-main.bar"}]}},
    ),
    (
        ["--image", "a", "--output", "bar.csv:out.c-main.bar:incremental,write-always"],
        {
            "image": "a",
            "output": {
                "tables": [
                    {"source": "bar.csv", "destination": "out.c-main.bar", "incremental": True, "writeAlways": True}
                ]
            },
        },
    ),
    (["--image", "a", "--default-bucket", "out.c-main"], {"image": "a", "output": {"defaultBucket": "out.c-main"}}),
    (["--image", "a", "--storage", "other"], {"image": "a", "storage": "other"}),
    (["--image", "a", "--timeout", "15m", "--ttl", "1h"], {"image": "a", "timeout": "15m", "ttlAfterFinished": "1h"}),
    (
        ["--image", "a", "--cpu", "2", "--memory", "1Gi"],
        {"image": "a", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}},
    ),
    (["--component", "a", "--size", "large"], {"component": "a", "size": "large"}),
    (["--image", "a", "--network", "no-internet"], {"image": "a", "network": {"mode": "no-internet"}}),
]


@pytest.mark.parametrize(("flags", "spec"), FLAGS, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_flags_become_the_spec(world: World, flags: list[str], spec: dict[str, Any]) -> None:
    result = world.run("submit", *flags)
    assert result.exit_code == 0, result.output
    assert world.created()["spec"] == spec


REFUSED = [
    (["--component", "a", "--image", "b"], "found both of `component` and `image`"),
    ([], "found neither of `component` and `image`"),
    (["--component", "a", "--", "sh"], "`spec.command`: only for an `image`"),
    (["--image", "a", "--tag", "1"], "`spec.tag`: only for a `component`"),
    (["--image", "a", "--size", "small", "--cpu", "1"], "`--size` does not go together"),
    (
        ["--image", "a", "--size", "huge"],
        "`spec.size`: found `huge`, expected one of `xsmall`, `small`, `medium`, `large`",
    ),
    (["--image", "a", "--timeout", "10"], "`spec.timeout`: found `10`, expected a duration such as `90s`"),
    (["--image", "a", "--memory", "lots"], "`spec.resources.limits.memory`: found `lots`, expected a quantity"),
    (["--image", "a", "--network", "all"], "`spec.network.mode`"),
    (["--image", "a", "--param", "x"], "expected `KEY=VALUE`"),
    (["--image", "a", "--param", "a..b=1"], "has an empty part"),
    (["--image", "a", "--param", "a=1", "--param", "a.b=2"], "`a` is 1 already, not an object"),
    (["--image", "a", "--param", "db.#password=x"], "whoever may read the run would read it"),
    (["--image", "a", "--secret", "x=name"], "found no key in `name`"),
    (["--image", "a", "--input", "foo"], "neither a table (`in.c-main.foo`) nor an object"),
    (["--image", "a", "--output", "bar.csv"], "expected `FILE:TABLE`"),
    (["--image", "a", "--output", "bar.csv:out.c-main.bar:twice"], "`twice` is not one of"),
    (["--image", "a", "--name", "Wrong Name"], "metadata.name"),
    (["--image", "a", "--name", "x" * 59], "59 characters, expected at most 58"),
    (["--image", "a", "--wait-timeout", "soon"], "`soon` is no duration"),
]


@pytest.mark.parametrize(
    ("flags", "told"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_what_can_not_be_is_refused_with_the_flag_or_field_and_a_hint(
    world: World, flags: list[str], told: str
) -> None:
    result = world.run("submit", *flags)
    assert result.exit_code == 1
    assert told in result.stderr
    assert "\n\nhint: " in result.stderr
    assert not world.cluster.objects["componentruns"]


RUN = {
    "apiVersion": "componentrun.dev/v1alpha1",
    "kind": "ComponentRun",
    "metadata": {"name": "one", "labels": {"team": "sales"}},
    "spec": {"component": "cleaner", "configuration": {"parameters": {"a": {"b": 1}, "c": 2}}},
}


def test_a_run_comes_from_a_file(world: World, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(RUN))
    assert world.run("submit", "-f", str(file)).stdout == "one\n"
    assert world.created()["spec"] == {
        "component": "cleaner",
        "configuration": {"parametersText": '{"a": {"b": 1}, "c": 2}'},
    }


def test_a_run_comes_from_stdin(world: World) -> None:
    assert world.run("submit", "-f", "-", text=json.dumps(RUN)).stdout == "one\n"


def test_flags_win_over_the_file_and_leave_the_rest(world: World) -> None:
    flags = ["--param", "a.b=3", "--name", "two", "--image", "alpine", "--label", "tier=test"]
    assert world.run("submit", "-f", "-", *flags, "--dry-run", text=json.dumps(RUN)).exit_code == 0
    (manifest,) = world.cluster.dry_runs
    assert manifest["metadata"] == {"name": "two", "labels": {"team": "sales", "tier": "test"}}
    assert manifest["spec"] == {
        "image": "alpine",
        "configuration": {"parametersText": '{"a": {"b": 3}, "c": 2}'},
    }


FILES = [
    ("{", "is not YAML"),
    ("a: 1\n---\nb: 2\n", "holds 2 documents"),
    ("- 1\n", "holds 1 documents; expected one ComponentRun"),
    ("apiVersion: v1\nkind: Pod\n", "is a `Pod` of `v1`; expected a `ComponentRun`"),
    (
        json.dumps(RUN | {"spec": {"component": "a", "timout": "1m"}}),
        "`spec.timout`: there is no such field; did you mean `timeout`?",
    ),
    (
        json.dumps(RUN | {"spec": {"component": "a", "input": {"tables": [{"source": "in.c-a.b", "wher": 1}]}}}),
        "`spec.input.tables[0].wher`: there is no such field",
    ),
    (
        json.dumps(RUN | {"metadata": {"name": "a", "label": {}}}),
        "`metadata.label`: there is no such field; did you mean `labels`?",
    ),
    (json.dumps(RUN | {"spec": None}), "found neither of `component` and `image`"),
]


@pytest.mark.parametrize(("text", "told"), FILES)
def test_a_file_that_is_no_run_is_refused(world: World, text: str, told: str) -> None:
    result = world.run("submit", "-f", "-", text=text)
    assert result.exit_code == 1
    assert told in result.stderr


def test_a_missing_file_is_named(world: World) -> None:
    result = world.run("submit", "-f", "/no/such.yaml")
    assert (result.exit_code, "can't read `/no/such.yaml`: No such file" in result.stderr) == (1, True)


def test_parameters_come_from_a_file_and_single_ones_win(world: World, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("limit: 5\ndb: {host: h}\n")
    world.run("submit", "--image", "a", "--parameters", str(file), "--param", "limit=6")
    assert world.created()["spec"]["configuration"] == {"parametersText": '{"limit": 6, "db": {"host": "h"}}'}


YAML = """
day: 2026-01-31
at: 2026-01-31T12:30:00Z
time: 12:30:00
version: 1.2.3
thousand: 1e3
long: 9223372036854775807
none:
"""
READ = {
    "day": "2026-01-31", "at": "2026-01-31T12:30:00Z", "time": "12:30:00", "version": "1.2.3", "thousand": 1000.0,
    "long": 2**63 - 1, "none": None,
}  # fmt: skip


def test_yaml_means_what_it_means_to_kubectl(world: World, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(YAML)
    world.run("submit", "--image", "a", "--parameters", str(file))
    run = json.dumps(RUN | {"metadata": {"name": "two"}, "spec": {"image": "a", "configuration": {"parameters": 0}}})
    world.run("submit", "-f", "-", text=run.replace('"parameters": 0', f'"parameters": {{{_in_flow(YAML)}}}'))
    assert [
        json.loads(each["spec"]["configuration"]["parametersText"])
        for each in world.cluster.objects["componentruns"].values()
    ] == [
        READ,
        READ,
    ]


def _in_flow(block: str) -> str:
    return ", ".join(block.split("\n")[1:-1])


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ("n: [{id: 12345678901234567890}]", "imageParameters.n[0].id`: 12345678901234567890 has more than 64 bits"),
        ("n: -9223372036854775809", "and Kubernetes would round it: write it in quotes"),
    ],
)
def test_numbers_that_kubernetes_would_change_are_refused_in_image_parameters(
    world: World, parameters: str, told: str
) -> None:
    text = f"{HEAD}spec: {{image: a, configuration: {{imageParameters: {{{parameters}}}}}}}\n"
    result = world.run("submit", "-f", "-", text=text)
    assert (result.exit_code, world.cluster.objects["componentruns"]) == (1, {})
    assert told in result.stderr


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ("n: .nan", "`spec.configuration.parameters.n`: nan is not a number in JSON"),
        ('{"n": Infinity}', "`spec.configuration.parametersText`: it holds `Infinity`, which JSON does not know"),
    ],
)
def test_numbers_that_json_does_not_know_are_refused(world: World, tmp_path: Path, parameters: str, told: str) -> None:
    file = tmp_path / "parameters"
    file.write_text(parameters)
    result = world.run("submit", "--image", "a", "--parameters", str(file))
    assert (result.exit_code, world.cluster.objects["componentruns"]) == (1, {})
    assert told in result.stderr


def test_free_parameters_may_hold_any_key(world: World) -> None:
    spec = {"component": "a", "configuration": {"parameters": {"what": {"ever": 1}}, "imageParameters": {"x": 1}}}
    assert world.run("submit", "-f", "-", text=json.dumps(RUN | {"spec": spec})).exit_code == 0


def test_a_file_of_another_namespace_is_refused_and_its_own_is_used(world: World) -> None:
    text = json.dumps(RUN | {"metadata": {"name": "one", "namespace": "sales"}})
    assert "the file says namespace `sales`" in world.run("submit", "-f", "-", "-n", "other", text=text).stderr
    assert world.run("submit", "-f", "-", text=text).exit_code == 0
    assert world.asked == [(None, "sales")]


def test_dry_run_prints_the_manifest_lets_the_cluster_check_it_and_creates_nothing(world: World) -> None:
    result = world.run("submit", "--component", "cleaner", "--name", "one", "--dry-run")
    assert yaml.safe_load(result.stdout)["metadata"] == {"name": "one"}
    assert len(world.cluster.dry_runs) == 1
    assert not world.cluster.objects["componentruns"]


@pytest.mark.parametrize(
    ("spec", "stem"),
    [
        ({"component": "cleaner"}, "cleaner-"),
        ({"image": "registry.example.com:5000/team/My_Cleaner:1.2"}, "my-cleaner-"),
        ({"image": "alpine@sha256:0123"}, "alpine-"),
        ({"component": "x" * 200}, "x" * 53),
    ],
)
def test_generated_names_are_the_component_and_five_characters(spec: dict[str, str], stem: str) -> None:
    name = generated_name(spec)
    assert re.fullmatch(re.escape(stem) + "[a-z0-9]{5}", name)
    assert len(name) <= 58


def test_generate_name_of_a_file_is_kept(world: World) -> None:
    world.run("submit", "-f", "-", text=json.dumps(RUN | {"metadata": {"generateName": "nightly-"}}))
    assert re.fullmatch("nightly-[a-z0-9]{5}", world.created()["metadata"]["name"])


def test_the_patterns_that_have_words_are_those_of_the_models() -> None:
    schema = json.dumps(ComponentRunSpec.model_json_schema(by_alias=True))
    assert [pattern for pattern in EXPECTED if json.dumps(pattern) not in schema] == []


class TestFilesOfAnotherShape:
    def test_metadata_may_be_empty(self, world: World) -> None:
        done = world.run("submit", "-f", "-", text=f"{HEAD}metadata:\nspec: {{image: a}}\n")
        assert done.exit_code == 0, done.stderr
        assert world.created()["metadata"]["name"].startswith("a-")

    @pytest.mark.parametrize(
        ("text", "flags", "path"),
        [
            ("metadata: x\nspec: {image: a}", [], "metadata"),
            ("spec: 5", [], "spec"),
            ("spec: {image: a, configuration: x}", [], "spec.configuration"),
            ("spec: {image: a, configuration: {parameters: [1]}}", ["--param", "a=1"], "spec.configuration.parameters"),
            ("spec: {image: a, input: x}", ["--input", "in.c-main.x"], "spec.input"),
            ("spec: {image: a, output: x}", [], "spec.output"),
            ("spec: {image: a, resources: x}", ["--cpu", "2"], "spec.resources"),
            ("spec: {image: a, resources: {limits: 3}}", ["--cpu", "2"], "spec.resources.limits"),
            ("spec: {image: a, network: bridge}", ["--network", "none"], "spec.network"),
            ("metadata: {labels: x}\nspec: {image: a}", ["--label", "a=b"], "metadata.labels"),
        ],
    )
    def test_what_is_no_object_is_told_by_its_path(self, world: World, text: str, flags: list[str], path: str) -> None:
        done = world.run("submit", "-f", "-", *flags, text=f"{HEAD}{text}\n")
        assert done.exit_code == 1, done.exception
        assert f"`{path}`: expected an object, found" in done.stderr

    @pytest.mark.parametrize("levels", [200, 3_000])
    def test_what_is_nested_too_deep_is_told(self, world: World, levels: int) -> None:
        deep = "{a: " * levels + "1" + "}" * levels
        done = world.run("submit", "-f", "-", text=f"{HEAD}spec: {{image: a, configuration: {{parameters: {deep}}}}}\n")
        assert done.exit_code == 1, done.exception
        assert "nested" in done.stderr

    @pytest.mark.parametrize("levels", [200, 600, 3_000])
    def test_parameters_that_are_nested_too_deep_are_told(self, world: World, tmp_path: Path, levels: int) -> None:
        deep = "[" * levels + "]" * levels
        (tmp_path / "p.json").write_text(f'{{"a": {deep}}}')
        (tmp_path / "p.yaml").write_text(f"a: {deep}\n")
        ways = [("--parameters", str(tmp_path / "p.json")), ("--parameters", str(tmp_path / "p.yaml"))]
        for flags in (*ways, ("--param", f"a={deep}")):
            done = world.run("submit", "--image", "a", *flags)
            assert (done.exit_code, "nested" in done.stderr) == (1, True), done.exception

    @pytest.mark.parametrize("number", ["0x_", "9" * 5_000], ids=["no digits", "thousands of digits"])
    def test_what_looks_like_a_number_and_is_none_is_told(self, world: World, tmp_path: Path, number: str) -> None:
        text = f"{HEAD}spec: {{image: a, configuration: {{parameters: {{a: {number}}}}}}}\n"
        done = world.run("submit", "-f", "-", text=text)
        assert (done.exit_code, "is not YAML" in done.stderr) == (1, True), done.exception
        (tmp_path / "p.yaml").write_text(f"a: {number}\n")
        done = world.run("submit", "--image", "a", "--parameters", str(tmp_path / "p.yaml"))
        assert (done.exit_code, "neither JSON nor YAML" in done.stderr) == (1, True), done.exception

    def test_stdin_that_is_no_text_is_told(self, world: World) -> None:
        done = CliRunner().invoke(app, ["submit", "-f", "-"], obj=world.makers(), input=b"\xff\xfea")
        assert (done.exit_code, "is not text in UTF-8" in done.stderr) == (1, True), done.exception
