"""Runs whose events are in the Storage of a test, and the table that maintenance appends them to."""

from __future__ import annotations

import asyncio
import time
import uuid
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from componentrun.loader.catalog.names import events_table
from componentrun.loader.eventtable.daily import EventSource, maintain_event_table
from componentrun.loader.eventtable.expiring import delete_unreached, expire_events
from componentrun.loader.eventtable.querying import open_event_query
from componentrun.loader.eventtable.table import origin_of
from componentrun.loader.eventtable.writing import Origin
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.storage.events.events import About, Event
from componentrun.storage.events.runs import EventRun, enter_ended, enter_open
from componentrun.storage.events.segments import append_segment
from componentrun.storage.store.connection import open_store
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from componentrun.loader.catalog.names import IcebergName
    from componentrun.loader.eventtable.appending import Appended, AppendLimits
    from componentrun.loader.eventtable.daily import DailyDone
    from componentrun.loader.eventtable.expiring import Expired
    from componentrun.storage.events.retention import Retention

__all__ = ["EventBench"]

DAY = 86_400


class EventBench(Bench):
    """A Storage with events."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.origin = Origin(origin_of(self.settings), "team")

    @property
    def name(self) -> IcebergName:
        """Name of the table in the catalog."""
        return events_table(self.catalog.prefix)

    def days_ago(self, days: float) -> datetime:
        """Noon of a day in the past; for 0, this moment."""
        now = datetime.now(UTC)
        noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
        return noon - timedelta(days=days) if days else now

    def run(self, days: float, *messages: str, run: str = "", component: str = "cleaner", **more: Any) -> str:
        """A run that ended some days ago, whose events are complete. Returns its uid."""
        uid = run or str(uuid.uuid4())
        asyncio.run(self._run(uid, self.days_ago(days), messages, component, more))
        return uid

    async def _run(
        self, uid: str, start: datetime, messages: tuple[str, ...], component: str, more: dict[str, Any]
    ) -> None:
        store, about, first = open_store(self.settings), About(), 1
        run, step = EventRun(uid, component, "12"), more.pop("step", timedelta(seconds=1))
        await enter_open(store, run)
        for part in [messages[at : at + 2] for at in range(0, len(messages), 2)]:
            events = [
                replace(
                    Event(f"{uid}-{seq}", seq, (start + step * seq).isoformat(), uid, component, "12", "info", text),
                    source="component", attempt=1, **more,
                )
                for seq, text in enumerate(part, first)
            ]  # fmt: skip
            written = start + step * events[-1].seq
            about = about.following("clean-7", events, written)
            await append_segment(store, uid, first, events, {"masked": "checkpoint"}, about)
            first += len(part)
        await enter_ended(store, run, about)

    def turn(
        self,
        days: float = 0,
        limits: AppendLimits | None = None,
        retention: Retention | None = None,
        *,
        is_appended: bool = True,
    ) -> DailyDone | None:
        """The daily turn of maintenance as if some days had passed."""
        store, living = open_store(self.settings), frozenset({self.origin.storage})
        source = EventSource(store, self.origin, retention, is_appended, living)
        clock = self.clock(days)
        return maintain_event_table(self.catalog, source, str(self.scratch), limits=limits, clock=clock)

    def of_another_storage(self) -> EventBench:
        """The same table, filled from another prefix."""
        other = copy(self)
        other.settings = replace(self.settings, prefix=f"{self.settings.prefix}-other")
        other.origin = Origin(origin_of(other.settings), "team")
        return other

    def append(self, days: float = 0, limits: AppendLimits | None = None) -> Appended:
        """What the daily turn appended."""
        done = self.turn(days, limits)
        assert done is not None
        return done.appended

    def clock(self, days: float) -> Any:
        """A clock that is fast by some days."""
        return lambda: time.time() + days * DAY

    def query(self, sql: str, *times: Any) -> list[tuple[str | None, ...]]:
        """The rows of a query, as text."""
        with open_event_query(self.catalog, sql, *times) as found:
            return found.answer.rows(None)

    def events(self) -> list[tuple[str | None, ...]]:
        """Run, number and message of each event."""
        return self.query("select run, seq, message from events order by 1, seq")

    def expire(self, retention: Retention, days: float = 0) -> Expired:
        """Delete expired events as if some days had passed."""
        storage, scratch = self.origin.storage, str(self.scratch)
        return expire_events(self.catalog, storage, retention, scratch, self.clock(days))

    def unreached(self, days: float) -> int:
        """Delete files of old snapshots as if some days had passed; return their number."""
        return delete_unreached(self.catalog, str(self.scratch), self.clock(days))

    def files(self) -> set[str]:
        """All files in the table's folder."""
        pages = TableObjects(self.settings).list_below(f"{self.event_table().location()}/")
        return {item.location for page in pages for item in page}

    def event_table(self) -> Table:
        """The table in the catalog."""
        found = self.catalog.find(self.name)
        assert found is not None
        return found
