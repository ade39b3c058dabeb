"""`::add-mask::VALUE`: which values are hidden, and what a checkpoint shows of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.redact.lines import LineRedactor
from componentrun.core.redact.masks import MAX_MASKS, MIN_LENGTH, Masks, key_of_secret, refusal, values_in
from componentrun.core.redact.redactor import MARK, Redactor

VALUE = "correct-horse-battery"


def secret(text: str = "a signature") -> dict[str, Any]:
    return {"data": {"grant": base64.b64encode(text.encode()).decode()}}


def joined(masks: Masks, uid: str = "pod-1", text: str = "a signature") -> Redactor:
    redactor = Redactor()
    masks.add_pod(uid, key_of_secret(secret(text)), redactor)
    return redactor


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (f"::add-mask::{VALUE}", [VALUE]),
        (f"  ::add-mask:: {VALUE} ", [VALUE]),
        ("::add-mask::100%25 of %0A it", ["100% of \n it"]),
        (f"one\n::add-mask::{VALUE}\n::add-mask::another-value", [VALUE, "another-value"]),
        (f"say ::add-mask::{VALUE}", []),
        ("::add-mask::", []),
        ("::debug::something", []),
    ],
)
def test_a_line_asks_to_hide_a_value(text: str, values: list[str]) -> None:
    assert values_in(text) == values


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (VALUE, None), ("hunter", None), ("12345", "short"), ("", "short"), ("configuration", "common"),
        ("PASSWORD", "common"), ("localhost", "common"), ("--------", "common"), ("0000000", "common"),
        ("x1" * 2_000, "long"),
    ],
)  # fmt: skip
def test_values_that_would_make_the_log_unreadable_are_refused(value: str, why: str | None) -> None:
    assert refusal(value) == why


def test_a_value_is_hidden_in_the_line_that_says_so_and_in_all_later_ones_of_all_containers() -> None:
    masks = Masks()
    component, gelf = (LineRedactor(joined(masks, uid), masks) for uid in ("pod-1", "pod-2"))
    assert component.text(f"before {VALUE}") == f"before {VALUE}"
    assert component.text(f"::add-mask::{VALUE}") == f"::add-mask::{MARK}"
    for redactor in (component, gelf):
        assert redactor.text(f"it is {VALUE}") == f"it is {MARK}"
        encoded = base64.b64encode(VALUE.encode()).decode()
        assert redactor.text(f"it is {encoded}") == f"it is {MARK}"
        assert not redactor.untouched(f"a\nit is {VALUE}")
    assert joined(masks, "pod-3").text(f"it is {VALUE}") == f"it is {MARK}"


@pytest.mark.parametrize("value", ["abc", "password", "x1" * 2_000])
def test_a_value_that_is_refused_is_not_shown_by_its_own_line_and_is_told(value: str) -> None:
    masks = Masks()
    redactor = LineRedactor(joined(masks), masks)
    assert redactor.text(f"::add-mask::{value}") == f"::add-mask::{MARK}"
    assert redactor.refused() == [refusal(value)]
    assert redactor.refused() == []
    assert redactor.text(f"it is {value}") == f"it is {value}"


def test_a_run_may_hide_a_bounded_number_of_values() -> None:
    masks = Masks()
    redactor = joined(masks)
    assert [masks.add(f"value-number-{number:03}") for number in range(MAX_MASKS + 2)] == [None] * MAX_MASKS + [
        "many"
    ] * 2
    assert redactor.text("value-number-099 value-number-100") == f"{MARK} value-number-100"
    assert masks.add("value-number-001") is None


def test_a_run_may_hide_a_bounded_number_of_characters() -> None:
    masks = Masks()
    found = [masks.add(f"{number}ab-" * 400) for number in range(1, 7)]
    assert found == [None] * 5 + ["many"]
    assert len(json.dumps(Masks.to_json(masks))) < 16_000


def test_containers_that_may_not_ask_are_not_heard() -> None:
    masks = Masks()
    redactor = LineRedactor(joined(masks))
    redactor.text(f"::add-mask::{VALUE}")
    assert redactor.text(VALUE) == VALUE


@given(st.lists(st.text(min_size=MIN_LENGTH, max_size=40), max_size=8))
def test_a_checkpoint_shows_nothing_and_the_pods_secret_opens_it(values: list[str]) -> None:
    masks = Masks()
    joined(masks)
    kept = [value for value in values if masks.add(value) is None]
    document = json.loads(json.dumps(masks.to_json()))
    assert not any(value in json.dumps(document, ensure_ascii=False) for value in kept)
    again = Masks(document)
    redactor = joined(again)
    assert not again.encrypted
    assert all(value not in redactor.text(f"a {value} b") for value in kept if value not in MARK and value.strip())


def test_the_secret_of_another_pod_opens_nothing_and_loses_nothing() -> None:
    masks = Masks()
    joined(masks)
    masks.add(VALUE)
    again = Masks(masks.to_json())
    assert joined(again, "pod-2", "another signature").text(VALUE) == VALUE
    assert again.encrypted
    assert again.to_json() == masks.to_json()
    assert joined(again, "pod-1", "a signature that was changed").text(VALUE) == VALUE
    assert again.encrypted
    late = joined(again)
    assert late.text(VALUE) == MARK
    assert not again.encrypted


def test_values_are_known_to_a_collector_that_knows_a_later_pod_alone() -> None:
    masks = Masks()
    joined(masks, "pod-1", "first")
    masks.add(VALUE)
    joined(masks, "pod-2", "second")
    assert joined(Masks(masks.to_json()), "pod-2", "second").text(VALUE) == MARK


@pytest.mark.parametrize("document", [{"pod-1": ""}, {"pod-1": "no base64!"}, {"pod-1": "AAAA"}, {"pod-1": "A" * 400}])
def test_a_checkpoint_that_was_changed_opens_nothing(document: dict[str, str]) -> None:
    masks = Masks(document)
    assert joined(masks).text(VALUE) == VALUE
    assert masks.encrypted
