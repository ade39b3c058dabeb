"""The CRDs: generated, current, structural, and described for the people who read them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from componentrun.api.crd import CRD_FILES, KINDS, crd, render
from componentrun.api.rules import MUTABLE_SPEC_FIELDS
from componentrun.contract import GELF_LEVELS

ROOT = Path(__file__).parents[3]


def schema_of(kind: str) -> dict[str, Any]:
    document = crd(next(item for item in KINDS if item.model.__name__ == kind))
    return document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(node: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(path, node)]
    for name, item in node.get("properties", {}).items():
        found += walk(item, f"{path}.{name}")
    if "items" in node:
        found += walk(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        found += walk(node["additionalProperties"], f"{path}{{}}")
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_the_committed_file_is_what_the_models_say(kind: Any) -> None:
    committed = (ROOT / "crds" / CRD_FILES[kind.model.KIND]).read_text(encoding="utf-8")
    assert committed == render(kind), "run `make generate`"
    assert yaml.safe_load(committed) == crd(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_every_node_is_structural_and_bounded(kind: Any) -> None:
    for path, node in walk(schema_of(kind.model.__name__)["properties"]["spec"]):
        assert not {"$ref", "anyOf", "allOf", "oneOf", "title"} & node.keys(), path
        is_free = node.get("x-kubernetes-int-or-string") or node.get("x-kubernetes-preserve-unknown-fields")
        assert "type" in node or is_free, path
        if node.get("type") == "array":
            assert "maxItems" in node, f"{path}: CEL needs a bound"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model.__name__)
def test_every_field_has_a_description(kind: Any) -> None:
    for path, node in walk(schema_of(kind.model.__name__)):
        in_map = path.rsplit(".", 1)[-1] in {"cpu", "memory", "ephemeral-storage", *GELF_LEVELS}
        if path.startswith((".spec", ".status")) and not path.endswith(("[]", "{}")) and not in_map:
            assert node.get("description"), path


def test_all_spec_fields_but_three_are_immutable() -> None:
    spec = schema_of("ComponentRun")["properties"]["spec"]
    rules = " ".join(rule["rule"] for rule in spec["x-kubernetes-validations"])
    fixed = {name for name in spec["properties"] if f"has(self.{name}) == has(oldSelf.{name})" in rules}
    assert set(spec["properties"]) - fixed == set(MUTABLE_SPEC_FIELDS)


def test_nothing_in_the_status_is_defaulted() -> None:
    assert not [path for path, node in walk(schema_of("ComponentRun")["properties"]["status"]) if "default" in node]


def test_the_spec_looks_at_few_of_its_fields_at_each_write() -> None:
    """Each look costs the API server a table of all fields, at every write of a status, too."""
    rules = schema_of("ComponentRun")["properties"]["spec"]["x-kubernetes-validations"]
    every_time = " ".join(rule["rule"] for rule in rules if "oldSelf" not in rule["rule"])
    assert every_time.count("self.") <= 15


def test_nobody_keeps_account_of_who_set_which_field_of_a_status() -> None:
    run = schema_of("ComponentRun")["properties"]
    assert run["status"]["x-kubernetes-map-type"] == "atomic"
    fixed = {name for name, node in run["spec"]["properties"].items() if "x-kubernetes-map-type" in node}
    assert {"configuration", "input", "output"} <= fixed
    assert not fixed & set(MUTABLE_SPEC_FIELDS)
