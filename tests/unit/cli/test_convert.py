"""Configurations that Keboola's API exported become runs, and what has no place in them is told.

`UPDATE_EXPECTED=1 pytest tests/unit/cli/test_convert.py` writes data/exports/expected.yaml anew; read the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.agent.stagein.secrets import with_secrets
from componentrun.api.componentrun import ComponentRun
from componentrun.core.request.processors import processor_names
from componentrun.core.request.resolve import resolve
from componentrun.wire.jsontext import parse_object
from tests.unit.core.make import make_component

if TYPE_CHECKING:
    from typer.testing import Result

    from tests.unit.cli.world import World

DATA = Path(__file__).parent / "data" / "exports"
EXPECTED = DATA / "expected.yaml"
NAMES = sorted(path.stem for path in DATA.glob("*.json"))
SAYS_ITS_COMPONENT = "components"


def converted(world: World, name: str) -> Result:
    flags = [] if name == SAYS_ITS_COMPONENT else ["--component", name]
    return world.run("convert", str(DATA / f"{name}.json"), *flags)


def lines(result: Result) -> list[str]:
    """What was told on stderr, whole lines: they are not broken where nobody looks."""
    return result.stderr.splitlines()


def runs(result: Result) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(result.stdout) if each is not None]


def test_there_are_twenty_exports() -> None:
    assert len(NAMES) == 20


@pytest.mark.parametrize("name", NAMES)
def test_an_export_becomes_these_runs_and_this_is_left_out(world: World, name: str) -> None:
    result = converted(world, name)
    found = {"exit": result.exit_code, "runs": [run["metadata"]["name"] for run in runs(result)], "told": lines(result)}
    known = yaml.safe_load(EXPECTED.read_text()) if EXPECTED.exists() else {}
    if os.environ.get("UPDATE_EXPECTED"):
        EXPECTED.write_text(yaml.safe_dump({**known, name: found}, sort_keys=True, width=200))
        known[name] = found
    assert found == known[name]
    assert result.exit_code == (3 if any(line.startswith("left out: ") for line in lines(result)) else 0)


@pytest.mark.parametrize("name", NAMES)
def test_its_runs_can_be_read_and_resolved(world: World, name: str) -> None:
    for raw in runs(converted(world, name)):
        run = ComponentRun.model_validate(raw)
        known = {item: make_component(name=item, type="processor") for item in processor_names(run, None)}
        effective = resolve(run, make_component(name=str(run.spec.component)), "lake", processors=known)
        secrets = {item.path: "s3cr3t" for item in run.spec.configuration.secrets}
        if effective.parameters_text is not None:
            parse_object(with_secrets(effective.parameters_text, secrets))


@pytest.mark.parametrize("name", NAMES)
def test_its_parameters_keep_the_order_of_their_keys_and_their_secrets_are_references(world: World, name: str) -> None:
    export = json.loads((DATA / f"{name}.json").read_text())
    for run in runs(converted(world, name)):
        configuration = run["spec"]["configuration"]
        text = configuration.get("parametersText", "{}")
        assert "KBC::" not in json.dumps(run)
        assert "plain text" not in json.dumps(run)
        if isinstance(export, dict) and not export.get("rows"):
            parameters = export.get("configuration", export)["parameters"]
            assert _keys(json.loads(text)) == _keys(parameters)


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _keys(item)) for key, item in value.items()]
    return [_keys(item) for item in value] if isinstance(value, list) else None


def test_a_row_is_laid_over_its_configuration_key_by_key(world: World) -> None:
    first = runs(converted(world, "keboola.ex-db-mysql"))[0]["spec"]["configuration"]
    parameters = json.loads(first["parametersText"])
    assert list(parameters) == ["db", "id", "name", "outputTable", "table", "columns", "incremental", "primaryKey"]
    assert parameters["columns"] == ["zip", "city", "id"]
    assert [item["path"] for item in first["secrets"]] == ["db.#password", "db.ssh.keys.#private"]


def test_numbers_stay_as_they_were_written(world: World) -> None:
    text = runs(converted(world, "kds-team.app-custom-python"))[0]["spec"]["configuration"]["parametersText"]
    assert '"factor": 2.0,' in text
    assert "10000000000000000000000,\n" in text
    assert "1e3\n" in text
    assert (
        '"timeout": 1.50\n' in runs(converted(world, "keboola.ex-http"))[0]["spec"]["configuration"]["parametersText"]
    )


def test_the_mapping_is_told_in_the_words_of_a_run(world: World) -> None:
    (run,) = runs(converted(world, "keboola.wr-db-mysql"))
    assert run["spec"]["input"]["tables"] == [
        {
            "source": "out.c-crm.customers",
            "destination": "out.c-crm.customers.csv",
            "columns": ["zip", "city"],
            "where": {"column": "country", "operator": "eq", "values": ["CZ", "SK"]},
            "changedSince": "-2 days",
        }
    ]


def test_the_image_tag_and_the_backends_size_are_the_runs(world: World) -> None:
    assert runs(converted(world, "keboola.ex-db-snowflake"))[0]["spec"]["tag"] == "1.2.5"
    assert runs(converted(world, "keboola.python-transformation-v2"))[0]["spec"]["size"] == "medium"


def test_processors_are_the_runs(world: World) -> None:
    (run,) = runs(converted(world, "keboola.ex-aws-s3"))
    after = run["spec"]["processors"]["after"]
    assert [step["component"] for step in after] == [
        "keboola.processor-move-files",
        "keboola.processor-create-manifest",
        "keboola.processor-skip-lines",
    ]
    assert after[0]["parameters"] == {"direction": "tables", "addCsvSuffix": True}
    (run,) = runs(converted(world, "keboola.ex-ftp"))
    assert run["spec"]["processors"] == {"before": [{"component": "keboola.processor-decompress"}]}


def test_what_is_no_processor_is_told(world: World) -> None:
    processors = {
        "before": [{"definition": {}}, {"definition": {"component": "A.b", "tag": "2"}, "retries": 3}],
        "between": [{"definition": {"component": "c"}}],
    }
    export = {"id": "7", "configuration": {"processors": processors, "parameters": {"a": 1}}}
    result = world.run("convert", "-", "--component", "a", text=json.dumps(export))
    assert runs(result)[0]["spec"]["processors"] == {"before": [{"component": "a.b", "tag": "2"}]}
    assert lines(result) == [
        "left out: 7: processors.before[0].definition.component: found null, expected the id of a component",
        "left out: 7: processors.before[1].retries: a processor has no such setting",
        "left out: 7: processors.between: expected one of before, after",
    ]


def test_identifiers_may_be_numbers(world: World) -> None:
    export = {"id": 12, "configuration": {"runtime": {"x": 1}}, "rows": [{"id": 3, "configuration": {}}]}
    result = world.run("convert", "-", "--component", "a", text=json.dumps(export))
    assert [run["spec"]["configuration"] for run in runs(result)] == [{"id": "12", "row": "3"}]
    assert lines(result) == ["left out: 12, row 3: runtime.x: a run has no such setting"]


def test_the_storage_may_be_named_and_stdin_be_read(world: World) -> None:
    text = (DATA / "bare.json").read_text()
    result = world.run("convert", "-", "--component", "a", "--storage", "lake", text=text)
    assert (result.exit_code, runs(result)[0]["spec"]["storage"]) == (0, "lake")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "the export is not JSON"),
        ('{"a": 1}', "the export holds no configuration"),
        ("[1]", "the export holds no configuration"),
        ('{"configuration": {}}', "the export does not say which component it belongs to"),
        ('{"a":' * 100_000, "the export is nested too deep to be read"),
    ],
)
def test_what_is_no_export_is_refused(world: World, text: str, told: str) -> None:
    result = world.run("convert", "-", text=text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in " ".join(result.stderr.split())


def test_a_run_that_would_not_be_valid_is_left_out_with_the_field(world: World) -> None:
    export = {"parameters": {}, "storage": {"output": {"default_bucket": True, "tables": []}}}
    result = world.run("convert", "-", "--component", "a", text=json.dumps(export))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "`spec.output.defaultBucket`: found `true`, expected a text" in " ".join(result.stderr.split())
