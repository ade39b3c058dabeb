"""Schemas of custom resources: the defaults that the API server adds to objects. Nothing is checked or dropped."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

CRDS: Final = Path(__file__).parents[2] / "crds"


@cache
def crd_schemas() -> Mapping[str, Mapping[str, Any]]:
    """The schemas of the repository's CRDs by the plural of their kind."""
    found = {}
    for path in CRDS.glob("*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        found[spec["names"]["plural"]] = spec["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def set_defaults(value: Any, schema: Mapping[str, Any]) -> None:
    """Add the defaults of a structural schema to an object, at each level that exists, and drop nulls."""
    if isinstance(value, list):
        for item in value:
            set_defaults(item, schema.get("items") or {})
        return
    if not isinstance(value, dict):
        return
    for name, node in (schema.get("properties") or {}).items():
        if name in value and value[name] is None:
            del value[name]
        if name not in value and "default" in node:
            value[name] = copy.deepcopy(node["default"])
        if name in value:
            set_defaults(value[name], node)
    for item in value.values() if "additionalProperties" in schema else ():
        set_defaults(item, schema["additionalProperties"])
