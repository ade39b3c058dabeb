"""Suggestions for names that don't exist."""

from __future__ import annotations

import difflib
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.request.similar import MOST_COMPARED, similar_names


@given(st.text("abc.", max_size=8), st.lists(st.text("abc.", max_size=8), max_size=30), st.integers(1, 4))
def test_of_few_names_all_are_compared(name: str, known: list[str], count: int) -> None:
    assert similar_names(name, known, count) == difflib.get_close_matches(name, known, n=count)


@pytest.fixture(scope="module")
def many() -> list[str]:
    chance = random.Random(7)  # noqa: S311 - names, no secrets
    tables = ("".join(chance.choices(string.ascii_lowercase, k=12)) for _ in range(5_000))
    return [f"in.c-{'main' if i % 2 else 'other'}.{table}" for i, table in enumerate(tables)]


@pytest.mark.parametrize("at", range(10, 22))
@pytest.mark.parametrize("typo", ["missing letter", "other letter", "one letter more", "two letters changed places"])
def test_of_many_names_the_one_that_was_meant_is_found_wherever_the_error_is(
    many: list[str], at: int, typo: str
) -> None:
    meant = next(name for name in many if name.startswith("in.c-main") and len(set(name[-12:])) > 9)
    instead = {
        "missing letter": meant[:at] + meant[at + 1 :],
        "other letter": meant[:at] + "_" + meant[at + 1 :],
        "one letter more": meant[:at] + "_" + meant[at:],
        "two letters changed places": meant[: at - 1] + meant[at] + meant[at - 1] + meant[at + 1 :],
    }[typo]
    assert similar_names(instead, many, 3)[0] == meant


def test_the_right_name_in_the_wrong_bucket_is_found(many: list[str]) -> None:
    assert similar_names(many[5].replace("main", "mian"), many, 1) == [many[5]]


def test_the_number_of_comparisons_is_bounded(many: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    matches = difflib.get_close_matches

    def counted(word: str, possibilities: list[str], n: int) -> list[str]:
        nonlocal compared
        compared += len(possibilities)
        return matches(word, possibilities, n)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    similar_names("in.c-main.nothing", many, 3)
    assert compared <= MOST_COMPARED
