"""Events as Parquet, read back with DuckDB."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from componentrun.storage.events import reader as eventreader
from componentrun.storage.events.events import About, Event
from componentrun.storage.events.export import export_events
from componentrun.storage.events.query import EventQuery
from componentrun.storage.events.segments import append_segment
from tests.unit.storage.pastruns import EPOCH, START, Run, model, stamp, write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from componentrun.storage.events.segments import RunObjects
    from componentrun.storage.store.connection import Store


def rows(file: Path, what: str = "*") -> list[tuple[Any, ...]]:
    return duckdb.execute(f"SELECT {what} FROM read_parquet('{file}')").fetchall()  # noqa: S608 - made here


def micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def run(number: int, *, ended: bool = True) -> Run:
    """Its two segments begin before and end after those of the run before."""
    return Run(f"r{number}", "a", str(number % 2), ended, (((number, "info", "x"),), ((number + 5, "error", "y"),)))


async def test_events_of_all_runs_in_their_order(store: Store, tmp_path: Path) -> None:
    made = [run(number, ended=number != 3) for number in range(40)]
    for item in made:
        await write(store, item)
    target = tmp_path / "events.parquet"
    assert await export_events(store, EventQuery(), target) == 80
    assert rows(target, "id, run_name, message") == [
        (event.id, f"name-{event.run}", event.message) for event in model(made, EventQuery())
    ]
    times = [time for (time,) in rows(target, "epoch_us(time)")]
    assert times == sorted(times)
    assert times[0] == micros(START)
    assert await export_events(store, EventQuery("a", "1", types=frozenset({"error"})), target) == 20
    assert await export_events(store, EventQuery("a"), target, limit=7) == 7
    assert [row[0] for row in rows(target, "id")] == [item.id for item in model(made, EventQuery())[-7:]]
    assert await export_events(store, EventQuery(), target, run="r3") == 2
    assert await export_events(store, EventQuery(), target, run="r3", limit=1) == 1
    assert await export_events(store, EventQuery("nobody"), target) == 0
    assert rows(target, "count(*), count(params)") == [(0, 0)]


async def test_what_is_written_meanwhile_does_not_come_on_top_of_the_last(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(store, run(1, ended=False))
    listed = eventreader.list_events

    async def list_while_more_comes(store: Store, run: str, after: int = 0) -> RunObjects:
        found = await listed(store, run, after)
        more = Event("r1-3", 3, stamp(9), "r1", "a", "1", "info", "z")
        await append_segment(store, "r1", 3, [more], {}, About().following("the run", [more], datetime.now(UTC)))
        return found

    monkeypatch.setattr(eventreader, "list_events", list_while_more_comes)
    target = tmp_path / "events.parquet"
    assert await export_events(store, EventQuery(), target, run="r1", limit=1) == 1


async def test_a_run_that_is_swept_meanwhile_is_left_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await write(store, run(number))
    listed = eventreader.list_events

    async def list_before_one_is_swept(store: Store, run: str, after: int = 0) -> RunObjects:
        found = await listed(store, run, after)
        if run == "r0":
            await store.delete([item.key for item in found.segments])
        return found

    monkeypatch.setattr(eventreader, "list_events", list_before_one_is_swept)
    target = tmp_path / "events.parquet"
    assert await export_events(store, EventQuery(), target) == 4
    assert {row[0] for row in rows(target, "run")} == {"r1", "r2"}


async def test_every_field_is_there(store: Store, tmp_path: Path) -> None:
    odd = 'quote " back\\slash\nnew line \u2028 é 😀'
    params = {"a": [1, {"b": None}], "text": odd, "half": "\ud800", "nul": "\0"}
    event = Event("r-1", 1, stamp(1.25), "r", "reg/b:1", "č", "warn", odd, params, {"rows": 2**60}, "stage-out", 2)
    plain = replace(event, id="r-2", seq=2, params={}, results=None, attempt=None, source="")
    about = About().following("the run", [event, plain], datetime.now(UTC))
    await append_segment(store, "r", 1, [event, plain], {}, about)
    target = tmp_path / "events.parquet"
    assert await export_events(store, EventQuery(), target, run="r") == 2
    first, second = rows(target, "* REPLACE (epoch_us(time) AS time)")
    assert first[:11] == ("r-1", micros(START + timedelta(seconds=1.25)), "r", "the run", "reg/b:1", "č", 2, 1, "warn",
                          "stage-out", odd)  # fmt: skip
    assert json.loads(first[11]) == params | {"half": "?"}
    assert json.loads(first[12]) == {"rows": 2**60}
    assert second[6:8] == (None, 2)
    assert second[9:] == ("", odd, "{}", None)
