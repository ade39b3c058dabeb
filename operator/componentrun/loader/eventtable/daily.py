"""The daily update for the events of one Storage: append, expire, and record up to when the table is complete.

It also expires the events of Storages that are gone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pyiceberg.table.update import SetPropertiesUpdate

from componentrun.errors import ComponentRunError
from componentrun.loader.catalog.names import events_table
from componentrun.loader.eventtable.appending import Appended, AppendLimits, Period, append_events
from componentrun.loader.eventtable.expiring import Expired, delete_unreached, expire_events
from componentrun.loader.eventtable.retentions import expire_of_gone, record_retention
from componentrun.loader.eventtable.table import Mark, mark_property, open_events, read_mark, write_mark
from componentrun.loader.maintenance.keeping import commit_update

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.eventtable.writing import Origin
    from componentrun.storage.events.retention import Retention
    from componentrun.storage.store.connection import Store

__all__ = ["DailyDone", "EventSource", "maintain_event_table"]

_SKEW: Final = timedelta(hours=1)
"""Tolerance for the clocks of the machines on which maintenance runs."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """The events of one Storage."""

    store: Store
    origin: Origin
    retention: Retention | None
    """How long events are kept; None: it is not known, so none expire."""
    is_appended: bool = True
    """Whether events are appended. If not, those that are in the table expire."""
    living: frozenset[str] | None = None
    """The bucket and prefix of each Storage that exists: events of others may expire as well. None: not all are known,
    so only the events of this Storage expire."""


@dataclass(frozen=True, slots=True)
class DailyDone:
    """What an update did."""

    appended: Appended = field(default_factory=Appended)
    expired: Expired = field(default_factory=Expired)
    deleted: int = 0
    """Files of old snapshots, and orphans, that were deleted."""


def maintain_event_table(
    catalog: Catalog,
    source: EventSource,
    scratch: str,
    *,
    deletes_files: bool = True,
    limits: AppendLimits | None = None,
    clock: Callable[[], float] = time.time,
) -> DailyDone | None:
    """Do the update of this day (UTC) unless it is done. May be killed at any moment, and repeated.

    Args:
        catalog: catalog of the Storage.
        source: the events.
        scratch: folder for temporary files, which are deleted at the end.
        deletes_files: whether to delete files that only old snapshots reach. False: another engine does.
        limits: how much is appended in one commit, and in which time.
        clock: returns seconds since 1970.

    Returns:
        What was done; None: the update of this day was already done, or there is no table and nothing to append.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond; a later call continues.
    """
    storage = source.origin.storage
    if not source.is_appended and catalog.find(events_table(catalog.prefix)) is None:
        return None
    now = datetime.fromtimestamp(clock(), UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    table = open_events(catalog)
    mark = read_mark(table, storage)
    if mark is not None and mark.at > now + _SKEW:
        # It was written with a wrong clock, and would leave out runs that ended since.
        mark = None
    if source.is_appended and mark is not None and mark.until >= today:
        return None
    if source.retention is not None:
        record_retention(catalog, table, storage, source.retention, now)
    appended = Appended()
    failure: ComponentRunError | None = None
    if source.is_appended:
        period = Period(today, mark)
        try:
            appended = append_events(catalog, source.store, source.origin, scratch, period, limits or AppendLimits())
        except ComponentRunError as error:
            failure = error  # events expire all the same
    expired = _expire(catalog, table, source, scratch, clock)
    deleted = delete_unreached(catalog, scratch, clock) if deletes_files else 0
    if failure is not None:
        raise failure
    if appended.is_complete:
        _commit_mark(catalog, storage, Mark(today, now))
    return DailyDone(appended, expired, deleted)


def _expire(catalog: Catalog, table: Table, source: EventSource, scratch: str, clock: Callable[[], float]) -> Expired:
    """Delete expired events of a Storage, and of Storages that are gone."""
    storage, expired = source.origin.storage, Expired()
    if source.retention is not None:
        expired = expire_events(catalog, storage, source.retention, scratch, clock)
    if source.living is not None:
        of_gone = expire_of_gone(catalog, table, source.living | {storage}, scratch, clock)
        expired = Expired(expired.files + of_gone.files, expired.replaced + of_gone.replaced)
    return expired


def _commit_mark(catalog: Catalog, storage: str, mark: Mark) -> None:
    update = SetPropertiesUpdate(updates={mark_property(storage): write_mark(mark)})
    commit_update(catalog, events_table(catalog.prefix), open_events(catalog), update)
