"""Exports of odd shape: nothing of them is dropped without a word, and none of them ends in a stack trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from typer.testing import Result

    from tests.unit.cli.world import World


def convert(world: World, export: Any) -> Result:
    text = export if isinstance(export, str) else json.dumps(export)
    return world.run("convert", "-", text=text)


def configured(**content: Any) -> dict[str, Any]:
    return {"id": "1", "componentId": "k.ex", "configuration": content}


def specs(result: Result) -> list[dict[str, Any]]:
    return [each["spec"] for each in yaml.safe_load_all(result.stdout) if each is not None]


@pytest.mark.parametrize(
    ("export", "told"),
    [
        (configured(parameters=[1, 2]), "1: parameters: found a list, expected an object"),
        ({**configured(), "configuration": '{"parameters": {}}'}, "1: configuration: found a text, expected an object"),
        (configured(processors=[{"definition": {}}]), "1: processors: found a list, expected an object"),
        (configured(processors={"after": {"definition": {}}}), "1: processors.after: found an object, expected a list"),
        (configured(runtime={"backend": "large"}), "1: runtime.backend: found a text, expected an object"),
        (configured(storage={"input": [1]}), "1: storage.input: found a list, expected an object"),
        (
            configured(storage={"input": {"tables": [{"source": "in.c-a.b", "columns": "a"}]}}),
            "1: storage.input.tables[0].columns: found a text, expected a list",
        ),
        (
            configured(storage={"input": {"tables": [None]}}),
            "1: storage.input.tables[0]: found null, expected an object",
        ),
        (
            configured(storage={"input": {"files": {"tags": ["a"]}}}),
            "1: storage.input.files: found an object, expected a list",
        ),
        (
            configured(storage={"output": {"tables": [{"destination": "out.c-a.b", "incremental": "x"}]}}),
            "1: storage.output.tables[0].incremental: found a text, expected true or false",
        ),
        (
            {**configured(parameters={"a": 1}), "rows": [None, {"id": "r2", "configuration": {}}]},
            "1: rows[0]: found null, expected an object",
        ),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_told_and_not_dropped_in_silence(world: World, export: Any, told: str) -> None:
    result = convert(world, export)
    assert f"left out: {told}" in result.stderr.splitlines()
    assert result.exit_code == 3


def test_an_empty_list_in_a_row_is_phps_empty_object_and_replaces_nothing(world: World) -> None:
    row = {"id": "r1", "configuration": {"parameters": [], "storage": []}}
    tables = {"input": {"tables": [{"source": "in.c-a.b", "destination": "b.csv"}]}}
    export = {**configured(parameters={"host": "h"}, storage=tables), "rows": [row]}
    (spec,) = specs(convert(world, export))
    assert json.loads(spec["configuration"]["parametersText"]) == {"host": "h"}
    assert spec["input"]["tables"][0]["source"] == "in.c-a.b"


def test_rows_that_php_wrote_as_an_object_are_rows(world: World) -> None:
    rows = {"0": {"id": "r1", "configuration": {}}, "2": {"id": "r3", "configuration": {}}}
    result = convert(world, {**configured(parameters={"a": 1}), "rows": rows})
    assert [spec["configuration"]["row"] for spec in specs(result)] == ["r1", "r3"]


def test_a_condition_without_values_is_told(world: World) -> None:
    table = {"source": "in.c-a.b", "destination": "b.csv", "where_column": "x", "where_operator": "eq"}
    result = convert(world, configured(storage={"input": {"tables": [table]}}))
    assert "left out: 1: storage.input.tables[0].where_column: `where_values` is missing or empty" in result.stderr
    assert result.exit_code == 3


@pytest.mark.parametrize("export", ["[]", '{"configurations": []}', '[{"id": "k.ex", "configurations": []}]'])
def test_an_export_without_a_configuration_is_refused(world: World, export: str) -> None:
    result = convert(world, export)
    assert result.exit_code == 1
    assert "the export holds no configuration" in result.stderr


@pytest.mark.parametrize(
    "export",
    [{"configurations": [configured() | {"componentId": None}]}, configured() | {"componentId": {"id": "k.ex"}}],
)
def test_an_export_that_names_no_component_is_refused(world: World, export: Any) -> None:
    result = convert(world, export)
    assert result.exit_code == 1
    assert "does not say which component" in result.stderr


def test_a_component_may_be_a_number(world: World) -> None:
    (spec,) = specs(convert(world, configured() | {"componentId": 5}))
    assert spec["component"] == "5"


def test_numbers_that_are_texts_or_have_zeros_at_their_end(world: World) -> None:
    table = {"source": "in.c-a.b", "destination": "b.csv", "limit": "10", "days": "3"}
    text = json.dumps(configured(storage={"input": {"tables": [table]}}, runtime={"tag": "TAG"}))
    (spec,) = specs(convert(world, text.replace('"TAG"', "1.10")))
    assert spec["tag"] == "1.10"
    assert spec["input"]["tables"] == [
        {"source": "in.c-a.b", "destination": "b.csv", "changedSince": "-3 days", "limit": 10}
    ]


def test_an_encrypted_image_parameter_is_told_and_left_out(world: World) -> None:
    result = convert(world, configured(image_parameters={"#token": "KBC::Encrypted==x", "url": "u"}))
    assert "left out: 1: image_parameters.#token: it is encrypted" in result.stderr
    assert specs(result)[0]["configuration"]["imageParameters"] == {"url": "u"}
