"""Which catalogs are maintained, and how much of the history their tables keep."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import PlatformError
from componentrun.maintenance import app
from componentrun.maintenance.eventtables import append_seconds
from componentrun.maintenance.settings import Settings
from componentrun.process.kubernetes.resources import STORAGES
from tests.unit.maintenance.world import World

if TYPE_CHECKING:
    from componentrun.maintenance.places import CatalogPlace, EventTablePlace

LAKE = {"uri": "https://catalog.example.com", "warehouse": "lake"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def maintained(monkeypatch: pytest.MonkeyPatch) -> list[CatalogPlace]:
    found: list[CatalogPlace] = []

    async def maintain(place: CatalogPlace, *_: object) -> int:
        found.append(place)
        return 0

    monkeypatch.setattr(app, "maintain_catalog", maintain)
    return found


@pytest.fixture(autouse=True)
def event_tables(monkeypatch: pytest.MonkeyPatch) -> list[EventTablePlace]:
    found: list[EventTablePlace] = []

    async def maintain(table: EventTablePlace, *_: object) -> int:
        found.append(table)
        return 0

    monkeypatch.setattr(app, "maintain_events", maintain)
    return found


def storage(world: World, name: str, **spec: Any) -> None:
    world._add(STORAGES, name, {"bucket": f"bucket-{name}", **spec})


async def test_a_storage_without_a_catalog_has_no_tables_to_maintain_there(
    world: World, maintained: list[CatalogPlace]
) -> None:
    storage(world, "plain")
    storage(world, "lake", catalog=LAKE)
    await app.maintain(Settings())
    assert [(place.title, place.history) for place in maintained] == [("team/lake", timedelta(days=7))]


async def test_tables_of_two_storages_are_maintained_once_and_keep_the_longer_history(
    world: World, maintained: list[CatalogPlace]
) -> None:
    storage(world, "one", catalog=LAKE, tables={"history": "3d"})
    storage(world, "two", catalog=LAKE, tables={"history": "30d"})
    storage(world, "other", catalog=LAKE | {"namespacePrefix": "team_"})
    await app.maintain(Settings())
    assert [place.history.days for place in maintained] == [30, 7]


async def test_an_engine_of_another_kind_keeps_them_to_itself(world: World, maintained: list[CatalogPlace]) -> None:
    storage(world, "one", catalog=LAKE)
    storage(world, "two", catalog=LAKE, maintenance={"engine": "None"})
    await app.maintain(Settings())
    assert maintained == []


async def test_a_storage_that_may_keep_more_of_the_same_tables_and_can_not_be_read_keeps_all(
    world: World, maintained: list[CatalogPlace], caplog: pytest.LogCaptureFixture
) -> None:
    storage(world, "one", catalog=LAKE)
    storage(world, "broken", catalog=LAKE | {"credentials": {"secretName": "missing"}})
    storage(world, "another", catalog=LAKE | {"warehouse": "elsewhere"})
    storage(world, "neighbour", catalog=LAKE | {"namespacePrefix": "neighbour_"})
    with pytest.raises(PlatformError, match="1 steps of maintenance failed"):
        await app.maintain(Settings())
    assert [place.title for place in maintained] == ["team/another", "team/neighbour"]
    assert "may have the same tables could not be opened" in caplog.text


async def test_each_bucket_has_its_events_in_the_tables_of_its_catalogs(
    world: World, maintained: list[CatalogPlace], event_tables: list[EventTablePlace]
) -> None:
    storage(world, "plain")
    storage(world, "one", catalog=LAKE, events={"keep": "30d"})
    storage(world, "same-bucket", catalog=LAKE, bucket="bucket-one", events={"keep": "60d"})
    storage(world, "same-tables", catalog=LAKE)
    storage(world, "own", catalog=LAKE | {"namespacePrefix": "own_"}, maintenance={"engine": "None"})
    storage(world, "no-table", catalog=LAKE, events={"table": False})
    await app.maintain(Settings())
    assert len(maintained) == 1
    assert [table.place.title for table in event_tables if not table.is_appended] == ["team/no-table"]
    found = {
        table.place.title: (table.place.store.settings.bucket, table.is_maintained)
        for table in event_tables
        if table.is_appended
    }
    assert found == {
        "team/one": ("bucket-one", True),
        "team/same-tables": ("bucket-same-tables", True),
        "team/own": ("bucket-own", False),
    }
    one = next(table for table in event_tables if table.place.title == "team/one")
    assert one.place.retention is not None
    assert (one.place.retention.keep, one.place.namespaces) == (timedelta(days=60), {"team"})


async def test_the_events_of_many_storages_leave_time_for_their_tables(
    world: World, maintained: list[CatalogPlace], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float] = []

    async def maintain(_table: EventTablePlace, _settings: Settings, most: float, _living: object) -> int:
        seconds.append(most)
        return 0

    monkeypatch.setattr(app, "maintain_events", maintain)
    for number in range(16):
        storage(world, f"s{number}", catalog=LAKE)
    await app.maintain(Settings())
    assert len(maintained) == 1
    assert seconds == [900.0] * 16
    assert append_seconds(1) == append_seconds(0) == 3600


@pytest.mark.parametrize("is_broken", [False, True])
async def test_events_of_deleted_storages_expire_only_if_all_storages_are_known(
    world: World, maintained: list[CatalogPlace], monkeypatch: pytest.MonkeyPatch, *, is_broken: bool
) -> None:
    known: list[list[str] | None] = []

    async def maintain(*arguments: Any) -> int:
        living = arguments[3]
        known.append(None if living is None else sorted(settings.bucket for settings in living))
        return 0

    monkeypatch.setattr(app, "maintain_events", maintain)
    storage(world, "one", catalog=LAKE)
    storage(world, "elsewhere", catalog=LAKE | {"warehouse": "elsewhere"})
    if is_broken:
        storage(world, "broken", credentials={"secretName": "missing"})
    with pytest.raises(PlatformError) if is_broken else nullcontext():
        await app.maintain(Settings())
    assert maintained
    assert known == [None if is_broken else ["bucket-elsewhere", "bucket-one"]] * 2
