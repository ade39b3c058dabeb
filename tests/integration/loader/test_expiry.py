"""Old snapshots and unreferenced files, with the real store and catalog."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.loader.loading.fencing import fence
from componentrun.loader.loading.load import GivenUpError
from componentrun.loader.maintenance import changes, expiring
from componentrun.loader.maintenance.changes import ChangeNotes
from componentrun.loader.maintenance.choosing import RewriteLimits
from componentrun.loader.maintenance.history import HistoryLimits
from componentrun.loader.maintenance.reachable import metadata_files, reached_files
from componentrun.loader.maintenance.round import Round, RoundLimits
from componentrun.maintenance.catalogs import maintain_catalog
from componentrun.maintenance.places import CatalogPlace
from componentrun.maintenance.settings import Settings
from componentrun.storage.store.settings import StoreSettings
from tests.integration.loader.maintained import A, Place

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store


@pytest.fixture
def place(lake_space: LakeSpace, tmp_path: Path) -> Place:
    return Place(lake_space, tmp_path)


def test_old_snapshots_go_with_the_files_that_only_they_reached(place: Place) -> None:
    for number in range(4):
        place.fully(str(number))
    data = {path for path in place.files() if "/data/" in path}
    done = place.expire(days=5)
    assert (done.snapshots, place.snapshots(), place.rows(A)) == (3, 1, [("3",)])
    left = {path for path in place.files() if "/data/" in path}
    assert (len(data), len(left)) == (4, 1)


def test_young_snapshots_stay_and_what_they_say_of_runs(place: Place) -> None:
    place.fully("1")
    run = place.new_run()
    fence(place.catalog, place.fence_request(run, A))
    for _ in range(3):
        place.increment("2")
    assert place.expire(days=0.9).snapshots == 0
    with pytest.raises(GivenUpError):
        place.load(run, place.table(run, A, ["id"], [["never"]]))


def test_a_load_between_look_and_commit_keeps_all_snapshots(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        place.fully(str(number))
    real = expiring._remove

    def removed(*arguments: Any) -> bool:
        place.increment("meanwhile")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(expiring, "_remove", removed)
        assert place.expire(days=5).snapshots == 0
    assert (place.snapshots(), place.rows(A)) == (4, [("2",), ("meanwhile",)])


def test_orphans_go_when_they_are_old_and_nothing_that_is_reached_does(place: Place) -> None:
    place.fully("1")
    place.increment("2")
    table = place.catalog.find(place.name)
    assert table is not None
    lost = [f"{table.location()}/data/lost.parquet", f"{table.location()}/metadata/lost.avro"]
    for location in lost:
        table.io.write(location, b"x")  # type: ignore[attr-defined]
    assert place.orphans(days=2.5).files == 0
    assert place.orphans(days=3.5).files >= 2
    reached = {path for part in reached_files(table) for path in part} | set(metadata_files(table))
    assert not place.files() & set(lost)
    assert reached <= place.files()
    assert place.rows(A) == [("1",), ("2",)]
    place.increment("3")
    assert place.rows(A) == [("1",), ("2",), ("3",)]


def test_nothing_is_lost_in_a_folder_that_another_table_has_too(place: Place) -> None:
    place.fully("1")
    table = place.catalog.find(place.name)
    assert table is not None
    other = f"{table.location()}/metadata/00000-0e2dc6b8-4a9a-4c80-8a1c-5d2d1f6f6a3b.metadata.json"
    for location, content in ((other, b'{"table-uuid": "other"}'), (f"{table.location()}/data/its.parquet", b"x")):
        table.io.write(location, content)  # type: ignore[attr-defined]
    assert place.orphans(days=3.5).files == 0
    assert f"{table.location()}/data/its.parquet" in place.files()


def test_a_round_maintains_tables_that_have_changed_and_the_scan_finds_those_without_a_note(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_READ_AFTER", timedelta(0))
    limits = RoundLimits(RewriteLimits(files=4), HistoryLimits(timedelta(days=1), 1))

    def rounds(days: float) -> Any:
        return Round(place.catalog, limits, str(place.scratch), title="team/main", clock=place.later(days)).all_tables()

    for number in range(4):
        place.increment(str(number))
    assert rounds(0).rewritten == 1  # without a note, the scan finds the table
    for number in range(4):
        place.increment(str(number + 4))
    ChangeNotes(time.monotonic).changed(place.settings, [A])
    monkeypatch.setattr("componentrun.loader.maintenance.round.tables_behind", lambda *_: iter(()))
    done = rounds(2)
    assert (done.tables, done.rewritten, done.failures) == (1, 1, 0)
    assert done.snapshots == 9
    assert rounds(2).tables == 0
    assert place.rows(A) == [(str(number),) for number in range(8)]


async def test_the_round_of_the_process_maintains_a_catalog_and_says_what_it_did(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await asyncio.to_thread(lambda: [place.increment(str(number)) for number in range(8)])
    settings = CatalogPlace("team/main", place.settings, timedelta(days=7), is_maintained=True)
    assert await maintain_catalog(settings, Settings()) == 0
    assert "Storage team/main: 1 tables looked at, 1 rewritten: 8 files" in caplog.text
    assert place.settings.catalog is not None
    away = replace(place.settings, catalog=replace(place.settings.catalog, uri="http://127.0.0.1:9"))
    assert await maintain_catalog(replace(settings, settings=away), Settings()) == 1
    assert "does not answer" in caplog.text


def test_a_store_that_is_away_keeps_no_load_from_its_answer() -> None:
    away = StoreSettings(bucket="none", endpoint="http://127.0.0.1:9", access_key="a", secret_key="b")
    ChangeNotes().changed(away, [A])
