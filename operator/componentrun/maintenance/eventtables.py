"""The tables with the events of Storages, filled and expired by the loader's code in this process."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from typing import TYPE_CHECKING, Final

from componentrun.errors import ComponentRunError, PlatformError
from componentrun.maintenance.settings import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.loader.eventtable.daily import DailyDone
    from componentrun.maintenance.places import EventTablePlace
    from componentrun.maintenance.settings import Settings
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["append_seconds", "maintain_events"]

log = logging.getLogger(__name__)

_SCRATCH_SHARE: Final = 8
"""Local disk that a commit needs, as a multiple of its events as JSON: these, DuckDB's copies, and the new files."""
_MOST_BYTES: Final = 192 * MIB
"""Maximum size of the events of a commit as JSON. DuckDB takes twice as much memory, or spills to the disk."""
_TABLE_SECONDS: Final = 3600.0
"""Maximum time for the events of one Storage in a round. The next round continues."""
_ROUND_SECONDS: Final = 4 * 3600.0
"""Time for the events of all Storages, so that a round also comes to the tables of runs before its Job's deadline."""


def append_seconds(tables: int) -> float:
    """The time for the events of each Storage in a round with this number of them."""
    return min(_TABLE_SECONDS, _ROUND_SECONDS / max(tables, 1))


async def maintain_events(
    table: EventTablePlace, settings: Settings, seconds: float, living: Sequence[StoreSettings] | None = None
) -> int:
    """Do the daily update of a table, log what was done, and return the number of steps that failed.

    Args:
        table: the events of a place, and the catalog with the table.
        settings: settings of maintenance.
        seconds: time after which no more events are appended in this round.
        living: all Storages with a catalog, so that the events of deleted ones may expire; None: not all are known.
    """
    title = table.place.title
    try:
        done = await asyncio.to_thread(_maintain, table, settings, seconds, living)
    except ComponentRunError as error:
        log.error("Storage %s: maintenance of its table of events failed: %s", title, error.message)  # noqa: TRY400 - the message explains it
        return 1
    except Exception:  # a defect that shows in one Storage must not stop maintenance of the others
        log.exception("Storage %s: maintenance of its table of events failed", title)
        return 1
    if done is not None:
        log.info(
            "Storage %s: %d events appended to their table in %d commits%s; %d files expired, %d of them in part; "
            "%d files deleted",
            *(title, done.appended.events, done.appended.commits),
            "" if done.appended.is_complete else " (the next round continues)",
            *(done.expired.files, done.expired.replaced, done.deleted),
        )
    return 0


def _maintain(
    table: EventTablePlace, settings: Settings, seconds: float, living: Sequence[StoreSettings] | None
) -> DailyDone | None:
    try:
        from componentrun.loader.catalog.catalog import Catalog  # noqa: PLC0415 - only where there is a catalog
        from componentrun.loader.eventtable.appending import AppendLimits  # noqa: PLC0415 - likewise
        from componentrun.loader.eventtable.daily import EventSource, maintain_event_table  # noqa: PLC0415 - likewise
        from componentrun.loader.eventtable.table import origin_of  # noqa: PLC0415 - likewise
        from componentrun.loader.eventtable.writing import Origin  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise PlatformError(
            f"this image can't read catalogs ({error})", advice="Start maintenance from the loader's image."
        ) from error
    place = table.place
    namespace = next(iter(place.namespaces)) if len(place.namespaces) == 1 else None
    origin = Origin(origin_of(table.settings), namespace)
    origins = None if living is None else frozenset(map(origin_of, living))
    source = EventSource(place.store, origin, place.retention, table.is_appended, origins)
    most_bytes = min(_MOST_BYTES, settings.maintenance_scratch_mib * MIB // _SCRATCH_SHARE)
    limits = AppendLimits(bytes=most_bytes, seconds=seconds)
    return maintain_event_table(
        Catalog(table.settings), source, tempfile.gettempdir(), deletes_files=table.is_maintained, limits=limits
    )
