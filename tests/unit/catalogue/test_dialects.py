"""Schemas that are no valid JSON Schema become valid ones, and each change is told."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.catalogue.dialects import normalized_schema

BUTTON = {"type": "button", "format": "sync-action", "options": {"async": {"action": "testConnection"}}}


def properties(**schemas: Any) -> dict[str, Any]:
    return {"type": "object", "properties": schemas}


@pytest.mark.parametrize(
    ("schema", "normal", "changed"),
    [
        (
            properties(test=BUTTON),
            properties(test={"x-type": "button"} | {key: BUTTON[key] for key in ("format", "options")}),
            ["/properties/test/type"],
        ),
        (
            properties(a={"type": "string", "required": True}, b={"type": "string", "required": False}),
            properties(a={"type": "string"}, b={"type": "string"}) | {"required": ["a"]},
            ["/properties/a/required"],
        ),
        (
            {"required": ["b"], **properties(a={"required": True}, b={"required": True})},
            {"required": ["b", "a"], **properties(a={}, b={})},
            ["/properties/a/required", "/properties/b/required"],
        ),
        (properties(a={"enum": []}), properties(a={"x-enum": []}), ["/properties/a/enum"]),
        (properties(a={"enum": ["x", "y", "x"]}), properties(a={"enum": ["x", "y"]}), ["/properties/a/enum"]),
        (properties(a={"enum": [1, True, 1.5]}), properties(a={"enum": [1, True, 1.5]}), []),
        (properties(a={"type": "int"}), properties(a={"type": "integer"}), ["/properties/a/type"]),
        (
            properties(a={"type": ["string", "null", "file"]}),
            properties(a={"type": ["string", "null"]}),
            ["/properties/a/type"],
        ),
        (properties(a={"type": "file"}), properties(a={"x-type": "file"}), ["/properties/a/type"]),
        (properties(a={"minLength": "3"}), properties(a={"minLength": 3}), ["/properties/a/minLength"]),
        (properties(a={"minLength": -1}), properties(a={}), ["/properties/a/minLength"]),
        (properties(a={"maximum": "many"}), properties(a={}), ["/properties/a/maximum"]),
        (properties(a={"minimum": "true"}), properties(a={}), ["/properties/a/minimum"]),
        (
            properties(a={"minimum": 1, "exclusiveMinimum": True}),
            properties(a={"minimum": 1, "exclusiveMinimum": 1}),
            ["/properties/a/exclusiveMinimum"],
        ),
        ({"type": "object", "properties": []}, {"type": "object", "properties": {}}, []),
        (properties(a=[]), properties(a={}), []),
        (properties(a="text"), properties(a={}), ["/properties/a"]),
        ({"items": {"type": "button"}}, {"items": {"x-type": "button"}}, ["/items/type"]),
        ({"items": [{"type": "str"}]}, {"items": [{"type": "string"}]}, ["/items/0/type"]),
        ({"anyOf": {"0": {"type": "int"}}}, {"anyOf": [{"type": "integer"}]}, ["/anyOf", "/anyOf/0/type"]),
        ({"oneOf": []}, {}, ["/oneOf"]),
        ({"required": "a"}, {"required": ["a"]}, ["/required"]),
        ({"required": True}, {}, ["/required"]),
        ({"required": ["a", "a", 1]}, {"required": ["a"]}, ["/required"]),
        ({"uniqueItems": "yes"}, {}, ["/uniqueItems"]),
        (
            {"properties": {"a/b~c": {"type": "int"}}},
            {"properties": {"a/b~c": {"type": "integer"}}},
            ["/properties/a~1b~0c/type"],
        ),
        ([], {}, []),
        (True, {}, [""]),
        (False, {"not": {}}, [""]),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else None,
)  # fmt: skip
def test_a_dialect_becomes_json_schema(schema: Any, normal: Any, changed: list[str]) -> None:
    before = copy.deepcopy(schema)
    found, changes = normalized_schema(schema)
    assert found == normal
    assert [change.path for change in changes] == changed
    assert schema == before, "the schema itself is left as it is"


def test_hints_and_the_order_of_keys_stay() -> None:
    schema = {
        "title": "T", "type": "object", "x-custom": [1], "properties": {
            "z": {"propertyOrder": 1, "options": {"enum_titles": ["A"]}, "type": "string", "format": "password"},
            "a": {"watch": {"z": "z"}, "template": "{{z}}", "type": "string"},
        }, "definitions": {"d": {"type": "string"}},
    }  # fmt: skip
    found, changes = normalized_schema(schema)
    assert json.dumps(found) == json.dumps(schema)
    assert changes == ()


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    schema = properties(type={"type": "string"}, required={"type": "boolean"}, enum={"type": "array"})
    assert normalized_schema(schema) == (schema, ())


def test_a_long_value_is_cut_in_the_message() -> None:
    _, (change,) = normalized_schema({"type": "x" * 1000})
    assert len(str(change)) < 250


_KEYS = st.sampled_from([
    "type", "required", "enum", "properties", "items", "anyOf", "minimum", "exclusiveMinimum", "minLength",
    "definitions", "additionalProperties", "uniqueItems", "title", "options",
])  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["string", "button", "int", "3", "-1", "", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_normalizing_twice_is_the_same_as_once(schema: Any) -> None:
    once, _ = normalized_schema(schema)
    assert normalized_schema(once) == (once, ())


@given(_VALUES)
def test_every_type_in_the_result_is_one_of_json(schema: Any) -> None:
    def check(node: Any) -> None:
        if not isinstance(node, dict):
            return
        types = node.get("type", "object")
        assert types
        assert {types} <= KNOWN if isinstance(types, str) else set(types) <= KNOWN
        assert node.get("enum") != []
        assert isinstance(node.get("required", []), list)
        for key in ("properties", "definitions"):
            for inner in node.get(key, {}).values():
                check(inner)
        for inner in node.get("anyOf", []):
            check(inner)
        check(node.get("additionalProperties"))

    check(normalized_schema(schema)[0])


KNOWN = {"array", "boolean", "integer", "null", "number", "object", "string"}
