"""What differs between two catalogues, field by field, and never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.catalogue.difference import compare, contains, field_changes
from tests.unit.catalogue.make import component


def keyed(*manifests: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["kind"], item["metadata"]["name"]): item for item in manifests}


def test_added_changed_and_removed_components() -> None:
    old = keyed(component("a"), component("b"), component("c"))
    new = keyed(component("b", tag="2"), component("c"), component("d"), component("a", "ClusterComponent"))
    assert [(change.action, change.kind, change.name) for change in compare(old, new)] == [
        ("added", "ClusterComponent", "a"),
        ("removed", "Component", "a"),
        ("changed", "Component", "b"),
        ("added", "Component", "d"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"tag": "1"}, {"tag": "2"}, ['spec.tag: "1" -> "2"']),
        ({}, {"tag": "2"}, ['spec.tag: "latest" -> "2"']),
        ({"tag": "1"}, {}, ['spec.tag: "1" -> "latest"']),
        ({}, {"vendor": "acme"}, ['spec.vendor: (none) -> "acme"']),
        ({"network": {"mode": "none"}}, {"network": {"mode": "bridge"}}, ['spec.network.mode: "none" -> "bridge"']),
        ({"actions": ["a"]}, {"actions": ["a", "b"]}, ['spec.actions: ["a"] -> ["a", "b"]']),
        ({"runAsUser": 1}, {"runAsUser": True}, ["spec.runAsUser: 1 -> true"]),
        (
            {"imageParameters": {"#key": "hunter2"}},
            {"imageParameters": {"#key": "hunter3"}},
            ["spec.imageParameters.#key: (hidden) -> (hidden)"],
        ),
        (
            {},
            {"imageParameters": {"a": [{"#key": "hunter2"}]}},
            ['spec.imageParameters: (none) -> {"a": [{"#key": "(hidden)"}]}'],
        ),
        (
            {"configuration": {"schema": '{"type": "object", "title": "A"}'}},
            {"configuration": {"schema": '{"title": "B", "type": "object"}'}},
            ['spec.configuration.schema.title: "A" -> "B"'],
        ),
        (
            {"configuration": {"schema": '{"a": 1, "b": 2}'}},
            {"configuration": {"schema": '{"b": 2, "a": 1}'}},
            ['spec.configuration.schema: "its text" -> "another text with the same meaning"'],
        ),
        ({"description": "{"}, {"description": "{x"}, ['spec.description: "{" -> "{x"']),
    ],
)
def test_fields_that_differ(old: dict[str, Any], new: dict[str, Any], lines: list[str]) -> None:
    found = field_changes(component(**old), component(**new))
    assert [str(change) for change in found] == lines
    assert "hunter" not in "".join(map(str, found))


def test_labels_of_catalogues_make_no_difference() -> None:
    labels = {"componentrun.dev/catalogue": "x", "team": "a"}
    live = component() | {"metadata": {"name": "acme.ex-weather", "labels": labels, "uid": "u"}}
    wanted = component() | {"metadata": {"name": "acme.ex-weather", "labels": {"team": "b"}}}
    assert [str(change) for change in field_changes(live, wanted)] == ['metadata.labels.team: "a" -> "b"']


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ({}, {"tag": "latest", "readOnlyRootFilesystem": False}),
        ({"tag": None, "configuration": None}, {}),
        ({"network": {}, "retry": {"backoff": {}}}, {
            "network": {"mode": "none"}, "retry": {"limit": 3, "backoff": {"initial": "10s", "max": "5m"}},
        }),
        ({"configuration": {"schema": "{}"}}, {"configuration": {"schema": "{}", "validation": "Enforce"}}),
    ],
)  # fmt: skip
def test_defaults_of_the_api_server_make_no_difference(written: dict[str, Any], stored: dict[str, Any]) -> None:
    file, live = component(), component(**stored)
    file["spec"] |= written
    assert compare(keyed(file), keyed(live)) == ()
    assert compare(keyed(live), keyed(file)) == ()


def test_fields_that_hold_any_json_get_no_defaults_and_keep_nulls() -> None:
    (change,) = field_changes(component(imageParameters={"tag": None}), component(imageParameters={}))
    assert str(change) == "spec.imageParameters.tag: null -> (none)"


def test_secrets_in_a_text_that_is_json_are_hidden_too() -> None:
    old, new = component("a"), component("a")
    old["metadata"]["annotations"] = {"x": json.dumps({"#password": "hunter2", "user": "ann"})}
    ((change,),) = [found.fields for found in compare(keyed(old), keyed(new))]
    assert "hunter2" not in str(change)
    assert "ann" in str(change)


def test_long_values_are_cut() -> None:
    (change,) = field_changes(component(description="x"), component(description="y" * 5000))
    assert len(str(change)) < 200


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
_SPECS = st.dictionaries(st.text(max_size=2), _VALUES, max_size=4)


@given(_SPECS, _SPECS)
def test_a_difference_is_empty_only_if_the_specs_are_equal(old: dict[str, Any], new: dict[str, Any]) -> None:
    changes = field_changes({"metadata": {}, "spec": old}, {"metadata": {}, "spec": new})
    assert bool(changes) == (json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True))


@given(_SPECS, _SPECS)
def test_a_server_may_add_fields_and_nothing_else(applied: dict[str, Any], others: dict[str, Any]) -> None:
    assert contains(applied, applied)
    assert contains(others | applied, applied)
    for key in applied:
        assert not contains({name: value for name, value in applied.items() if name != key}, applied)


@pytest.mark.parametrize(
    ("actual", "expected", "does"),
    [
        ({"a": [1, {"b": 1, "c": 2}]}, {"a": [1, {"b": 1}]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1e30}, {"a": 10**30}, True),
        ({"a": 2**53}, {"a": 2**53 + 1}, False),
        ({"a": [1]}, {"a": [True]}, False),
        ({"a": None}, {"a": {}}, False),
    ],
)
def test_what_a_value_contains(actual: Any, expected: Any, does: bool) -> None:
    assert contains(actual, expected) is does
