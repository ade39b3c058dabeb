"""Daily updates of the table of events in which something fails: the rest is done all the same."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.loader.eventtable import appending, changing, daily
from componentrun.loader.eventtable.appending import AppendLimits, Period, append_events
from componentrun.loader.eventtable.changing import delete_refused
from componentrun.loader.eventtable.daily import EventSource, maintain_event_table
from componentrun.loader.eventtable.expiring import Expired
from componentrun.loader.eventtable.table import Mark, mark_property, write_mark
from componentrun.loader.eventtable.writing import Origin
from componentrun.storage.events.retention import Retention
from componentrun.storage.store.connection import Store
from tests.unit.storage.pastruns import START, Run, in_memory, write


class FakeTable:
    """The table, of which only the events are kept."""

    prefix, settings = "", None

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, int]] = []
        self.pending: list[tuple[str, int]] = []
        monkeypatch.setattr(appending, "open_events", lambda _: self)
        monkeypatch.setattr(appending, "last_numbers", lambda *_: dict(sorted(self.events)))
        monkeypatch.setattr(appending, "write_days", self._write)
        monkeypatch.setattr(appending, "change_files", lambda *_: None)

    def schema(self) -> None:
        """Not needed."""

    def commit(self, _changes: object) -> None:
        self.events += self.pending

    def _write(self, rows: str, *_: object) -> list[Any]:
        read = [json.loads(line) for line in Path(rows).read_text().splitlines()]
        self.pending = [(row["run"], row["seq"]) for row in read]
        return []


async def stored(store: Store, *uids: str) -> None:
    for uid in uids:
        await write(store, Run(uid, "a", "1", True, (((1, "info", "x"),), ((2, "info", "y"),), ((3, "info", "z"),))))


def append(table: Any, store: Store, folder: Path) -> appending.Appended:
    period = Period(START + timedelta(days=1))
    return append_events(table, store, Origin("bucket"), str(folder), period, AppendLimits())


def test_a_run_with_a_damaged_object_does_not_keep_the_events_of_others_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table, store = FakeTable(monkeypatch), in_memory()
    asyncio.run(stored(store, "r1", "r2", "r3"))
    asyncio.run(store.put(store.layout.segment("r2", 2), b"damaged"))
    for _ in range(2):
        with pytest.raises(PlatformError, match="events of run r2 can't be read") as caught:
            append(table, store, tmp_path)
        assert "delete the objects below `s3://bucket/team/a/events/r2/`" in caught.value.advice
    whole = [(run, seq) for run in ("r1", "r3") for seq in (1, 2, 3)]
    assert sorted(table.events) == sorted([*whole, ("r2", 1)])
    asyncio.run(store.delete([store.layout.segment("r2", seq) for seq in (1, 2, 3)]))
    assert append(table, store, tmp_path).is_complete


class Refusing(Store):
    """A store that refuses to give objects."""

    def __init__(self, store: Store, error: PlatformError) -> None:
        super().__init__(store.settings, store._backend)
        self.error = error

    async def get(self, key: str, *, most: int | None = None) -> Any:  # noqa: ARG002 - not needed to refuse
        raise self.error


@pytest.mark.parametrize(
    "error", [TransientError("away"), PlatformError("refused", Reason.STORAGE_ACCESS_DENIED)], ids=["away", "refused"]
)
def test_a_store_that_fails_ends_the_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: PlatformError
) -> None:
    table, store = FakeTable(monkeypatch), in_memory()
    asyncio.run(stored(store, "r1"))
    with pytest.raises(PlatformError) as caught:
        append(table, Refusing(store, error), tmp_path)
    assert caught.value is error
    assert table.events == []


def test_events_expire_though_others_can_t_be_appended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done: list[str] = []

    def fail(*_: object) -> None:
        raise PlatformError("can't append")

    def expire(*_: object) -> Expired:
        done.append("expired")
        return Expired()

    def delete(*_: object) -> int:
        done.append("deleted")
        return 0

    monkeypatch.setattr(daily, "append_events", fail)
    monkeypatch.setattr(daily, "expire_events", expire)
    monkeypatch.setattr(daily, "delete_unreached", delete)
    monkeypatch.setattr(daily, "open_events", lambda _: type("Table", (), {"properties": {}}))
    monkeypatch.setattr(daily, "record_retention", lambda *_: done.append("recorded"))
    monkeypatch.setattr(daily, "_commit_mark", lambda *_: done.append("marked"))
    catalog: Any = None
    source = EventSource(in_memory(), Origin("bucket"), Retention(timedelta(days=90)))
    with pytest.raises(PlatformError, match="can't append"):
        maintain_event_table(catalog, source, str(tmp_path))
    assert done == ["recorded", "expired", "deleted"]


@pytest.mark.parametrize("is_applied", [False, True], ids=["refused", "applied_by_an_earlier_request"])
def test_files_of_a_refused_commit_are_deleted_unless_the_table_has_them(
    monkeypatch: pytest.MonkeyPatch, *, is_applied: bool
) -> None:
    def file(path: str) -> Any:
        return SimpleNamespace(file_path=path)

    deleted: list[str] = []
    there = [SimpleNamespace(data_file=file("old")), *([SimpleNamespace(data_file=file("new"))] if is_applied else [])]
    monkeypatch.setattr(changing, "files_of", lambda *_: SimpleNamespace(data=there))
    monkeypatch.setattr(changing, "TableObjects", lambda _: SimpleNamespace(delete=deleted.extend))
    catalog: Any = SimpleNamespace(prefix="", settings=None, find=lambda _: "the table")
    delete_refused(catalog, [file("new")])
    assert deleted == ([] if is_applied else ["new"])


@pytest.mark.parametrize(
    ("ahead", "is_examined"),
    [(timedelta(minutes=-1), False), (timedelta(minutes=30), False), (timedelta(days=30), True)],
    ids=["done", "clocks_differ", "the_clock_was_wrong"],
)
def test_a_mark_of_a_turn_in_the_future_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ahead: timedelta, *, is_examined: bool
) -> None:
    periods: list[Period] = []
    now = START.replace(hour=12)
    mark = Mark((now + ahead).replace(hour=0), now + ahead)

    def append_all(*arguments: Any) -> appending.Appended:
        periods.append(arguments[4])
        return appending.Appended(is_complete=True)

    table = SimpleNamespace(properties={mark_property("bucket"): write_mark(mark)})
    monkeypatch.setattr(daily, "open_events", lambda _: table)
    monkeypatch.setattr(daily, "append_events", append_all)
    monkeypatch.setattr(daily, "delete_unreached", lambda *_: 0)
    monkeypatch.setattr(daily, "_commit_mark", lambda *_: None)
    catalog: Any = None
    source = EventSource(in_memory(), Origin("bucket"), None)
    maintain_event_table(catalog, source, str(tmp_path), clock=now.timestamp)
    assert periods == ([Period(now.replace(hour=0), None)] if is_examined else [])
