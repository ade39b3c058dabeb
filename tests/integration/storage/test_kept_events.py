"""Events of many runs on real stores: found, and deleted when their time has come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.storage.eventquery import EventQuery, last_events, locate
from componentrun.storage.eventruns import EventRun, enter_ended, enter_open, open_runs
from componentrun.storage.events import About, Event, append_segment
from componentrun.storage.tables import gather_bounded

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

pytestmark = pytest.mark.store


async def test_events_of_many_runs_are_found_newest_first(store: Store) -> None:
    start = datetime(2026, 11, 24, 8, tzinfo=UTC)

    async def write(number: int) -> None:
        run, about = EventRun(f"r{number:02}", "a" if number % 2 else "b", str(number % 4)), About()
        await enter_open(store, run)
        for seq, kind in enumerate(("info", "error" if number == 3 else "warn"), 1):
            time = start + timedelta(seconds=number, milliseconds=seq)
            said = [Event(f"{run.uid}-{seq}", seq, time.isoformat(), run.uid, run.component, "", kind, f"{number}")]
            about = about.following(f"run-{number}", said, time)
            await append_segment(store, run.uid, seq, said, {}, about)
        if number != 5:
            await enter_ended(store, run, about)

    await gather_bounded(write, range(24))
    newest = await last_events(store, EventQuery("a", "1"), 3)
    assert [found.event.id for found in newest] == ["r17-2", "r21-1", "r21-2"]
    assert [found.name for found in newest] == ["run-17", "run-21", "run-21"]
    everything = await last_events(store, EventQuery(), 100)
    assert [found.event.seq for found in everything] == [1, 2] * 24
    assert [found.event.message for found in everything[::2]] == [str(number) for number in range(24)]
    failed = EventQuery("a", types=frozenset({"error"}))
    assert [found.event.id for found in await last_events(store, failed, 100)] == ["r03-2"]
    middle = EventQuery("a", since=start + timedelta(seconds=4), until=start + timedelta(seconds=8))
    assert {found.event.run for found in await last_events(store, middle, 100)} == {"r05", "r07"}
    assert await open_runs(store, "a") == ["r05"]
    before = await locate(store, "r05-1")
    assert [found.event.id for found in await last_events(store, EventQuery(before=before), 2)] == ["r04-1", "r04-2"]
