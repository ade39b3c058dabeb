"""What lint finds: each rule at one Component that breaks it and one that does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from componentrun.catalogue.entry import Catalogue, Finding
from componentrun.catalogue.lint import errors_in, lint
from tests.signing import Signer
from tests.unit.catalogue.make import catalogue, component

RELEASE = {"name": "release", "tag": "1.0"}
PORT = {"type": "object", "required": ["port", "#key"], "properties": {"port": {"type": "integer"}}}


def found(*manifests: dict[str, Any]) -> list[str]:
    return [f"{finding.severity} {finding.rule}: {finding.message}" for finding in lint(catalogue(*manifests))]


def deprecated(name: str, by: str | None) -> dict[str, Any]:
    return component(name, deprecated={"replacedBy": by} if by else {})


def test_a_good_component_has_no_findings() -> None:
    full = component(
        "acme.ex-weather",
        image=f"registry.example.com:5000/team/weather@sha256:{'a' * 64}",
        imageParameters={"host": "h", "#empty": ""},
        imageParameterSecrets={"#key": {"name": "s", "key": "k"}},
        configuration={"schema": '{"type": "object"}', "default": {"#password": "", "a": [{"b": 1}]}},
        deprecated={"replacedBy": "acme.ex-weather-v2", "endOfLife": "2030-01-01"},
        channels=[RELEASE],
        verify={"key": Signer().public},
    )
    channels = [{"name": "release", "tag": "1"}, {"name": "stable", "semver": "^1.2 || 3.x"}]
    assert found(full, component("acme.ex-weather-v2", channels=channels, defaultChannel="stable")) == []


@pytest.mark.parametrize(
    ("manifests", "told"),
    [
        ([component(), component()], "error DuplicateName: `file0.yaml` has the same name"),
        ([component("Upper")], "error InvalidName: expected a name of at most 63"),
        ([component("a" * 64)], "error InvalidName: "),
        ([component("a..b")], "error InvalidName: "),
        ([component("acme.ex-a"), component("acme-ex-a")], "error CollidingName: its default buckets would be those"),
        ([component(), component(kind="ClusterComponent")], "warning Shadowed: the catalogue has a ClusterComponent"),
        ([component(kindness="x")], "error UnknownField: there is no field `spec.kindness`"),
        ([component(network={"mod": "none"})], "error UnknownField: there is no field `spec.network.mod`"),
        ([component(timeout="soon")], "error InvalidField: `timeout`: found `soon`, expected a duration"),
        ([component(image=None)], "error InvalidField: `image`: missing"),
        ([component(tag=f"sha256:{'a' * 64}")], "error InvalidField: `tag`: found `sha256:"),
        (
            [component(channels=[{"name": f"c{i}", "tag": "1"} for i in range(300)])],
            "error InvalidField: `channels`: found a list of 300, expected at most 32 items",
        ),
        (
            [component(channels=[{"name": "release", "tag": f"sha256:{'a' * 64}"}])],
            "error InvalidField: `channels[0].tag`: found `sha256:",
        ),
        (
            [component(image="Acme/Weather")],
            "error InvalidImage: spec.image: `Acme/Weather` is not the name of an image: it has capital letters",
        ),
        (
            [component(channels=[RELEASE], verify={"key": "A" * 64})],
            "error InvalidKey: spec.verify.key: found no PEM block; expected one PEM block `PUBLIC KEY`",
        ),
        ([component(verify={"key": Signer().public})], "error InvalidKey: `spec.verify` needs `spec.channels`"),
        ([component(image="acme/weather:1.2")], "error InvalidImage: image `acme/weather:1.2` names a tag"),
        (
            [component(image="acme/we ather")],
            "error InvalidImage: spec.image: `acme/we ather` is not the name of an image: expected at most",
        ),
        (
            [component(image="acme/weather@sha256:12")],
            "error InvalidImage: image `acme/weather@sha256:12`: `sha256:12` is no digest",
        ),
        (
            [component(channels=[{"name": "stable", "semver": "newest"}])],
            "error InvalidChannel: Component `acme.ex-weather`: channel `stable`: semver",
        ),
        (
            [component(channels=[{"name": "a", "tag": "1", "digest": f"sha256:{'a' * 64}"}])],
            "error InvalidChannel: Component `acme.ex-weather`: channel `a`: found tag and digest",
        ),
        (
            [component(channels=[{"name": "a", "tag": "1"}], defaultChannel="b")],
            "error InvalidChannel: Component `acme.ex-weather`: spec.defaultChannel: `b` is not a channel",
        ),
        (
            [component(channels=[{"name": "a", "tag": "1"}, {"name": "a", "tag": "2"}])],
            "error InvalidChannel: Component `acme.ex-weather`: spec.channels: found `a` 2 times",
        ),
        (
            [component(imageParameters={"db": [{"#password": "hunter2"}]})],
            "error PlainSecret: `spec.imageParameters.db[0].#password` holds a secret as text",
        ),
        (
            [component(configuration={"default": {"#token": "hunter2"}})],
            "error PlainSecret: `spec.configuration.default.#token` holds a secret as text",
        ),
        (
            [component(configuration={"schema": {"type": "button"}})],
            "error UnusableSchema: spec.configuration.schema.type: found `button`, expected one of `array`",
        ),
        (
            [component(configuration={"schema": {"type": "button"}, "validation": "Warn"})],
            "warning UnusableSchema: ",
        ),
        (
            [component(configuration={"rowSchema": "{"})],
            "error UnusableSchema: spec.configuration.rowSchema: found text",
        ),
        ([component(configuration={"schema": {"$ref": "https://example.com/s"}})], "error UnusableSchema: "),
        (
            [component(configuration={"schema": {"title": "x" * 300_000}})],
            "error UnusableSchema: spec.configuration.schema: it has 300",
        ),
        (
            [component(configuration={"schema": PORT, "default": {"port": "a"}})],
            "error DefaultMismatch: `spec.configuration.default.port`: found `a`, expected a whole number",
        ),
        (
            [component(configuration={"schema": PORT, "default": {"port": "a"}, "validation": "Warn"})],
            "warning DefaultMismatch: ",
        ),
        ([deprecated("acme.a", "acme.gone")], "warning ReplacementMissing: `deprecated.replacedBy` is `acme.gone`"),
        (
            [deprecated("acme.a", "acme.b"), deprecated("acme.b", "acme.a")],
            "error ReplacementCircle: its replacements lead in a circle: acme.a -> acme.b -> acme.a",
        ),
        ([deprecated("acme.a", "acme.a")], "error ReplacementCircle: "),
        ([component(type=None)], "warning NoType: "),
        ([component(title=None)], "warning NoTitle: "),
        ([{**component(), "spec": None}], "error InvalidField: "),
        ([{**component(), "spec": [1]}], "error InvalidField: "),
        ([{**component(), "data": {}}], "error UnknownField: there is no field `data`"),
        (
            [{**component(), "metadata": {"name": "acme.a", "namespace": "team"}}],
            "error Metadata: found `metadata.namespace`, but `sync` chooses the namespace",
        ),
        (
            [{**component(), "metadata": {"name": "acme.a", "finalizers": ["x"]}}],
            "error Metadata: found `metadata.finalizers`",
        ),
    ],
)
def test_a_rule_finds_what_breaks_it(manifests: list[dict[str, Any]], told: str) -> None:
    lines = found(*manifests)
    assert any(line.startswith(told) for line in lines), lines
    assert len({line.partition(":")[0] for line in lines if line.startswith("error")}) <= 1, "one mistake, one rule"


@pytest.mark.parametrize(
    "configuration",
    [
        {"schema": PORT, "default": {}},
        {"schema": PORT, "default": {"port": 1}},
        {"schema": {"type": "button"}, "validation": "Off"},
        {"schema": {"$ref": "#"}, "default": {"a": 1}},
        {"default": {"a": 1}},
    ],
)
def test_what_is_no_mistake_of_a_schema(configuration: dict[str, Any]) -> None:
    assert found(component(configuration=configuration)) == []


def test_no_finding_shows_a_secret() -> None:
    lines = found(component(imageParameters={"#p": "hunter2"}, configuration={"default": {"#p": "hunter2"}}))
    assert "hunter2" not in str(lines)


def test_an_empty_catalogue_is_an_error() -> None:
    assert found() == ["error Empty: it holds no Components"]


def test_findings_of_reading_come_first_and_each_once() -> None:
    finding = Finding("error", "InvalidFile", "`x`", "it is not YAML")
    read = dataclasses.replace(catalogue(component()), findings=(finding, finding))
    assert lint(read) == (finding,)
    assert errors_in(lint(read)) == (finding,)


def test_lint_of_200_components_names_each_by_its_file() -> None:
    manifests = [component(f"acme.ex-{i}", timeout="soon") for i in range(200)]
    findings = lint(catalogue(*manifests))
    assert len(findings) == 200
    assert {finding.subject for finding in findings} == {
        f"Component `acme.ex-{i}` (`file{i}.yaml`)" for i in range(200)
    }


def test_a_catalogue_without_findings_may_have_any_name() -> None:
    assert lint(Catalogue("", catalogue(component()).entries)) == ()
