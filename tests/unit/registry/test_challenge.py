"""Challenges of registries, as they were seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.registry.challenge import Challenge, choose_challenge

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/a:pull"'


@pytest.mark.parametrize(
    ("headers", "scheme", "parameters"),
    [
        ([HUB], "bearer", {"realm": "https://auth.docker.io/token", "service": "registry.docker.io"}),
        (['Basic realm="a, b"'], "basic", {"realm": "a, b"}),
        (["basic"], "basic", {}),
        ([r'Basic realm="a \"b\""'], "basic", {"realm": 'a "b"'}),
        (["BEARER Realm=https://a/t , Service = x"], "bearer", {"realm": "https://a/t", "service": "x"}),
        (['Basic realm="x"', HUB], "bearer", {"service": "registry.docker.io"}),
        (['Negotiate, Basic realm="x"'], "basic", {"realm": "x"}),
        (['Basic realm="x", Bearer realm="https://t/", service="s"'], "bearer", {"realm": "https://t/"}),
    ],
)
def test_known_challenges(headers: list[str], scheme: str, parameters: dict[str, str]) -> None:
    found = choose_challenge(headers)
    assert found is not None
    assert found.scheme == scheme
    assert found.parameters.items() >= parameters.items()


@pytest.mark.parametrize("headers", [[], [""], ["Negotiate"], ["=,=,"], ['"Basic"']])
def test_no_challenge_that_can_be_answered(headers: list[str]) -> None:
    assert choose_challenge(headers) is None


@given(st.lists(st.text(), max_size=3))
def test_any_text_is_read(headers: list[str]) -> None:
    assert isinstance(choose_challenge(headers), Challenge | None)
