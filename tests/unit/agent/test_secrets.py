"""Secrets into parameters."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.agent.secrets import with_secrets
from componentrun.errors import Reason, UserError


@pytest.mark.parametrize(
    ("parameters", "path", "wanted"),
    [
        ({}, "#token", {"#token": "s"}),
        ({"#token": "placeholder"}, "#token", {"#token": "s"}),
        ({"db": {"host": "h"}}, "db.#password", {"db": {"host": "h", "#password": "s"}}),
        ({}, "a.b.#c", {"a": {"b": {"#c": "s"}}}),
        ({"k": [{}, {"n": 1}]}, "k.1.#t", {"k": [{}, {"n": 1, "#t": "s"}]}),
        ({"k": ["x", "y"]}, "k.0", {"k": ["s", "y"]}),
        ([{}], "0.#t", [{"#t": "s"}]),
        ({"a.b": {"#c.d": "x"}}, r"a\.b.#c\.d", {"a.b": {"#c.d": "s"}}),
        ({}, r"#a\\.b c", {"#a\\": {"b c": "s"}}),
    ],
)
def test_a_secret_goes_to_its_path(parameters: Any, path: str, wanted: Any) -> None:
    config = {"parameters": parameters, "action": "run"}
    before = repr(config)
    assert with_secrets(config, {path: "s"}) == {"parameters": wanted, "action": "run"}
    assert repr(config) == before


def test_without_parameters_they_are_made() -> None:
    assert with_secrets({}, {"#t": "s"}) == {"parameters": {"#t": "s"}}


@pytest.mark.parametrize(
    ("parameters", "path", "problem"),
    [
        ({"db": "text"}, "db.#p", "`db` is a text, expected an object or a list"),
        ({"db": 1}, "db.x.#p", "`db` is a number"),
        ({"db": None}, "db.#p", "`db` is null"),
        ("text", "#p", "`parameters` is a text"),
        ({"k": [1]}, "k.1", "`k` is a list of 1 items, and `1` is none of their positions (0 to 0)"),
        ({"k": [1]}, "k.-1", "`-1` is none of their positions"),
        ({"k": [1]}, "k.x.#p", "`x` is none of their positions"),
        ({"k": []}, "k.0", "`k` is an empty list"),
    ],
)
def test_a_path_without_a_place_is_told_without_the_value(parameters: Any, path: str, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        with_secrets({"parameters": parameters}, {path: "hunter2"})
    assert caught.value.reason is Reason.INVALID_SPEC
    assert problem in caught.value.message
    assert "hunter2" not in caught.value.message
