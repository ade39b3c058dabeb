"""Manifests as components of other languages write them, and those that say more than can be done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from componentrun.agent.stageout.manifest import parse_manifest
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import Where

FILTER: dict[str, Any] = {"column": "day", "operator": "eq", "values_from_set": ["2026-01-31"]}


def parsed(raw: dict[str, Any]) -> Any:
    return parse_manifest(json.dumps(raw).encode(), "out/tables/bar.csv.manifest")


@pytest.mark.parametrize(
    ("whole", "further"),
    [
        ({"changed_since": "-7 days", "where_filters": [FILTER]}, "changed_since"),
        ({"changed_until": "2026-01-31", "where_filters": [FILTER]}, "changed_until"),
        ({"where_filters": [FILTER | {"values_from_workspace": {"table": "gone"}}]}, "values_from_workspace"),
    ],
)
def test_rows_are_not_deleted_where_fewer_are_meant(whole: dict[str, Any], further: str) -> None:
    with pytest.raises(UserError, match=f"nothing else is supported in this version: found `{further}`"):
        parsed({"delete_where": [whole]})


@pytest.mark.parametrize("empty", [None, "", []])
def test_what_says_nothing_of_the_rows_to_delete_is_passed_over(empty: object) -> None:
    manifest = parsed({"delete_where": [{"changed_since": empty, "where_filters": [FILTER]}]})
    assert manifest.delete_where == Where("day", "eq", ("2026-01-31",))


@pytest.mark.parametrize(
    "text",
    [
        b'{"delete_where_column": "a", "delete_where_values": ["1"], "delete_where_operator": ["eq"]}',
        b'{"delete_where_column": "a", "delete_where_values": ["1"], "delete_where_operator": {"eq": 1}}',
        b'{"incremental": ' + b"1" * 5000 + b"}",
    ],
)
def test_nothing_that_a_manifest_holds_is_a_defect_of_ours(text: bytes) -> None:
    with pytest.raises(UserError) as caught:
        parse_manifest(text, "out/tables/bar.csv.manifest")
    assert caught.value.reason is Reason.OUTPUT_INVALID


@pytest.mark.parametrize(("told", "key"), [(True, ("id",)), (1, ("id",)), (False, None), (0, None), (None, None)])
def test_the_primary_key_of_a_schema(told: object, key: tuple[str, ...] | None) -> None:
    assert parsed({"schema": [{"name": "id", "primary_key": told}, {"name": "b"}]}).primary_key == key


def test_a_primary_key_that_is_no_truth_value_is_not_left_out() -> None:
    with pytest.raises(UserError, match=r"`schema\[0\]`: `primary_key` is a text, expected true or false"):
        parsed({"schema": [{"name": "id", "primary_key": "true"}]})


@pytest.mark.parametrize(
    ("raw", "columns", "key"),
    [
        # PHP makes numbers of keys that look like some, pandas counts the columns of a frame without names.
        ({"columns": [2025, 2026], "primary_key": [2025]}, ("2025", "2026"), ("2025",)),
        # PHP: array_filter and array_unique leave gaps, and such an array becomes an object.
        ({"columns": {"0": "a", "2": "b"}, "primary_key": {"1": "b"}}, ("a", "b"), ("b",)),
        ({"columns": {}, "primary_key": {}}, None, ()),
        ({"columns": ["a"], "primary_key": ["a", "", "a"]}, ("a",), ("a",)),
        ({"schema": {"1": {"name": "a"}}, "primary_key": [""]}, ("a",), ()),
        ({"schema": [{"name": 2025, "primary_key": True}, {"name": "b"}]}, ("2025", "b"), ("2025",)),
    ],
)
def test_names_as_other_languages_write_them(
    raw: dict[str, Any], columns: tuple[str, ...] | None, key: tuple[str, ...]
) -> None:
    manifest = parsed(raw)
    assert (manifest.columns, manifest.primary_key) == (columns, key)


def test_values_by_which_rows_are_deleted_may_be_a_list_with_gaps() -> None:
    manifest = parsed({"delete_where_column": "day", "delete_where_values": {"0": "1", "3": "2"}})
    assert manifest.delete_where == Where("day", "eq", ("1", "2"))
