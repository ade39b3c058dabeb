"""Components that name other Components. Fields of processors are of another part, so only these rules run here."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.catalogue.references import processor_findings
from componentrun.catalogue.schemas import schema_findings
from componentrun.core.schema.check import check
from tests.unit.catalogue.make import catalogue, component


def processor(name: str, positions: list[str] | None = None) -> dict[str, Any]:
    return component(name, type="processor", processor={"positions": positions} if positions else None)


def using(**processors: Any) -> dict[str, Any]:
    return component("acme.ex-a", processors=processors)


def step(name: str) -> dict[str, Any]:
    return {"component": name}


@pytest.mark.parametrize(
    ("manifests", "told"),
    [
        ([using(before=[step("acme.p")]), processor("acme.p")], ""),
        ([using(after=[step("acme.p")]), processor("acme.p", ["before", "after"])], ""),
        (
            [using(after=[step("acme.p"), step("acme.w")]), processor("acme.p"), component("acme.w", type="writer")],
            "error NotAProcessor: `spec.processors.after[1].component`: Component `acme.w` has the type `writer`",
        ),
        ([using(before=[step("acme.w")]), component("acme.w", type=None)], "error NotAProcessor: "),
        (
            [using(before=[step("acme.p")]), processor("acme.p", ["after"])],
            "error ProcessorPosition: `spec.processors.before[0].component`: Component `acme.p` can't run `before`",
        ),
        ([using(before=[step("acme.gone")])], "warning ProcessorMissing: `spec.processors.before[0].component` is"),
        ([using(before="x", after=[7, {"component": 7}])], ""),
        ([component("acme.ex-a", processors=[1])], ""),
    ],
)
def test_processors(manifests: list[dict[str, Any]], told: str) -> None:
    lines = [f"{item.severity} {item.rule}: {item.message}" for item in processor_findings(catalogue(*manifests))]
    assert len(lines) == bool(told)
    assert all(line.startswith(told) for line in lines)


SCHEMA = {
    "type": "object",
    "required": ["format"],
    "properties": {"format": {"enum": ["csv", "json"]}, "#key": {"type": "string", "minLength": 9}},
}


def with_schema(validation: str = "Enforce", kind: str = "Component", schema: Any = None) -> dict[str, Any]:
    configuration = {"schema": schema or SCHEMA, "validation": validation}
    return component("acme.p", kind, type="processor", configuration=configuration)


def given(**parameters: Any) -> dict[str, Any]:
    return {"component": "acme.p", "parameters": parameters}


@pytest.mark.parametrize(
    ("manifests", "told"),
    [
        ([using(after=[given(format="csv")]), with_schema()], []),
        (
            [using(before=[given(format="csv"), given(format="xml")]), with_schema()],
            ["error: `spec.processors.before[1].parameters.format`: found `xml`, expected "],
        ),
        (
            [using(after=[given()]), with_schema("Warn")],
            ["warning: `spec.processors.after[0].parameters.format`: found nothing, expected "],
        ),
        ([using(after=[given()]), with_schema("Off")], []),
        ([using(after=[given()])], []),
        ([using(after=[given()]), component("acme.p", type="processor")], []),
        # A Component hides the ClusterComponent of its name as a whole.
        ([using(after=[given()]), with_schema("Enforce", "ClusterComponent"), with_schema("Off")], []),
        ([using(after=[given(format="xml")]), with_schema("Warn", "ClusterComponent")], ["warning: "]),
        ([component("acme.ex-a", processors={"before": "x"}), with_schema()], []),
    ],
)
def test_parameters_of_processors_are_checked_against_the_schemas_in_the_catalogue(
    manifests: list[dict[str, Any]], told: list[str]
) -> None:
    lines = [f"{item.severity}: {item.message}" for item in schema_findings(catalogue(*manifests), check)]
    assert len(lines) == len(told)
    for line, beginning in zip(lines, told, strict=True):
        assert line.startswith(beginning)
        assert "as Component `acme.p` requires. Correct the parameters" in line


def test_an_unusable_schema_of_a_processor_is_told_once_and_no_parameter_is() -> None:
    found = schema_findings(catalogue(using(after=[given()]), with_schema(schema={"type": 7})), check)
    assert [item.rule for item in found] == ["UnusableSchema"]


def test_no_finding_shows_a_secret_of_a_processor() -> None:
    manifests = using(after=[given(**{"format": "csv", "#key": "hunter2"})]), with_schema()
    (finding,) = schema_findings(catalogue(*manifests), check)
    assert "#key" in finding.message
    assert "hunter2" not in str(finding)
