"""What the fields of a Component change for its runs."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.core.pod.metadata import hostname, label_value
from componentrun.core.request.buckets import default_bucket, writable_buckets
from componentrun.core.request.resolve import resolve
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_component, make_run

NAME = "acme.ex-shop"


def bucket(component: dict[str, Any], output: dict[str, Any] | None = None, configuration: str | None = "17") -> Any:
    run = make_run(component=NAME, output=output or {})
    return default_bucket(run.spec.output, make_component(NAME, **component), configuration)


class TestDefaultBucket:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (None, None),
            ("out.c-main", "out.c-main"),
            ("in", "in.c-acme-ex-shop-17"),
            ("out", "out.c-acme-ex-shop-17"),
        ],
    )
    def test_a_stage_stands_for_a_bucket_of_the_configuration(self, given: str | None, expected: str | None) -> None:
        assert bucket({"defaultBucket": given}) == expected

    def test_that_of_the_run_comes_first(self) -> None:
        assert bucket({"defaultBucket": "in"}, {"defaultBucket": "out.c-mine"}) == "out.c-mine"

    def test_a_run_without_a_configuration_has_no_bucket_of_its_own(self) -> None:
        assert bucket({"defaultBucket": "in"}, configuration=None) is None
        assert bucket({"defaultBucket": "in.c-all"}, configuration=None) == "in.c-all"

    def test_dots_of_a_configuration_are_replaced_like_those_of_a_name(self) -> None:
        assert bucket({"defaultBucket": "in"}, configuration="a.b") == "in.c-acme-ex-shop-a-b"

    def test_the_run_may_write_to_it_and_the_component_finds_it_in_its_configuration(self) -> None:
        run = make_run(component=NAME, configuration={"id": "17"})
        component = make_component(NAME, defaultBucket="in")
        effective = resolve(run, component, "lake")
        assert effective.default_bucket == "in.c-acme-ex-shop-17"
        assert effective.config["storage"]["output"]["default_bucket"] == "in.c-acme-ex-shop-17"
        assert writable_buckets(run.spec.output, component, "17").patterns == ("in.c-acme-ex-shop-17",)


class TestActions:
    def test_a_component_that_lists_its_actions_is_given_no_other(self) -> None:
        component = make_component(NAME, actions=["testConnection"])
        with pytest.raises(UserError, match=r"found `getTables`.*expected one of `run`, `testConnection`") as caught:
            resolve(make_run(component=NAME, action="getTables"), component, "lake")
        assert caught.value.reason is Reason.INVALID_SPEC

    @pytest.mark.parametrize("action", ["run", "testConnection"])
    def test_run_is_always_one_of_them(self, action: str) -> None:
        component = make_component(NAME, actions=["testConnection"])
        resolve(make_run(component=NAME, action=action), component, "lake")

    def test_a_component_that_lists_none_is_given_any(self) -> None:
        resolve(make_run(component=NAME, action="anything"), make_component(NAME), "lake")


class TestNamesWithDots:
    def test_they_are_label_values_and_the_pods_host_has_none(self) -> None:
        assert label_value(NAME) == NAME
        assert hostname("acme.ex-shop-17-1") == "acme-ex-shop-17-1"

    def test_long_ones_get_a_hash(self) -> None:
        long = f"{'a' * 60}.ex-{'b' * 60}"
        assert len(label_value(long)) <= 63
        assert label_value(long) != label_value(f"{long}c")
