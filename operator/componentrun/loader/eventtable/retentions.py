"""The retention of each Storage with events in the table, kept in the table itself, and Storages that are gone.

A Storage that was deleted has no settings any more, so nobody would delete its events. Its last retention is a property
of the table. The daily update of any Storage of the catalog applies it when the deleted one has not been updated for
some days. The Storage may be in another cluster, whose maintenance updates the property.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pyiceberg.table.update import RemovePropertiesUpdate, SetPropertiesUpdate

from componentrun.loader.catalog import properties
from componentrun.loader.catalog.names import events_table
from componentrun.loader.eventtable.expiring import Expired, expire_events
from componentrun.loader.eventtable.table import digest_of, mark_property
from componentrun.loader.maintenance.keeping import commit_update
from componentrun.storage.events.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog

__all__ = ["GONE_AFTER", "Recorded", "expire_of_gone", "record_retention", "recorded_retentions"]

GONE_AFTER: Final = timedelta(days=7)
"""A Storage whose retention was not recorded for so long is gone: it was deleted, or its maintenance has ended."""
_REFRESH_AFTER: Final = timedelta(hours=20)
"""An unchanged retention is recorded again after this time, once a day."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The last known retention of a Storage."""

    storage: str
    """Its bucket and prefix (`table.origin_of`)."""
    retention: Retention
    at: datetime
    """When it was recorded."""

    @property
    def name(self) -> str:
        """Name of its property."""
        return f"{properties.EVENTS_RETENTION}.{digest_of(self.storage)}"

    def text(self) -> str:
        """The value of the property."""
        return json.dumps({
            "storage": self.storage,
            "keep": _seconds(self.retention.keep),
            "components": {name: _seconds(keep) for name, keep in sorted(self.retention.components.items())},
            "at": self.at.isoformat(),
        })  # fmt: skip

    def all_expired_at(self) -> datetime | None:
        """When its last events have expired; None if some never do."""
        periods = [self.retention.of(name) for name in ("", *self.retention.components)]
        known = [period for period in periods if period is not None]
        if len(known) < len(periods):
            return None
        try:
            return self.at + GONE_AFTER + max(known) + 2 * _DAY
        except OverflowError:
            return None


def recorded_retentions(of: Mapping[str, str]) -> list[Recorded]:
    """The retentions in a table's properties. Values that can't be parsed are left out: their events are kept."""
    texts = [text for name, text in sorted(of.items()) if name.startswith(f"{properties.EVENTS_RETENTION}.")]
    return [recorded for text in texts if (recorded := _parsed(text)) is not None]


def record_retention(catalog: Catalog, table: Table, storage: str, retention: Retention, now: datetime) -> None:
    """Record how long the events of a Storage are kept, unless that was done today.

    Raises:
        ComponentRunError: the catalog refused a request or does not respond.
    """
    new = Recorded(storage, retention, now)
    known = _parsed(table.properties.get(new.name, ""))
    if known is not None and known.retention == retention and abs(now - known.at) < _REFRESH_AFTER:
        return
    commit_update(catalog, events_table(catalog.prefix), table, SetPropertiesUpdate(updates={new.name: new.text()}))


def expire_of_gone(
    catalog: Catalog, table: Table, living: Collection[str], scratch: str, clock: Callable[[], float]
) -> Expired:
    """Delete expired events of Storages that are gone, by their last retention. Idempotent.

    Args:
        catalog: catalog of the table.
        table: the table.
        living: Storages that exist, whose events are left alone.
        scratch: folder for temporary files, which are deleted at the end.
        clock: returns seconds since 1970.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    done = Expired()
    for gone in recorded_retentions(table.properties):
        now = datetime.fromtimestamp(clock(), gone.at.tzinfo)
        if gone.storage in living or now - gone.at < GONE_AFTER:
            continue
        expired = expire_events(catalog, gone.storage, gone.retention, scratch, clock)
        done.files += expired.files
        done.replaced += expired.replaced
        last = gone.all_expired_at()
        if last is not None and now >= last:
            removals = [name for name in (gone.name, mark_property(gone.storage)) if name in table.properties]
            commit_update(catalog, events_table(catalog.prefix), table, RemovePropertiesUpdate(removals=removals))
    return done


def _parsed(text: str) -> Recorded | None:
    try:
        value = json.loads(text)
        components = {str(name): _time(keep) for name, keep in value["components"].items()}
        at = datetime.fromisoformat(value["at"])
        if at.tzinfo is None:
            return None
        return Recorded(str(value["storage"]), Retention(_time(value["keep"]), components), at)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def _seconds(keep: timedelta | None) -> int | None:
    return None if keep is None else int(keep.total_seconds())


def _time(seconds: object) -> timedelta | None:
    """A period. Raises ValueError for anything but a number of seconds, which would be kept forever otherwise."""
    if seconds is None:
        return None
    if not isinstance(seconds, int) or seconds < 0:
        raise ValueError(f"{seconds!r} is not a number of seconds")
    return timedelta(seconds=seconds)
