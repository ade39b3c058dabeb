"""A load writes to the buckets that its request names and to no others, whatever its tables are called."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.errors import Reason, UserError
from componentrun.loader.loading.load import load
from componentrun.wire.agents import TableWritten
from componentrun.wire.documents import from_json, to_json
from componentrun.wire.loader import LoadRequest
from tests.unit.loader.serving import a_load

if TYPE_CHECKING:
    from pathlib import Path


class Untouchable:
    """A catalog that nobody may ask."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the catalog was asked: {name}")


def a_table(destination: str, *, write_always: bool = False) -> TableWritten:
    return TableWritten("a.csv", destination, ("id",), (), False, write_always, (), rows=0, size=0)


def refused(request: LoadRequest, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(cast("Any", Untouchable()), request, str(folder))
    assert caught.value.reason == Reason.OUTPUT_INVALID
    assert list(folder.iterdir()) == []
    return caught.value.message


@pytest.mark.parametrize(
    "destination",
    [
        "in.c-main.a",
        "out.c-other.a",
        "out.c-mainframe.a",
        "out.c-mai.a",
        "out.C-main.a",
        "OUT.c-main.a",
        "out.c-main\u200b.a",
        " out.c-main.a",
        "out.c-main.a.b",
        "out.c-main..a",
        "out.c-main",
        "out..a",
        "a",
        "",
        "out.c_main.a",
        "out.*.a",
    ],
)
@pytest.mark.parametrize("write_always", [False, True])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside one that may be written"])
def test_a_table_of_another_bucket_is_refused_before_the_catalog_is_asked(
    tmp_path: Path, destination: str, write_always: bool, beside: bool
) -> None:
    tables = (*([a_table("out.c-main.good")] if beside else []), a_table(destination, write_always=write_always))
    told = refused(dataclasses.replace(a_load(), tables=tables), tmp_path)
    assert f"`{destination}`" in told
    assert "out.c-main.good" not in told


@pytest.mark.parametrize(
    ("pattern", "destination"),
    [
        ("out.c-team-*", "out.c-tea.a"),
        ("out.c-team-*", "out.c-TEAM-x.a"),
        ("in.*", "out.c-in.a"),
        ("out.c-", "out.c-x.a"),
    ],
)
def test_a_pattern_allows_what_begins_like_it_and_nothing_else(
    tmp_path: Path, pattern: str, destination: str
) -> None:  # fmt: skip
    refused(dataclasses.replace(a_load(), tables=(a_table(destination),), buckets=(pattern,)), tmp_path)


def test_a_run_that_names_no_bucket_writes_to_none(tmp_path: Path) -> None:
    refused(dataclasses.replace(a_load(), buckets=()), tmp_path)


@pytest.mark.parametrize("buckets", ["absent", None, "*", [None], {}])
def test_a_request_that_does_not_say_where_it_writes_is_none(buckets: Any) -> None:
    document = json.loads(to_json(a_load()))
    document.pop("buckets")
    if buckets != "absent":
        document["buckets"] = buckets
    with pytest.raises(ValueError, match="buckets"):
        from_json(LoadRequest, json.dumps(document).encode())
