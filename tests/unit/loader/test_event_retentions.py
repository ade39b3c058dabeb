"""How long events are kept is recorded in their table, so that those of a deleted Storage expire, too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.table.update import SetPropertiesUpdate

from componentrun.loader.eventtable import retentions
from componentrun.loader.eventtable.expiring import Expired
from componentrun.loader.eventtable.retentions import (
    GONE_AFTER,
    Recorded,
    expire_of_gone,
    record_retention,
    recorded_retentions,
)
from componentrun.loader.eventtable.table import mark_property
from componentrun.storage.events.retention import Retention

if TYPE_CHECKING:
    from componentrun.loader.catalog.names import IcebergName

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = Retention(timedelta(days=30), {"audit": timedelta(days=90)})


class Catalog:
    """A catalog of which only the properties of the table are kept, and what would expire."""

    prefix = ""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table: Any = SimpleNamespace(properties={})
        self.expired: list[tuple[str, Retention]] = []
        self.commits = 0
        monkeypatch.setattr(retentions, "commit_update", self._commit)
        monkeypatch.setattr(retentions, "expire_events", self._expire)

    def _commit(self, _catalog: Any, _name: IcebergName, _table: Any, update: Any) -> None:
        self.commits += 1
        if isinstance(update, SetPropertiesUpdate):
            self.table.properties |= update.updates
        else:
            self.table.properties = {k: v for k, v in self.table.properties.items() if k not in update.removals}

    def _expire(self, _catalog: Any, storage: str, retention: Retention, *_: Any) -> Expired:
        self.expired.append((storage, retention))
        return Expired(2, 1)

    def record(self, storage: str, retention: Retention, at: datetime) -> None:
        catalog: Any = self
        record_retention(catalog, self.table, storage, retention, at)

    def expire(self, at: datetime, *living: str) -> Expired:
        catalog: Any = self
        return expire_of_gone(catalog, self.table, living, "", at.timestamp)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    return Catalog(monkeypatch)


@pytest.mark.parametrize("retention", [MONTH, Retention(), Retention(DAY, {"a": None})])
def test_a_retention_is_read_as_it_was_recorded(catalog: Catalog, retention: Retention) -> None:
    catalog.record("bucket/it's", retention, NOW)
    assert recorded_retentions(catalog.table.properties) == [Recorded("bucket/it's", retention, NOW)]


def test_it_is_recorded_once_a_day_and_when_it_changes(catalog: Catalog) -> None:
    for hours in (0, 1, 19, 21):
        catalog.record("bucket", MONTH, NOW + timedelta(hours=hours))
    assert catalog.commits == 2
    catalog.record("bucket", Retention(DAY), NOW + timedelta(hours=21))
    assert catalog.commits == 3


def test_events_of_a_storage_that_is_gone_expire_by_its_last_retention(catalog: Catalog) -> None:
    catalog.record("gone", MONTH, NOW)
    catalog.record("living", Retention(DAY), NOW)
    assert catalog.expire(NOW + GONE_AFTER - DAY, "living") == Expired()
    assert catalog.expire(NOW + GONE_AFTER, "living") == Expired(2, 1)
    assert catalog.expired == [("gone", MONTH)]


def test_a_storage_of_another_cluster_that_is_maintained_is_left_alone(catalog: Catalog) -> None:
    for days in range(20):
        catalog.record("elsewhere", Retention(DAY), NOW + days * DAY)
    assert catalog.expire(NOW + 20 * DAY) == Expired()


def test_its_properties_go_when_its_last_events_have_expired(catalog: Catalog) -> None:
    catalog.record("gone", MONTH, NOW)
    catalog.table.properties |= {mark_property("gone"): "{}", "other": "x"}
    catalog.expire(NOW + 91 * DAY)
    assert len(catalog.table.properties) == 3
    catalog.expire(NOW + 100 * DAY)
    assert catalog.table.properties == {"other": "x"}


@pytest.mark.parametrize("retention", [Retention(), Retention(DAY, {"a": None}), Retention(timedelta(999_999_999))])
def test_they_stay_while_events_are_kept(catalog: Catalog, retention: Retention) -> None:
    catalog.record("gone", retention, NOW)
    catalog.expire(NOW + 100_000 * DAY)
    assert len(catalog.table.properties) == 1


@pytest.mark.parametrize(
    "text",
    ["", "7", "{}", '{"storage": "gone", "keep": "1d", "components": {}, "at": "2026-01-01T00:00:00+00:00"}',
     '{"storage": "gone", "keep": 1, "components": [], "at": "2026-01-01T00:00:00+00:00"}',
     '{"storage": "gone", "keep": 1, "components": {}, "at": "2026-01-01T00:00:00"}',
     '{"storage": "gone", "keep": -1, "components": {}, "at": "2026-01-01T00:00:00+00:00"}'],
)  # fmt: skip
def test_what_can_t_be_parsed_expires_nothing(catalog: Catalog, text: str) -> None:
    catalog.table.properties = {Recorded("gone", MONTH, NOW).name: text}
    assert catalog.expire(NOW) == Expired()
    assert catalog.expired == []
