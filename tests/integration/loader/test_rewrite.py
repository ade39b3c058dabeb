"""Rewriting tables, with the real store and catalog."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import duckdb
import pytest

from componentrun.client.storage.objects import ObjectStore
from componentrun.loader.loading.load import load
from componentrun.loader.maintenance import replacing, rewriting
from componentrun.loader.maintenance.choosing import RewriteLimits
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.loader.maintenance.rewriting import Rewritten, rewrite
from componentrun.loader.reading.versions import versions_of
from componentrun.storage.store.connection import open_store
from componentrun.wire.agents import Where
from tests.integration.loader import maintained
from tests.integration.loader.maintained import A

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store


class Place(maintained.Place):
    """A Storage whose table `A` is rewritten."""

    def increments(self, count: int, *, key: tuple[str, ...] = ()) -> None:
        for number in range(count):
            run = self.new_run()
            rows = [[str(number), f"v{number}"], [f"{number}b", ""]]
            self.load(run, self.table(run, A, ["id", "v"], rows, key=key, incremental=True))

    def rewrite(self, **limits: Any) -> Rewritten:
        return rewrite(self.catalog, self.name, RewriteLimits(**limits), str(self.scratch))

    def operations(self) -> list[str]:
        found = self.catalog.find(self.name)
        assert found is not None
        return [str(item.summary.operation.value) for item in found.metadata.snapshots if item.summary is not None]

    def versions(self) -> list[Any]:
        found = self.catalog.find(self.name)
        assert found is not None
        return list(versions_of(found.metadata))

    def as_planned_by_pyiceberg(self) -> list[tuple[Any, ...]]:
        """Sorted rows of the files in PyIceberg's own scan, with all columns including `_timestamp`."""
        table = self.catalog.find(self.name)
        assert table is not None
        tasks = list(table.scan().plan_files())
        assert not any(task.delete_files for task in tasks)
        paths = TableObjects(self.settings).fetch([task.file.file_path for task in tasks], str(self.scratch))
        with duckdb.connect() as connection:
            return sorted(
                connection.execute("SELECT id, v, epoch_us(_timestamp) FROM read_parquet($1)", [paths]).fetchall()
            )


@pytest.fixture
def place(lake_space: LakeSpace, tmp_path: Path) -> Place:
    return Place(lake_space, tmp_path)


def test_many_small_files_become_one_and_rows_keep_their_order_and_time(place: Place) -> None:
    place.increments(9)
    rows, values, scan = place.rows(A), place.as_planned_by_pyiceberg(), place.scan(A)
    versions = place.versions()
    done = place.rewrite()
    assert (done.outcome, done.files, done.new_files) == ("rewritten", 9, 1)
    assert place.rows(A) == rows
    assert place.as_planned_by_pyiceberg() == values
    after = place.scan(A)
    assert after is not None
    assert scan is not None
    assert (len(after.files), after.rows, after.timestamp) == (1, 18, scan.timestamp)
    assert after.last_change == scan.last_change
    assert place.operations()[-1] == "replace"
    assert place.versions() == versions


def test_rows_that_come_later_stand_behind_those_that_were_rewritten(place: Place) -> None:
    place.increments(8)
    place.rewrite()
    place.increments(8)
    rows = place.rows(A)
    assert place.rewrite().outcome == "rewritten"
    assert place.rows(A) == rows
    assert rows is not None
    assert rows[:3] == [("0", "v0"), ("0b", ""), ("1", "v1")]


def test_only_neighbours_of_a_large_file_are_put_together(place: Place) -> None:
    place.increments(3)
    run = place.new_run()
    large = [[uuid.uuid4().hex, uuid.uuid4().hex] for _ in range(1000)]
    place.load(run, place.table(run, A, ["id", "v"], large, incremental=True))
    place.increments(3)
    rows = place.rows(A)
    done = place.rewrite(files=3, target=20_000)
    assert (done.outcome, done.files, done.new_files) == ("rewritten", 6, 2)
    assert place.rows(A) == rows


def test_deleted_rows_and_the_files_that_name_them_go(place: Place) -> None:
    place.increments(4, key=("id",))
    run = place.new_run()
    place.load(run, place.table(run, A, ["id", "v"], [["1", "new"], ["9", "z"]], incremental=True))
    run = place.new_run()
    gone = Where("v", "eq", ("v2",))
    place.load(run, place.table(run, A, ["id", "v"], [], incremental=True, delete=gone))
    rows = place.rows(A)
    assert ("1", "new") in rows  # type: ignore[operator]
    done = place.rewrite(files=3)
    scan = place.scan(A)
    assert scan is not None
    assert (done.outcome, scan.deletes, scan.rows) == ("rewritten", (), len(rows or []))
    assert place.rows(A) == rows
    assert len(place.as_planned_by_pyiceberg()) == len(rows or [])


