"""Ranges of versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.images.semver import parse_range
from componentrun.errors import UserError


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("1.4.2", "1.4.2 v1.4.2", "1.4.3 1.4.1 1.4.2-rc.1"),
        ("=1.4.2", "1.4.2", "1.4.3"),
        ("1.4", "1.4.0 1.4.9", "1.5.0 1.3.9 1.4.0-rc.1"),
        ("1", "1.0.0 1.99.99", "2.0.0 0.9.9"),
        ("1.x", "1.0.0 1.9.0", "2.0.0"),
        ("1.4.*", "1.4.0", "1.5.0"),
        ("*", "0.0.0 9.9.9", "1.0.0-rc.1 latest"),
        ("^1.4", "1.4.0 1.9.9", "1.3.9 2.0.0 2.0.0-rc.1"),
        ("^1.4.2", "1.4.2 1.5.0", "1.4.1 2.0.0"),
        ("^0.4.2", "0.4.2 0.4.9", "0.5.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0.0", "0.0.9", "0.1.0"),
        ("^0", "0.9.9", "1.0.0"),
        ("~1.4.2", "1.4.2 1.4.9", "1.5.0 1.4.1"),
        ("~1.4", "1.4.0 1.4.9", "1.5.0"),
        ("~1", "1.9.9", "2.0.0"),
        (">=1.4 <2", "1.4.0 1.99.0", "2.0.0 1.3.0 2.0.0-rc.1"),
        (">= 1.4, < 2", "1.4.0", "2.0.0"),
        (">1.4", "1.5.0", "1.4.9"),
        (">1.4.2", "1.4.3", "1.4.2"),
        ("<=1.4", "1.4.9", "1.5.0"),
        ("<=1.4.2", "1.4.2", "1.4.3"),
        ("<1.4.2", "1.4.1", "1.4.2"),
        ("1.2 || >=3", "1.2.7 3.0.0 4.0.0", "2.0.0"),
        (">=2.0.0-rc.1", "2.0.0-rc.1 2.0.0-rc.2 2.0.0 3.0.0", "2.0.0-beta 3.0.0-rc.1"),
        ("2.0.0-rc.1", "2.0.0-rc.1", "2.0.0 2.0.0-rc.2"),
        ("<2.0.0-rc.2", "2.0.0-rc.1 1.9.0", "2.0.0-rc.2 2.0.0"),
    ],
)
def test_what_is_in_a_range(text: str, inside: str, outside: str) -> None:
    versions = parse_range(text, "semver")
    assert [tag for tag in inside.split() if tag not in versions] == []
    assert [tag for tag in outside.split() if tag in versions] == []


@pytest.mark.parametrize("text", ["", " ", "||", "1.2 ||", "latest", "^", ">=x.1y", "1.2.3.4", "01.2", "1 " * 17])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a range of versions"):
        parse_range(text, "semver")


def test_the_highest_version_is_a_number_and_not_a_text() -> None:
    tags = ["latest", "1.9.0", "1.10.0", "1.10.0-rc.1", "v1.2.0", "2.0.0", "sha256-" + "a" * 64, "1.11"]
    assert parse_range("^1", "semver").highest(tags) == "1.10.0"
    assert parse_range("^3", "semver").highest(tags) is None
    assert parse_range("1.2", "semver").highest(["v1.2.0", "1.2.0"]) == "1.2.0"


def test_pre_releases_are_ordered_as_the_specification_says() -> None:
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
               "1.0.0-rc.1", "1.0.0"]  # fmt: skip
    for number in range(1, len(ordered) + 1):
        assert parse_range(">=1.0.0-0", "semver").highest(ordered[:number]) == ordered[number - 1]


@given(st.text(alphabet="0123456789.xX*<>=^~|- vrc", max_size=20), st.text(max_size=10))
def test_any_text_is_a_range_or_refused(text: str, tag: str) -> None:
    try:
        versions = parse_range(text, "semver")
    except UserError:
        return
    assert (versions.highest([tag]) == tag) == (tag in versions)


@given(*[st.integers(0, 20)] * 6)
def test_a_caret_keeps_the_first_number_that_is_not_zero(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    is_inside = f"{d}.{e}.{f}" in parse_range(f"^{a}.{b}.{c}", "semver")
    same = d == a and (a > 0 or (e == b and (b > 0 or f == c)))
    assert is_inside == (same and (d, e, f) >= (a, b, c))
