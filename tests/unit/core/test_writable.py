"""A run writes to the buckets that it names, and to those that its Component allows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from componentrun.core.request.buckets import check_writable, writable_buckets
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_component, make_run

NAMED = {"tables": [{"source": "a.csv", "destination": "out.c-main.a"}]}
DEFAULT = {"defaultBucket": "in.c-raw"}


def allowed(output: dict[str, Any], buckets: list[str] | None, bucket: str) -> bool:
    component = make_component() if buckets is None else make_component(output={"buckets": buckets})
    return writable_buckets(make_run(output=output).spec.output, component).allows(bucket)


@pytest.mark.parametrize(
    ("output", "buckets", "bucket", "may"),
    [
        ({}, None, "out.c-main", False),
        ({}, [], "out.c-main", False),
        (NAMED, None, "out.c-main", True),
        (NAMED, None, "out.c-main2", False),
        (NAMED, None, "out.c-mai", False),
        (NAMED, None, "in.c-main", False),
        (NAMED, None, "out.C-MAIN", False),
        (DEFAULT, None, "in.c-raw", True),
        (DEFAULT, None, "out.c-main", False),
        (NAMED | DEFAULT, None, "in.c-raw", True),
        (NAMED | DEFAULT, None, "out.c-main", True),
        (NAMED, ["in.c-raw"], "in.c-raw", True),
        (NAMED, ["in.c-raw"], "out.c-main", True),
        (NAMED, ["in.c-raw"], "in.c-raw2", False),
        ({}, ["out.c-*"], "out.c-any", True),
        ({}, ["out.c-*"], "out.c-", True),
        ({}, ["out.c-*"], "out.cany", False),
        ({}, ["out.c-*"], "in.c-any", False),
        ({}, ["in.*", "out.c-a"], "in.anything", True),
        ({}, ["in.*", "out.c-a"], "out.anything", False),
        ({}, ["*"], "in.anything", True),
        ({}, ["*"], "out.anything", True),
    ],
)
def test_a_bucket_may_be_written_or_not(
    output: dict[str, Any], buckets: list[str] | None, bucket: str, may: bool
) -> None:
    assert allowed(output, buckets, bucket) is may


def test_a_run_of_an_image_writes_to_what_it_names() -> None:
    writable = writable_buckets(make_run(output=NAMED).spec.output, None)
    check_writable(["out.c-main.a", "out.c-main.b"], writable)
    check_writable([], writable)
    with pytest.raises(UserError, match=r"or run it as a Component whose spec\.output\.buckets allows the bucket"):
        check_writable(["out.c-other.a"], writable)


def test_a_refusal_names_the_table_what_may_be_written_and_what_to_do() -> None:
    component = make_component("cleaner", output={"buckets": ["out.x-*"]})
    writable = writable_buckets(make_run(output=NAMED).spec.output, component)
    with pytest.raises(UserError) as refusal:
        check_writable(["out.c-main.a", "out.c-other.b", "out.x-1.c"], writable)
    assert refusal.value.reason is Reason.OUTPUT_INVALID
    assert refusal.value.message == (
        "the run may not write table `out.c-other.b`: it may write to `out.c-main`, `out.x-*`. Name the table in "
        "spec.output.tables, set spec.output.defaultBucket to `out.c-other`, or allow the bucket in "
        "spec.output.buckets of Component `cleaner`."
    )


def test_of_several_tables_the_first_is_named_and_the_others_are_counted() -> None:
    writable = writable_buckets(make_run().spec.output, make_component())
    with pytest.raises(
        UserError, match=r"`out\.c-a\.a` \(and 2 more\): it names no bucket, and its Component allows none\. "
    ):
        check_writable(["out.c-b.b", "out.c-a.a", "out.c-c.c"], writable)
    with pytest.raises(UserError, match=r"`out\.c-b\.b`: it names no bucket\. "):
        check_writable(["out.c-b.b"], writable_buckets(make_run().spec.output, None))


def test_a_message_lists_some_of_many_buckets() -> None:
    tables = [{"source": "a.csv", "destination": f"out.c-{number:04}.a"} for number in range(1000)]
    writable = writable_buckets(make_run(output={"tables": tables}).spec.output, None)
    with pytest.raises(UserError, match=r"`out\.c-0009` and 990 more") as refusal:
        check_writable(["in.c-a.a"], writable)
    assert len(refusal.value.message) < 600


@pytest.mark.parametrize(
    "bucket",
    ["", "c-main", "out", "out.", "*.c-main", "out.c-*-x", "**", "out.c.main", "out.c-main.a", "tmp.c", "in. *"],
)
def test_a_pattern_is_a_bucket_or_a_beginning(bucket: str) -> None:
    with pytest.raises(ValidationError):
        make_component(output={"buckets": [bucket]})