def test_files_of_deleted_rows_become_one_where_the_rows_files_stay(place: Place) -> None:
    run = place.new_run()
    many = [[str(number), "x"] for number in range(500)]
    place.load(run, place.table(run, A, ["id", "v"], many, key=["id"]))
    for number in range(4):
        run = place.new_run()
        place.load(run, place.table(run, A, ["id", "v"], [[str(number), "y"]], incremental=True))
    rows = place.rows(A)
    done = place.rewrite(files=4, target=100)
    scan = place.scan(A)
    assert scan is not None
    assert (done.outcome, done.deletes, done.new_deletes, len(scan.deletes)) == ("rewritten", 4, 1, 1)
    assert place.rows(A) == rows


def test_a_column_that_was_added_later_is_missing_in_earlier_rows_as_before(place: Place) -> None:
    place.increments(2)
    run = place.new_run()
    place.load(run, place.table(run, A, ["id", "v", "more"], [["x", "y", "z"]], incremental=True))
    rows = place.rows(A)
    assert place.rewrite(files=2).outcome == "rewritten"
    assert place.rows(A) == rows
    assert rows is not None
    assert (rows[0], rows[-1]) == (("0", "v0", None), ("x", "y", "z"))


def test_a_table_that_reads_well_is_left_alone(place: Place) -> None:
    place.increments(3)
    assert place.rewrite().outcome == "notNeeded"
    assert len(place.operations()) == 3


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Call `act` once, after all files of a rewrite are written and before the commit."""
    real, acts = replacing.replace_files, [act]

    def replaced(*arguments: Any) -> Any:
        change = real(*arguments)
        if acts:
            acts.pop()()
        return change

    monkeypatch.setattr(rewriting, "replace_files", replaced)


def test_an_increment_between_look_and_commit_stays_and_the_rewrite_is_committed_on_top(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.increments(8)
    run = place.new_run()
    comes = place.table(run, A, ["id", "v"], [["new", "n"]], incremental=True)
    meanwhile(monkeypatch, lambda: load(place.catalog, place.request(run, comes), str(place.scratch)))
    before = place.rows(A)
    assert place.rewrite().outcome == "rewritten"
    assert place.rows(A) == [*(before or []), ("new", "n")]


def test_a_full_load_between_look_and_commit_wins(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.increments(8)
    run = place.new_run()
    comes = place.table(run, A, ["id", "v"], [["only", "o"]])
    meanwhile(monkeypatch, lambda: load(place.catalog, place.request(run, comes), str(place.scratch)))
    assert place.rewrite().outcome == "changedMeanwhile"
    assert place.rows(A) == [("only", "o")]


def test_rows_that_are_deleted_between_look_and_commit_do_not_come_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.increments(8, key=("id",))
    run = place.new_run()
    comes = place.table(run, A, ["id", "v"], [["3", "changed"]], incremental=True)
    meanwhile(monkeypatch, lambda: load(place.catalog, place.request(run, comes), str(place.scratch)))
    assert place.rewrite().outcome == "changedMeanwhile"
    rows = place.rows(A)
    assert rows is not None
    assert [row for row in rows if row[0] == "3"] == [("3", "changed")]


class Killed(BaseException):
    """An exception that no code catches."""


@pytest.mark.parametrize("step", ["pack", "store_file", "replace_files", "_commit"])
def test_a_rewrite_that_is_killed_leaves_the_table_as_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place.increments(8)
    rows = place.rows(A)

    def killed(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(rewriting._Work if step == "_commit" else rewriting, step, killed)
        place.rewrite()
    assert place.rows(A) == rows
    assert place.rewrite().outcome == "rewritten"
    assert place.rows(A) == rows


def test_by_hand_a_table_is_rewritten_however_few_its_files_are(place: Place) -> None:
    place.increments(2)
    rows = place.rows(A)
    with contextlib.closing(ObjectStore(open_store(place.settings), lambda: place.settings.catalog)) as store:
        would = store.tables.compact(A, dry_run=True)
        assert (would.outcome, would.files, would.new_files, len(place.operations())) == ("wouldRewrite", 2, 1, 2)
        done = store.tables.compact(A, dry_run=False)
        assert (done.outcome, done.files, done.new_files, place.rows(A)) == ("rewritten", 2, 1, rows)
        assert store.tables.compact(A, dry_run=False).outcome == "notNeeded"
