"""Which columns a choice of names and patterns means."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.csv.columnnames import chosen

THERE = ("id", "price_czk", "price_eur", "price_*", "name")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["name", "id"], ("name", "id")),
        (["*"], THERE),
        (["name", "*"], ("name", "id", "price_czk", "price_eur", "price_*")),
        (["price_*"], ("price_*",)),
        (["price*"], ("price_czk", "price_eur", "price_*")),
        (["*e*r"], ("price_eur",)),
        (["*_e*", "pr*ce_czk"], ("price_eur", "price_czk")),
        (["price_**"], ("price_czk", "price_eur", "price_*")),
    ],
)
def test_columns_come_in_the_order_of_the_choice_and_each_once(wanted: list[str], found: tuple[str, ...]) -> None:
    assert chosen(wanted, THERE) == (found, None)


@pytest.mark.parametrize(
    ("wanted", "unknown"), [(["id", "ID"], "ID"), (["x*", "y"], "x*"), (["id*id"], "id*id"), (["pri"], "pri")]
)
def test_the_first_that_no_column_fits_is_told(wanted: list[str], unknown: str) -> None:
    assert chosen(wanted, THERE)[1] == unknown


@given(st.text("ab*", max_size=6), st.text("ab\n", max_size=6))
def test_a_pattern_fits_what_a_shells_pattern_fits(pattern: str, name: str) -> None:
    fits = re.fullmatch(fnmatch.translate(pattern), name) is not None
    assert chosen([pattern], [name])[0] == ((name,) if fits else ())


def test_a_pattern_takes_no_longer_than_the_name_has_characters() -> None:
    assert chosen(["*a" * 128], ["a" * 127 + "b" * 129])[1] is not None


def test_all_of_many_columns_may_be_named() -> None:
    names = [f"c{i}" for i in range(50_000)]
    assert chosen(names, names) == (tuple(names), None)
