"""The table of events on the real store and catalog: appended by maintenance, read by engines."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import UserError
from componentrun.loader.eventtable.appending import AppendLimits
from componentrun.loader.eventtable.expiring import expire_events
from componentrun.loader.eventtable.files import day_of, files_of
from componentrun.loader.eventtable.querying import open_event_query
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.loader.maintenance.round import Round, RoundLimits
from componentrun.loader.reading.listing import list_names
from componentrun.loader.reading.querying import open_query
from componentrun.storage.events.retention import Retention
from tests.integration.loader.eventruns import EventBench
from tests.unit.loader.revealing import REVEALING

if TYPE_CHECKING:
    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store


@pytest.fixture
def bench(lake_space: LakeSpace, tmp_path: Path) -> EventBench:
    return EventBench(lake_space, tmp_path)


def test_events_of_runs_that_ended_before_today_are_in_the_table_once(bench: EventBench) -> None:
    old = bench.run(2, "a", "b", "c")
    young = bench.run(1, "d")
    bench.run(0, "of today")
    appended = bench.append()
    assert (appended.events, appended.commits, appended.is_complete) == (4, 1, True)
    expected = [(old, "1", "a"), (old, "2", "b"), (old, "3", "c"), (young, "1", "d")]
    assert bench.events() == sorted(expected)
    assert bench.turn() is None
    assert bench.events() == sorted(expected)


def test_a_run_whose_events_arrive_late_is_in_the_table_on_the_next_day(bench: EventBench) -> None:
    early = bench.run(2, "a")
    bench.append()
    late = bench.run(3, "b", "c", "d")
    assert bench.turn() is None
    assert bench.append(days=1).events == 3
    assert bench.events() == sorted([(early, "1", "a"), (late, "1", "b"), (late, "2", "c"), (late, "3", "d")])


def test_a_run_that_got_more_events_after_it_was_appended_gets_only_these(bench: EventBench) -> None:
    run = bench.run(2, "a", "b")
    bench.append()
    bench.run(2, "a", "b", "c", run=run)
    bench.append(days=1)
    assert bench.events() == [(run, "1", "a"), (run, "2", "b"), (run, "3", "c")]


def test_columns_have_types_and_the_table_is_partitioned_by_day(bench: EventBench) -> None:
    run = bench.run(2, "a", "b", step=timedelta(hours=11), params={"row": 7}, results={"n": 1.5})
    bench.append()
    time = bench.days_ago(2) + timedelta(hours=11)
    found = bench.query("select * exclude (time), time::varchar from events where seq = 1")
    expected = (
        run, "1", "team", "clean-7", "cleaner", "12", "1", "info", "component", "a", '{"row":7}', '{"n":1.5}',
        bench.origin.storage, f"{time:%Y-%m-%d %H:%M:%S}+00",
    )  # fmt: skip
    assert found == [expected]
    days = {entry.data_file.partition[0] for entry in files_of(bench.catalog, bench.event_table()).data}
    assert days == {day_of(time), day_of(time) + 1}
    assert str(bench.event_table().schema().find_field("time").field_type) == "timestamptz"


def test_a_run_with_more_events_than_a_commit_holds_is_appended_in_several(bench: EventBench) -> None:
    run = bench.run(1, *(f"line {number}" for number in range(20)))
    others = [bench.run(1, "x") for _ in range(3)]
    appended = bench.append(limits=AppendLimits(bytes=1000, runs=2))
    assert (appended.events, appended.commits > 4) == (23, True)
    assert len(bench.events()) == 23
    assert [row[2] for row in bench.events() if row[0] == run] == [f"line {number}" for number in range(20)]
    assert {row[0] for row in bench.events()} == {run, *others}


def test_events_expire_by_the_retention_of_storage_and_component(bench: EventBench) -> None:
    old, audit = bench.run(40, "old"), bench.run(40, "audit", component="audit")
    bench.run(100, "old audit", component="audit")
    young = bench.run(20, "young")
    bench.append()
    retention = Retention(timedelta(days=30), {"audit": timedelta(days=90)})
    expired = bench.expire(retention)
    assert (expired.files, expired.replaced) == (2, 1)
    assert {row[0] for row in bench.events()} == {audit, young} - {old}
    assert bench.expire(retention).files == 0
    before = bench.files()
    assert bench.unreached(days=0) == 0
    assert bench.unreached(days=3) > 0
    assert {file for file in bench.files() if "/data/" in file} < before
    assert {row[0] for row in bench.events()} == {audit, young}
    bench.run(39, "late, and expired")
    bench.turn(1, retention=retention)
    assert {row[0] for row in bench.events()} == {audit, young}


def test_only_events_of_the_own_storage_expire(bench: EventBench) -> None:
    run = bench.run(40, "a")
    bench.append()
    assert expire_events(bench.catalog, "other/place", Retention(timedelta(days=1)), str(bench.scratch)).files == 0
    assert {row[0] for row in bench.events()} == {run}


def test_events_of_a_deleted_storage_expire_by_its_last_retention(bench: EventBench) -> None:
    old, young = bench.run(40, "old"), bench.run(2, "young")
    bench.turn(retention=Retention(timedelta(days=90)))
    elsewhere = bench.of_another_storage()
    kept = {row[0] for row in bench.events()}
    assert kept == {old, young}
    for days, left in ((6, kept), (60, {young}), (95, set())):
        elsewhere.turn(days, retention=Retention())
        assert {row[0] for row in bench.events()} == left
    names = [name for name in bench.event_table().properties if name.startswith("componentrun.events-retention.")]
    assert len(names) == 2
    elsewhere.turn(110, retention=Retention())
    names = [name for name in bench.event_table().properties if name.startswith("componentrun.events-retention.")]
    assert len(names) == 1


def test_an_endless_retention_and_one_beyond_all_times_keep_everything(bench: EventBench) -> None:
    bench.run(400, "a")
    bench.append()
    for keep in (None, timedelta(days=999_999_999)):
        assert bench.expire(Retention(keep)).files == 0
    assert len(bench.events()) == 1


def test_a_storage_that_appends_no_events_lets_the_others_expire(bench: EventBench) -> None:
    assert bench.turn(is_appended=False) is None
    assert bench.catalog.find(bench.name) is None
    bench.run(40, "old")
    kept = bench.run(20, "kept")
    bench.append()
    bench.run(19, "not appended")
    bench.turn(1, retention=Retention(timedelta(days=30)), is_appended=False)
    assert bench.events() == [(kept, "1", "kept")]


def test_the_table_is_not_one_of_the_tables_of_runs(bench: EventBench) -> None:
    bench.run(1, "a")
    bench.append()
    assert list_names(bench.catalog) == []
    limits = RoundLimits()
    done = Round(bench.catalog, limits, str(bench.scratch)).all_tables()
    assert (done.tables, done.failures) == (0, 0)
    with pytest.raises(UserError, match="is not a table id"), open_query(bench.catalog, "from componentrun.events"):
        pass


def test_a_query_reads_nothing_but_the_table_of_events(bench: EventBench) -> None:
    with pytest.raises(UserError, match="there is no table of events"):
        bench.query("from events")
    bench.run(1, "a")
    bench.append()
    run = bench.new_run()
    bench.load(run, bench.table(run, "out.c-main.a", ["id"], [["1"]]))
    for query, told in (
        ('from "out.c-main.a"', "does not exist"),
        ("from read_csv('/etc/passwd')", "can't be used here"),
        *((query, "the query can't be run: ") for query in REVEALING),
        ("drop view events", "expected a query"),
        ("from events; from events", "found 2 statements"),
    ):
        with pytest.raises(UserError, match=told):
            bench.query(query)


def test_times_limit_a_query_to_the_files_of_their_days(bench: EventBench) -> None:
    bench.run(3, "a")
    middle = bench.run(2, "b")
    bench.run(1, "c")
    bench.append()
    times = bench.days_ago(2.5), bench.days_ago(1.5)
    assert bench.query("select run, message from events", *times) == [(middle, "b")]
    with open_event_query(bench.catalog, "from events") as found:
        assert found.until == bench.days_ago(0).replace(hour=0, minute=0, second=0, microsecond=0)


def test_nothing_of_a_checkpoint_is_in_the_files(bench: EventBench) -> None:
    bench.run(1, "a", "b")
    bench.append()
    objects = TableObjects(bench.settings)
    locations = [location for location in bench.files() if location.endswith(".parquet")]
    assert len(locations) == 1
    (content,) = (Path(path).read_bytes() for path in objects.fetch(locations, str(bench.scratch)))
    assert b"masked" not in content
    assert b"checkpoint" not in content


def test_pyiceberg_reads_the_table_and_skips_other_days(bench: EventBench) -> None:
    bench.run(3, "a", "b")
    bench.run(1, "c")
    bench.append()
    table = bench.event_table()
    assert [str(field) for field in table.spec().fields] == ["1000: time_day: day(1)"]
    tasks = list(table.scan(f"time >= '{bench.days_ago(2).isoformat()}'").plan_files())
    assert len(tasks) == 1
