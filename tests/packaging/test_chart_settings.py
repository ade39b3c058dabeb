"""Each setting names the chart value that sets it, so that a message about the setting can say where to look."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import SecretStr

from componentrun.collector import settings as collector_settings
from componentrun.controller import settings as operator_settings
from componentrun.loader import settings as loader_settings
from componentrun.maintenance import settings as maintenance_settings
from componentrun.nodelogs import settings as nodelogs_settings
from componentrun.process.settings import ProcessSettings, chart_value, variables
from dev.install import chart
from tests.packaging.charts import IMAGE, Chart

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES: dict[str, type[ProcessSettings]] = {
    "collector": collector_settings.Settings,
    "loader": loader_settings.Settings,
    "maintenance": maintenance_settings.Settings,
    "node-logs": nodelogs_settings.Settings,
    "operator": operator_settings.Settings,
}
SEVERAL = {
    "COMPONENTRUN_BUILDS_BUILDER_IMAGE",
    "COMPONENTRUN_LEASE",
    "COMPONENTRUN_OPERATOR_SHARD",
    "COMPONENTRUN_PRE_PULL_NAMESPACE",
}
"""Variables that no single value sets: replicas and shards of the operator, the number of each Deployment, its
namespace, and an image that only some installations need."""
SECTIONS = {"image"}
"""Sections of the values that a helper makes into one variable."""
OTHERS = {
    "builds.dockerfile.builders": [{"namespace": "one"}],
    "builds.dockerfile.enabled": True,
    "builds.dockerfile.seccompProfile": "componentrun/buildkit.json",
    "builds.enabled": True,
    "builds.gitHosts": ["git.example.com"],
    "builds.namespace": "builds",
    "builds.platform": "linux/arm64",
    "builds.pushSecret": "push",
    "builds.repository": "registry.example.com/builds",
    "collector.reader": "node",
    "imagePullSecrets": [{"name": "login"}],
    "namespaces": ["one"],
    "operator.allowedRegistries": ["registry.example.com/team"],
    "operator.dnsCidrs": ["10.0.0.1/32"],
    "operator.prePull.enabled": True,
    "operator.registries.architectures": ["amd64"],
    "operator.registries.plainHttp": ["registry.example.com:5000"],
    "operatorName": "canary",
}


def values() -> dict[str, Any]:
    return dict(yaml.safe_load((chart.CHART / "values.yaml").read_text()))


def at(document: dict[str, Any], path: str) -> Any:
    for key in path.split("."):
        document = document[key]
    return document


def another(path: str, value: Any) -> Any:
    """A valid value that is not the default."""
    if path in OTHERS:
        return OTHERS[path]
    if path.endswith("logLevel"):
        return "WARNING"
    if path.endswith("logFormat"):
        return "text"
    if isinstance(value, int):
        return value + 1
    number = re.match(r"\d+", value)
    return value.replace(number[0], str(int(number[0]) + 1), 1) if number else f"{value}-2"


def named_values() -> set[str]:
    found = {chart_value(settings, field) for settings in PROCESSES.values() for field in variables(settings).values()}
    return {path for path in found if path is not None}


def rendered_environment(rendered: Chart, *arguments: str) -> dict[str, dict[str, str | None]]:
    command = [rendered.helm, "template", "release", str(chart.CHART), "--set", IMAGE, "--set", "collector.reader=node"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    workloads = [document for document in yaml.safe_load_all(done.stdout) if document and "spec" in document]
    specs = [document["spec"].get("jobTemplate", document)["spec"] for document in workloads]
    return {
        container["name"]: {variable["name"]: variable.get("value") for variable in container.get("env", [])}
        for spec in specs
        if isinstance(spec.get("template"), dict)
        for container in spec["template"]["spec"]["containers"]
    }


def test_values_that_settings_name_are_in_the_chart() -> None:
    for path in named_values():
        assert at(values(), path) is not None, path


@pytest.fixture(scope="module")
def changed(rendered: Chart, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str | None]]:
    """The environment of each process when every value that a setting names differs from its default."""
    document = values()
    for path in named_values() - SECTIONS:
        parent, _, key = path.rpartition(".")
        target = at(document, parent) if parent else document
        target[key] = another(path, target[key])
    file: Path = tmp_path_factory.mktemp("values") / "values.yaml"
    file.write_text(yaml.safe_dump(document))
    return rendered_environment(rendered, "--values", str(file), "--set", "maintenance.enabled=true")


@pytest.mark.parametrize("part", list(PROCESSES))
def test_the_value_that_a_setting_names_sets_it(
    rendered: Chart, changed: dict[str, dict[str, str | None]], part: str
) -> None:
    default = rendered_environment(rendered)[part]
    for variable, field in variables(PROCESSES[part]).items():
        path = chart_value(PROCESSES[part], field)
        if path is not None and path not in SECTIONS | {"collector.reader"} and variable in default:
            assert changed[part][variable] != default[variable], (variable, path)


@pytest.mark.parametrize("part", list(PROCESSES))
def test_settings_of_the_chart_that_one_value_sets_name_it(
    rendered: Chart, changed: dict[str, dict[str, str | None]], part: str
) -> None:
    default = rendered_environment(rendered)[part]
    known = variables(PROCESSES[part])
    for variable in (name for name, value in default.items() if changed[part][name] != value and name not in SEVERAL):
        assert chart_value(PROCESSES[part], known[variable]) is not None, variable


@pytest.mark.parametrize("part", list(PROCESSES))
def test_no_setting_is_a_credential(part: str) -> None:
    """A Secret may be named, as by COMPONENTRUN_BUILDS_PUSH_SECRET."""
    for variable, field in variables(PROCESSES[part]).items():
        named = re.search(r"(?<!PUSH_)SECRET(?!S)|PASSWORD|TOKEN(?!_FILE)|_KEY", variable)
        assert named is None or field.annotation is SecretStr, f"{variable}: make it a SecretStr, or the path of a file"
