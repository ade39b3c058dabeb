"""Components with the defaults that the API server adds. Pure.

The API server stores each default of the CRD's schema that a manifest leaves out, so an object that is read from a
cluster has more fields than its file. Both are compared with their defaults.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.component import Component
from componentrun.api.crd import spec_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.catalogue.entry import JsonObject

__all__ = ["with_defaults", "without_nulls"]

_KEYS: Final = frozenset({"properties", "additionalProperties"})
"""Keywords of a schema that says which keys an object has."""


def with_defaults(spec: JsonObject) -> JsonObject:
    """The `spec` of a Component or ClusterComponent as the API server stores it.

    Fields that are null are dropped or get their default, except in fields that hold any JSON. Unknown fields stay.
    """
    stored: JsonObject = _stored(spec, _schema(), fill=True)
    return stored


def without_nulls(spec: JsonObject) -> JsonObject:
    """The `spec` without fields that are null, except in fields that hold any JSON. Nothing is added."""
    stored: JsonObject = _stored(spec, _schema(), fill=False)
    return stored


@cache
def _schema() -> JsonObject:
    """The schema of the spec, which both kinds share."""
    return spec_schema(Component)


def _stored(value: Any, schema: Mapping[str, Any], *, fill: bool) -> Any:
    if isinstance(value, list) and "items" in schema:
        return [_stored(item, schema["items"], fill=fill) for item in value]
    if not isinstance(value, dict) or not _KEYS & schema.keys():
        return value  # also a field that holds any JSON
    if "additionalProperties" in schema:
        return {key: _stored(item, schema["additionalProperties"], fill=fill) for key, item in value.items()}
    known = schema.get("properties") or {}
    stored = {
        key: _stored(item, known.get(key) or {}, fill=fill)
        for key, item in value.items()
        if item is not None or key not in known
    }
    if not fill:
        return stored
    missing = {key: node["default"] for key, node in known.items() if "default" in node and key not in stored}
    return stored | {key: _stored(copy.deepcopy(default), known[key], fill=True) for key, default in missing.items()}
