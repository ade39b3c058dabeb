"""The difference between two statuses as a merge patch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.controller.statuswriter import _event, merge_patch
from componentrun.core.actions import KubernetesEvent
from tests.unit.controller.fakes import merge
from tests.unit.core.make import make_run

VALUES = st.recursive(
    st.integers(0, 3) | st.booleans() | st.text("ab", max_size=2) | st.lists(st.integers(0, 2), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@pytest.mark.parametrize(
    ("current", "wanted", "patch"),
    [
        ({}, {"phase": "Pending"}, {"phase": "Pending"}),
        ({"phase": "Pending"}, {"phase": "Pending"}, {}),
        ({"message": "old"}, {}, {"message": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"list": [1, 2]}, {"list": [1]}, {"list": [1]}),
    ],
)
def test_only_what_changes_is_sent(current: dict[str, Any], wanted: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge_patch(current, wanted) == patch


@given(DOCUMENTS, DOCUMENTS)
def test_applied_it_gives_what_was_wanted(current: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert merge(current, merge_patch(current, wanted)) == wanted


@given(DOCUMENTS)
def test_nothing_is_sent_where_nothing_changed(document: dict[str, Any]) -> None:
    assert merge_patch(document, document) == {}


@pytest.mark.parametrize("letter", ["a", "ž", "語", "🙂"])
def test_an_event_is_no_longer_than_the_api_server_takes(letter: str) -> None:
    """It counts bytes."""
    body = _event(make_run(), KubernetesEvent("Warning", "UserError", letter * 1024), "operator-1")
    assert 996 < len(body["note"].encode()) <= 1024
    assert set(body["note"]) == {letter}
