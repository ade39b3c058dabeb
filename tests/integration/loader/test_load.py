"""Loads with the real store and catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.errors import UserError
from componentrun.loader.loading.fencing import fence
from componentrun.loader.loading.load import GivenUpError
from componentrun.wire.agents import Where

if TYPE_CHECKING:
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store

A, B = "out.c-main.a", "out.c-main.b"


def test_a_run_publishes_two_tables_and_only_once(bench: Bench) -> None:
    run = bench.new_run()
    a = bench.table(run, A, ["id", "v"], [["1", "x"], ["2", ""], ["3", 'q"\n,'], ["4", "\r\n"]], slices=2)
    b = bench.table(run, B, ["id"], [])
    attempt, tables = bench.load(run, a, b)
    assert (attempt, [(table.table, table.rows) for table in tables]) == (1, [(A, 4), (B, 0)])
    again, _ = bench.load(run, a, b)
    assert again == 1
    assert bench.rows(A) == [("1", "x"), ("2", ""), ("3", 'q"\n,'), ("4", "\r\n")]
    assert bench.rows(B) == []


def test_a_full_load_replaces_all_rows_and_leaves_no_file_in_the_way(bench: Bench) -> None:
    first, second = bench.new_run(), bench.new_run()
    bench.load(first, bench.table(first, A, ["id"], [["1"], ["2"]]))
    bench.load(second, bench.table(second, A, ["id", "more"], [["3", "y"]]))
    assert bench.rows(A) == [("3", "y")]
    scan = bench.scan(A)
    assert scan is not None
    assert (len(scan.files), scan.deletes, scan.rows) == (1, (), 1)


@pytest.mark.parametrize("mebibytes", [1, 3, 9, 15])
def test_long_rows_come_as_they_are(bench: Bench, mebibytes: int) -> None:
    run, text = bench.new_run(), "x, " * (mebibytes * 2**20 // 3)
    bench.load(run, bench.table(run, A, ["id", "v"], [["1", text], ["2", "short"]]))
    assert bench.rows(A) == [("1", text), ("2", "short")]


def test_an_increment_adds_rows_and_columns(bench: Bench) -> None:
    first, second = bench.new_run(), bench.new_run()
    bench.load(first, bench.table(first, A, ["id"], [["1"]]))
    bench.load(second, bench.table(second, A, ["id", "new"], [["2", "n"]], incremental=True))
    assert bench.rows(A) == [("1", None), ("2", "n")]


def test_the_last_row_of_a_key_wins_also_within_a_load(bench: Bench) -> None:
    first, second = bench.new_run(), bench.new_run()
    bench.load(first, bench.table(first, A, ["id", "v"], [["1", "a"], ["2", "b"], ["1", "c"]], key=["id"]))
    bench.load(second, bench.table(second, A, ["id", "v"], [["2", "d"], ["3", "e"], ["2", "f"]], incremental=True))
    assert bench.rows(A) == [("1", "c"), ("3", "e"), ("2", "f")]


def test_rows_are_deleted_before_others_come(bench: Bench) -> None:
    first, second = bench.new_run(), bench.new_run()
    bench.load(first, bench.table(first, A, ["id", "day"], [["1", "mon"], ["2", "tue"]]))
    gone = Where("day", "eq", ("mon",))
    bench.load(second, bench.table(second, A, ["id", "day"], [["3", "mon"]], incremental=True, delete=gone))
    assert bench.rows(A) == [("2", "tue"), ("3", "mon")]


def test_a_load_that_does_not_fit_changes_no_table(bench: Bench) -> None:
    first, second = bench.new_run(), bench.new_run()
    bench.load(first, bench.table(first, A, ["id", "v"], [["1", "x"]]))
    with pytest.raises(UserError, match="lacks the column `v`"):
        bench.load(second, bench.table(second, A, ["id"], [["9"]]), bench.table(second, B, ["id"], [["9"]]))
    assert bench.rows(A) == [("1", "x")]
    assert bench.rows(B) is None


def test_a_run_that_was_given_up_is_never_published(bench: Bench) -> None:
    run = bench.new_run()
    a = bench.table(run, A, ["id"], [["1"]])
    assert fence(bench.catalog, bench.fence_request(run, A)) is False
    with pytest.raises(GivenUpError):
        bench.load(run, a)
    assert bench.rows(A) is None


def test_a_published_run_can_not_be_given_up(bench: Bench) -> None:
    run = bench.new_run()
    bench.load(run, bench.table(run, A, ["id"], [["1"]]))
    assert fence(bench.catalog, bench.fence_request(run, A)) is True


def test_timestamps_grow_with_every_load(bench: Bench) -> None:
    stamps = []
    for number in range(3):
        run = bench.new_run()
        bench.load(run, bench.table(run, A, ["id"], [[str(number)]], incremental=True))
        scan = bench.scan(A)
        assert scan is not None
        stamps.append(scan.timestamp)
    assert stamps == sorted(set(stamps))
