"""Components and ClusterComponents on the real API server.

Schemas, image parameters, names with dots, limits for their runs, deprecated and deleted ones.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import API_VERSION, GROUP, VERSION
from e2e.tenant.holding import UNTIL_TOLD, let_go
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from e2e.tenant import Tenant

NAME = "acme.ex-shop"
SHOW = """
import pathlib, shutil
shutil.copy("/data/config.json", "/data/artifacts/out/current/config.json")
print("the key is", __import__("json").load(open("/data/config.json"))["image_parameters"].get("#key"))
"""
SCHEMA = {
    "type": "object",
    "required": ["shop", "#token"],
    "properties": {
        "shop": {"type": "string", "propertyOrder": 2, "options": {"enum_titles": ["A & B", "<C>"]}},
        "#token": {"type": "string", "minLength": 8, "format": "password", "propertyOrder": 1},
    },
}
TOKEN = [{"path": "#token", "secretKeyRef": {"name": "login", "key": "token"}}]


def spec(components: str, **more: Any) -> dict[str, Any]:
    image, _, tag = components.rpartition(":")
    return {"image": image, "tag": tag, "command": ["python3", "-c", SHOW], "type": "extractor", **more}


def ready(tenant: Tenant, kind: str, name: str, status: str = "True") -> None:
    tenant.kubectl("wait", f"--for=condition=Ready={status}", f"{kind}/{name}", "--timeout=120s")


def component(tenant: Tenant, name: str = NAME) -> dict[str, Any]:
    return dict(tenant.custom.get_namespaced_custom_object(GROUP, VERSION, tenant.namespace, "components", name))


def conditions(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["reason"], item["message"]) for item in document["status"]["conditions"]}


@pytest.fixture
def cluster_component(tenant: Tenant, components: str) -> Iterator[str]:
    """A ClusterComponent with a name of its own."""
    name = f"acme.{tenant.namespace}"
    body = {
        "apiVersion": API_VERSION, "kind": "ClusterComponent", "metadata": {"name": name},
        "spec": spec(components, imageParameters={"from": "cluster"}),
    }  # fmt: skip
    tenant.custom.create_cluster_custom_object(GROUP, VERSION, "clustercomponents", body, field_validation="Strict")
    yield name
    tenant.custom.delete_cluster_custom_object(GROUP, VERSION, "clustercomponents", name)


def config_of(tenant: Tenant, run: str, folder: Path) -> dict[str, Any]:
    status = tenant.wait(run)["status"]
    assert status["phase"] == "Succeeded", status
    result = tenant.cli("artifacts", run, "--to", str(folder))
    assert result.returncode == 0, result.stderr
    return dict(json.loads((folder / "artifacts/out/current/config.json").read_text()))


def test_a_component_has_image_parameters_and_a_checked_configuration(
    tenant: Tenant, components: str, tmp_path: Path
) -> None:
    tenant.secret("app", {"key": "app-key-0b5f1e0c"})
    tenant.secret("login", {"token": "token-1234"})
    tenant.apply(
        "Component",
        NAME,
        spec(
            components,
            imageParameters={"url": "https://a.test"},
            imageParameterSecrets={"#key": {"name": "app", "key": "key"}},
            configuration={"schema": SCHEMA, "default": {"shop": "s", "#token": "12345678"}},
            defaultBucket="in",
        ),
    )
    ready(tenant, "component", NAME)
    document = component(tenant)
    assert document["spec"]["configuration"]["schema"] == SCHEMA
    assert document["status"]["observedGeneration"] == 1
    assert conditions(document)["ConfigurationValid"][0] == "Valid"
    assert "extractor" in tenant.kubectl("get", "components").stdout

    configuration = {"id": "17", "parameters": {"shop": "s"}, "secrets": TOKEN}
    common = {"component": NAME, "resources": SMALL, "timeout": "2m"}
    tenant.apply("ComponentRun", "acme.run", {**common, "configuration": configuration})
    config = config_of(tenant, "acme.run", tmp_path)
    assert config["image_parameters"] == {"url": "https://a.test", "#key": "app-key-0b5f1e0c"}
    assert config["parameters"] == {"shop": "s", "#token": "token-1234"}
    assert config["storage"]["output"]["default_bucket"] == "in.c-acme-ex-shop-17"
    tenant.wait("acme.run", lambda run: (run["status"].get("events") or {}).get("delivered", False))
    events = tenant.cli("events", "acme.run").stdout
    assert "the key is" in events
    assert "0b5f1e0c" not in events

    tenant.apply("ComponentRun", "wrong", {**common, "configuration": {"parameters": {"shop": 3, "#token": "short-1"}}})
    status = tenant.wait("wrong")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidConfiguration"), status
    assert "`parameters.shop`: found the number 3, expected a text" in status["message"]
    assert "`parameters.#token`: found a secret, expected at least 8 characters" in status["message"]
    assert "short-1" not in status["message"]
    assert not tenant.pods("wrong")


def test_a_schema_given_as_text_is_kept_as_it_is_and_one_that_is_none_is_named(tenant: Tenant, components: str) -> None:
    text = '{"type": "object",  "properties": {"b": {"propertyOrder": 1.0}, "a": {"type": "button"}}}'
    tenant.apply("Component", NAME, spec(components, configuration={"schema": text}))
    ready(tenant, "component", NAME, "False")
    document = component(tenant)
    assert document["spec"]["configuration"]["schema"] == text
    reason, message = conditions(document)["ConfigurationValid"]
    assert reason == "SchemaInvalid"
    assert "spec.configuration.schema.properties.a.type: found `button`" in message


def test_a_schema_that_takes_too_long_stops_nobody_else(tenant: Tenant, components: str) -> None:
    levels = 40
    definitions: dict[str, Any] = {
        f"a{level}": {"allOf": [{"$ref": f"#/definitions/a{level + 1}"}] * 2} for level in range(levels)
    }
    definitions[f"a{levels}"] = {"type": "object"}
    slow = {"definitions": definitions, "$ref": "#/definitions/a0"}
    tenant.apply("Component", "slow", spec(components, configuration={"schema": slow}))
    tenant.apply("ComponentRun", "slow", {"component": "slow", "resources": SMALL})
    other = tenant.run(components, "true")
    assert tenant.wait(other)["status"]["phase"] == "Succeeded"
    status = tenant.wait("slow")["status"]
    assert status["reason"] == "InvalidConfiguration"
    assert "takes more than 2 s of CPU time" in status["message"]


def test_a_cluster_component_runs_in_any_namespace_and_stands_behind_a_component(
    tenant: Tenant, components: str, cluster_component: str, tmp_path: Path
) -> None:
    ready(tenant, "clustercomponent", cluster_component)
    common = {"component": cluster_component, "resources": SMALL, "timeout": "2m"}
    tenant.apply("ComponentRun", "one", common)
    assert config_of(tenant, "one", tmp_path / "one")["image_parameters"] == {"from": "cluster"}
    tenant.apply("Component", cluster_component, spec(components, imageParameters={"from": "namespace"}))
    tenant.apply("ComponentRun", "two", common)
    assert config_of(tenant, "two", tmp_path / "two")["image_parameters"] == {"from": "namespace"}


def test_a_withdrawn_component_is_refused_with_its_replacement(tenant: Tenant, components: str) -> None:
    deprecated = {"replacedBy": "new", "endOfLife": "2020-01-01"}
    tenant.apply("Component", "old", spec(components, deprecated=deprecated))
    tenant.apply("ComponentRun", "late", {"component": "old", "resources": SMALL})
    status = tenant.wait("late")["status"]
    assert status["reason"] == "ComponentWithdrawn"
    assert "`new`, which does not exist" in status["message"]
    ready(tenant, "component", "old", "False")


def test_a_deprecated_component_warns_until_its_last_day(tenant: Tenant, components: str) -> None:
    tenant.apply("Component", "new", spec(components))
    deprecated = {"since": "2026-01-01", "message": "Slow.", "replacedBy": "new", "endOfLife": "2999-12-31"}
    tenant.apply("Component", "old", spec(components, command=["true"], deprecated=deprecated))
    tenant.apply("ComponentRun", "warned", {"component": "old", "resources": SMALL, "timeout": "2m"})
    status = tenant.wait("warned")["status"]
    assert status["phase"] == "Succeeded", status
    (warning,) = status["warnings"]
    assert warning == (
        "Component `old` is deprecated since 2026-01-01; its runs can be created until 2999-12-31; it is replaced by "
        "`new`; Slow."
    )
    ready(tenant, "component", "old")
    assert conditions(component(tenant, "old"))["Deprecated"][0] == "Deprecated"
    tenant.kubectl("delete", "component", "new")
    reason = '{.status.conditions[?(@.type=="Deprecated")].reason}'
    tenant.kubectl("wait", "component/old", f"--for=jsonpath={reason}=ReplacementMissing", "--timeout=120s")


def test_a_run_that_sets_more_than_its_component_allows_is_refused(tenant: Tenant, components: str) -> None:
    allowed = {"sizes": ["xsmall"], "timeout": "5m", "tags": ["other"]}
    fields = {"command": ["true"], "resources": SMALL, "timeout": "2m", "allowed": allowed}
    tenant.apply("Component", NAME, spec(components, **fields))
    ready(tenant, "component", NAME)
    more: dict[str, dict[str, Any]] = {
        "spec.size": {"size": "large"},
        "spec.resources.limits": {"resources": {"limits": {"memory": "64Gi"}}},
        "spec.timeout": {"timeout": "6m"},
        "spec.tag": {"tag": "another"},
        "spec.network.mode": {"network": {"mode": "bridge"}},
    }
    for number, fields in enumerate(more.values()):
        tenant.apply("ComponentRun", f"more-{number}", {"component": NAME, **fields})
    tenant.apply("ComponentRun", "less", {"component": NAME, "resources": SMALL, "timeout": "2m"})
    for number, path in enumerate(more):
        status = tenant.wait(f"more-{number}")["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec"), status
        assert f"{path}: " in status["message"]
        assert f"Component `{NAME}`" in status["message"]
        assert not tenant.pods(f"more-{number}")
    assert tenant.wait("less")["status"]["phase"] == "Succeeded"


def test_if_a_component_is_deleted_started_runs_go_on_and_queued_ones_end(tenant: Tenant, components: str) -> None:
    image, _, tag = components.rpartition(":")
    tenant.apply("Component", NAME, {"image": image, "tag": tag, "command": ["sh", "-c", UNTIL_TOLD]})
    common = {"component": NAME, "resources": SMALL, "timeout": "2m", "configuration": {"id": "1"}}
    tenant.apply("ComponentRun", "started", common)
    tenant.wait("started", lambda run: (run.get("status") or {}).get("phase") == "Running")
    tenant.apply("ComponentRun", "queued", common)
    tenant.wait("queued", lambda run: (run.get("status") or {}).get("phase") == "Queued")
    tenant.kubectl("delete", "component", NAME)
    assert tenant.get("started")["status"]["phase"] == "Running"
    let_go(tenant, "started")
    assert tenant.wait("started")["status"]["phase"] == "Succeeded"
    status = tenant.wait("queued")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ComponentNotFound")
    assert f"`{NAME}`" in status["message"]
