"""Keys and table ids: one form each, and nothing that leads elsewhere."""

from __future__ import annotations

import pytest

from componentrun.errors import ComponentRunError, UserError
from componentrun.storage.store.keys import Layout, TableId, clean_prefix

RUN = "0b7c1a52-5a0e-4f5c-9f7e-2b9f2f1c3d4e"


def test_every_kind_of_object_has_its_place() -> None:
    layout = Layout("p")
    assert layout.data(RUN, 2) == f"p/data/{RUN}-2/"
    assert layout.result(RUN, 2) == f"p/data/{RUN}-2/_result.json"
    assert layout.swept(RUN, 2) == f"p/runs/{RUN}/swept-2.json"
    assert Layout("").data(RUN, 2) == f"data/{RUN}-2/"
    assert layout.stage_in_plan(RUN, 1) == f"p/runs/{RUN}/1/stage-in.json"
    assert layout.stage_out_plan(RUN, 1) == f"p/runs/{RUN}/1/stage-out.json"
    assert layout.segment(RUN, 42) == f"p/events/{RUN}/000000000042.jsonl.zst"
    assert layout.merged_events(RUN, 3, 42) == f"p/events/{RUN}/merged-000000000042-000000000003.jsonl.zst"
    assert layout.state("ex", "12") == "p/state/ex/default/12/state.json"
    assert layout.state("ex", "12", "r", "b") == "p/state/ex/b/12/rows/r.json"
    assert layout.object("files/a.csv") == "p/files/a.csv"


def test_a_data_key_tells_its_run_and_attempt() -> None:
    layout = Layout("p")
    assert layout.run_of_data(layout.data(RUN, 12) + "in.c-main/foo/1.csv") == (RUN, 12)
    assert layout.run_of_data("p/data/stray.txt") is None


def test_a_segment_key_tells_its_number() -> None:
    layout = Layout("p")
    assert layout.first_seq_of(layout.segment(RUN, 7)) == 7
    assert layout.first_seq_of(f"p/events/{RUN}/notes.txt") is None
    assert layout.merged_range_of(layout.merged_events(RUN, 7, 19)) == (7, 19)
    assert layout.merged_range_of(layout.segment(RUN, 7)) is None
    assert layout.first_seq_of(layout.merged_events(RUN, 7, 19)) is None


def test_segments_are_listed_before_what_they_are_merged_into() -> None:
    layout = Layout("p")
    assert layout.segment(RUN, 10**12 - 1) < layout.merged_events(RUN, 1, 2) < layout.merged_events(RUN, 1, 11)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("foo", "1 part between"),
        ("in.c-main", "2 parts between"),
        ("in.c-main.foo.csv", "4 parts between"),
        ("sys.c-main.foo", "stage is `sys`"),
        ("in..foo", "bucket ``"),
        ("in.c-main.f o", "table `f o`"),
        ("in.c-main./x", "table `/x`"),
        ("in.c-main." + "x" * 97, "1 to 96"),
        ("", "1 part between"),
    ],
)
def test_what_is_no_table_id_is_refused_with_what_was_expected(text: str, told: str) -> None:
    with pytest.raises(UserError, match="Expected") as refusal:
        TableId.parse(text)
    assert told in refusal.value.message
    assert "in.c-main.customers" in refusal.value.message


@pytest.mark.parametrize("key", ["../x", "a/../b", "a//b", "/a", "a/", "", "a\x00b", "a\\b", "a/.", "x" * 1025])
def test_a_plain_object_may_not_leave_the_prefix(key: str) -> None:
    with pytest.raises(UserError):
        Layout("p").object(key)


@pytest.mark.parametrize("area", ["data", "runs", "events", "state", "sweep.json", "doctor"])
def test_a_plain_object_may_not_be_one_of_the_platforms(area: str) -> None:
    with pytest.raises(UserError, match="belongs to ComponentRun"):
        Layout("p").object(f"{area}/x.json")


@pytest.mark.parametrize("run", ["", "a/b", "..", "a b", "x" * 300])
def test_a_run_uid_that_would_change_the_key_is_refused(run: str) -> None:
    with pytest.raises(ComponentRunError):
        Layout("p").data(run, 1)


def test_attempts_count_from_one() -> None:
    with pytest.raises(ComponentRunError, match="attempts count from 1"):
        Layout("p").data(RUN, 0)


@pytest.mark.parametrize(("given", "clean"), [("", ""), ("/", ""), ("a", "a"), ("/a/b/", "a/b")])
def test_a_prefix_has_no_slash_at_its_ends(given: str, clean: str) -> None:
    assert clean_prefix(given) == clean


@pytest.mark.parametrize("given", ["a//b", "..", "a/../b", "a\nb"])
def test_a_prefix_that_leads_elsewhere_is_refused(given: str) -> None:
    with pytest.raises(UserError, match="prefix"):
        clean_prefix(given)
