"""The folder `component_config` of a repository becomes a Component."""

from __future__ import annotations

import json
from typing import Any

import pytest

from componentrun.catalogue.imported.image import ImageOptions
from componentrun.catalogue.imported.naming import type_from_id
from componentrun.catalogue.imported.report import ImportReport
from componentrun.catalogue.imported.repository import id_in_workflows, import_repository

PREFIX = ImageOptions("registry.example.com/components/")
FILES = {
    "component_short_description.md": "Reads the weather.\n",
    "component_long_description.md": "# Weather\n",
    "configuration_description.md": "Get a token first.\n",
    "documentationUrl.md": "https://docs.example.com/weather\n",
    "licenseUrl.md": "",
    "sourceCodeUrl.md": "https://git.example.com/weather.git\n",
    "configSchema.json": '{"type": "object", "properties": {"test": {"type": "button"}}}',
    "configRowSchema.json": "{}",
    "emptyConfiguration.json": '{"parameters": {"city": "Prague"}}',
    "stack_parameters.json": "{}",
    "logger": "gelf",
    "loggerConfiguration.json": '{"verbosity": {"100": "normal"}, "gelf_server_type": "tcp"}',
    "actions.md": '["testConnection"]',
    "uiOptions.md": "genericDockerUI, appInfo.experimental",
    "isDeployReady.md": "true",
}


def imported(
    files: dict[str, str], id_: str = "acme.ex-weather", options: ImageOptions = PREFIX, **more: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    report = ImportReport()
    import_repository(files, id_, "weather/component_config", options, report, **more)
    return report.manifests, [str(finding) for finding in report.findings]


def test_all_files_have_their_places() -> None:
    (manifest,), told = imported(FILES, tag="1.2.3")
    configuration = manifest["spec"].pop("configuration")
    assert manifest["spec"] == {
        "image": "registry.example.com/components/acme.ex-weather",
        "tag": "1.2.3",
        "type": "extractor",
        "summary": "Reads the weather.",
        "vendor": "acme",
        "description": "# Weather\n\nGet a token first.",
        "documentationUrl": "https://docs.example.com/weather",
        "sourceUrl": "https://git.example.com/weather.git",
        "network": {"mode": "bridge"},
        "actions": ["testConnection"],
        "logging": {"gelf": {"visibility": {"debug": "normal"}}},
    }
    assert json.loads(configuration.pop("schema"))["properties"] == {"test": {"x-type": "button"}}
    assert configuration == {"default": {"city": "Prague"}, "validation": "Warn"}
    kept = json.loads(manifest["metadata"]["annotations"]["componentrun.dev/imported"])
    assert kept == {"uiOptions": ["genericDockerUI", "appInfo.experimental"]}
    assert len(told) == 1
    assert "configurationSchema `/properties/test/type`" in told[0]


def test_an_empty_folder_is_a_component_as_well() -> None:
    (manifest,), told = imported({})
    assert manifest["spec"]["image"] == "registry.example.com/components/acme.ex-weather"
    assert told == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"logo.png": ""}, "`weather/component_config/logo.png`: a Component has no field for it"),
        ({"configSchema.json": "{"}, "`configSchema.json` is not JSON"),
        ({"stack_parameters.json": '{"eu": {"a": 1}}'}, "`stack_parameters`: set `imageParameters`"),
        ({"loggerConfiguration.json": "[1]"}, "`loggerConfiguration.json`: found a list, expected an object"),
    ],
)
def test_what_has_no_place_is_told(files: dict[str, str], told: str) -> None:
    manifests, lines = imported(files)
    assert len(manifests) == 1
    assert [line for line in lines if told in line]


@pytest.mark.parametrize(
    ("id_", "options", "told"),
    [
        ("", PREFIX, "pass `--id`"),
        ("../x", PREFIX, "pass `--id`"),
        ("acme.ex-weather", ImageOptions(), "pass `--image-prefix REGISTRY/PATH`"),
    ],
)
def test_a_component_without_id_or_image_is_not_imported(id_: str, options: ImageOptions, told: str) -> None:
    manifests, (line,) = imported(FILES, id_, options)
    assert manifests == []
    assert told in line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('  KBC_DEVELOPERPORTAL_APP: "acme.ex-weather" # replace with your component id\n', "acme.ex-weather"),
        ("KBC_DEVELOPERPORTAL_APP: acme.ex-weather", "acme.ex-weather"),
        ("export KBC_DEVELOPERPORTAL_APP='acme.wr-x'", "acme.wr-x"),
        ("KBC_DEVELOPERPORTAL_APP: ${{ secrets.KBC_DEVELOPERPORTAL_APP }}", ""),
        ("KBC_DEVELOPERPORTAL_APP: a.b\nKBC_DEVELOPERPORTAL_APP: c.d", ""),
        ("KBC_DEVELOPERPORTAL_APP: a.b\nKBC_DEVELOPERPORTAL_APP: a.b", "a.b"),
        ("# nothing", ""),
    ],
)
def test_the_id_stands_in_the_workflow_that_publishes_the_component(text: str, found: str) -> None:
    assert id_in_workflows({"push.yml": text}) == found


@pytest.mark.parametrize(
    ("id_", "kind"),
    [
        ("acme.ex-weather", "extractor"),
        ("acme.wr-weather", "writer"),
        ("acme.app-weather", "application"),
        ("acme.processor-weather", "processor"),
        ("acme.weather", "other"),
        ("exact", "other"),
    ],
)
def test_the_type_is_in_the_id(id_: str, kind: str) -> None:
    assert type_from_id(id_) == kind
