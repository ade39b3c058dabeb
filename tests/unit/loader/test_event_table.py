"""Which runs are examined for the table of events, and the files that are written for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField

from componentrun.errors import PlatformError
from componentrun.loader.eventtable.appending import Period
from componentrun.loader.eventtable.files import day_of
from componentrun.loader.eventtable.table import COLUMNS, Mark, mark_property, origin_of, read_mark, write_mark
from componentrun.loader.eventtable.writing import Origin, write_days
from componentrun.storage.events.events import Event, Placed
from componentrun.storage.events.export import row_of
from componentrun.storage.events.index import EndedRun
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = Schema(*(NestedField(at, name, kind, required=False) for at, (name, kind) in enumerate(COLUMNS.items(), 1)))


def ended(end: datetime, entered: datetime | None) -> EndedRun:
    return EndedRun(end, end, "run", {"info": 1}, entered)


@pytest.mark.parametrize(
    ("end", "entered", "is_included"),
    [
        (NOON - DAY, NOON - DAY, True),
        (NOON, NOON, False),
        (NOON - 2 * DAY, NOON - 2 * DAY, False),
        (NOON - 2 * DAY, NOON - DAY + timedelta(hours=1), True),
        (NOON - 2 * DAY, NOON - DAY - timedelta(minutes=30), True),
        (NOON - 2 * DAY, None, True),
    ],
    ids=["new", "of today", "examined", "late", "late, and clocks differ", "its entry has no time"],
)
def test_runs_that_an_earlier_turn_has_examined_are_left_out(
    end: datetime, entered: datetime | None, *, is_included: bool
) -> None:
    period = Period(TODAY, Mark(TODAY - DAY, NOON - DAY))
    assert period.includes(ended(end, entered)) == is_included
    assert period.since == TODAY - DAY - timedelta(days=31)


def test_without_a_mark_all_runs_before_today_are_examined() -> None:
    period = Period(TODAY)
    assert period.since is None
    assert [period.includes(ended(NOON - DAY * days, NOON)) for days in (0, 1, 4000)] == [False, True, True]


def test_a_mark_is_read_as_it_was_written_and_a_damaged_one_is_none() -> None:
    mark, origin = Mark(TODAY, NOON), origin_of(StoreSettings("bucket", prefix="a/b"))
    assert origin == "bucket/a/b"
    assert origin_of(StoreSettings("bucket")) == "bucket"
    table: Any = type("Table", (), {"properties": {mark_property(origin): write_mark(mark)}})
    assert read_mark(table, origin) == mark
    assert read_mark(table, "bucket") is None
    for damaged in ("", "{}", "[]", '{"until": "soon", "at": 1}'):
        table.properties = {mark_property(origin): damaged}
        assert read_mark(table, origin) is None


@pytest.mark.parametrize(
    ("time", "day"),
    [("1970-01-01T00:00:00+00:00", 0), ("1969-12-31T23:59:59.999999+00:00", -1), ("2026-11-24T23:59:59+00:00", 20781)],
)
def test_the_day_of_a_time_is_that_of_the_partition(time: str, day: int) -> None:
    assert day_of(datetime.fromisoformat(time)) == day


def placed(seq: int, time: datetime, message: str, component: str = "b", **more: Any) -> Placed:
    event = Event(f"r-{seq}", seq, time.isoformat(), "r", component, "", "info", message, source="component", **more)
    return Placed(time, event, "")


def write(folder: Path, origin: Origin, *events: Placed) -> dict[int, str]:
    rows = folder / "rows.jsonl"
    rows.write_bytes(b"".join(map(row_of, events)))
    return {day: file.path for day, file in write_days(str(rows), SCHEMA, origin, str(folder))}


def test_each_day_has_a_file_with_typed_columns_in_order(tmp_path: Path) -> None:
    late = NOON + timedelta(hours=13)
    files = write(
        tmp_path, Origin("bucket/it's", "team"),
        placed(3, late, "c"), placed(1, NOON, "a", attempt=1, params={"ř": [1]}), placed(2, NOON, "b", "a", results={}),
    )  # fmt: skip
    assert list(files) == [day_of(NOON), day_of(NOON) + 1]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(f"FROM '{files[day_of(NOON)]}'")
        assert list(zip(found.columns, map(str, found.types), strict=True)) == [
            ("time", "TIMESTAMP WITH TIME ZONE"), ("run", "VARCHAR"), ("seq", "BIGINT"), ("namespace", "VARCHAR"),
            ("run_name", "VARCHAR"), ("component", "VARCHAR"), ("configuration", "VARCHAR"), ("attempt", "INTEGER"),
            ("type", "VARCHAR"), ("source", "VARCHAR"), ("message", "VARCHAR"), ("params", "VARCHAR"),
            ("results", "VARCHAR"), ("storage", "VARCHAR"),
        ]  # fmt: skip
        rows = found.project("component, seq, attempt, params, results, namespace, run_name, storage").fetchall()
        assert rows == [
            ("a", 2, None, None, "{}", "team", None, "bucket/it's"),
            ("b", 1, 1, '{"ř":[1]}', None, "team", None, "bucket/it's"),
        ]
        ids = connection.execute(
            "SELECT name, field_id FROM parquet_schema(?) OFFSET 1", [files[day_of(late)]]
        ).fetchall()
        assert ids == [(name, at) for at, name in enumerate(COLUMNS, 1)]


def test_texts_that_are_no_unicode_and_an_unknown_namespace_are_written(tmp_path: Path) -> None:
    files = write(tmp_path, Origin("bucket"), placed(1, NOON, "half \ud800 of a pair, and a \x00 byte"))
    with duckdb.connect() as connection:
        (row,) = connection.sql(f"FROM '{files[day_of(NOON)]}'").project("message, namespace").fetchall()
    assert row == ("half ? of a pair, and a \x00 byte", None)


def test_events_that_are_no_json_are_an_error_that_names_them(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"seq": "x"}))
    with pytest.raises(PlatformError, match="events can't be written for their table"):
        write_days(str(rows), SCHEMA, Origin("bucket"), str(tmp_path))
