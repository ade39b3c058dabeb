"""Components are found by words."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.catalogue.search import listed, search
from tests.unit.catalogue.make import component

ALL = [
    component("acme.ex-weather", title="Weather", summary="Reads forecasts", categories=["Climate"], vendor="Acme"),
    component("acme.wr-warehouse", type="writer", title="Warehouse", description="Writes weather and more"),
    component("other.processor-cut", type="processor", title="Cut columns"),
]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ["acme.ex-weather", "acme.wr-warehouse", "other.processor-cut"]),
        (("weather",), ["acme.ex-weather", "acme.wr-warehouse"]),
        (("WEATHER", "climate"), ["acme.ex-weather"]),
        (("acme",), ["acme.ex-weather", "acme.wr-warehouse"]),
        (("columns",), ["other.processor-cut"]),
        (("columns", "weather"), []),
        (("",), ["acme.ex-weather", "acme.wr-warehouse", "other.processor-cut"]),
    ],
)
def test_all_words_must_occur_and_the_best_match_is_first(words: tuple[str, ...], names: list[str]) -> None:
    assert [item.name for item in search(map(listed, ALL), words)] == names


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        ({}, "latest"),
        ({"tag": "1.2"}, "1.2"),
        ({"image": "x@sha256:0123456789abcdef"}, "0123456789ab"),
        ({"tag": "1.2", "defaultChannel": "release"}, "release"),
    ],
)
def test_the_version_that_runs_use(spec: dict[str, Any], version: str) -> None:
    assert listed(component(**spec)).version == version


def test_an_object_without_a_spec_is_listed() -> None:
    item = listed({"kind": "Component", "metadata": {"name": "x"}})
    assert (item.name, item.type, item.title, item.catalogue, item.is_deprecated) == ("x", "other", "", "", False)
