"""One round over all Storages."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from componentrun.errors import ComponentRunError, PlatformError
from componentrun.maintenance.catalogs import maintain_catalog
from componentrun.maintenance.eventtables import append_seconds, maintain_events
from componentrun.maintenance.places import find_places
from componentrun.process.kubernetes.client import connect
from componentrun.storage.cleanup.sweep import sweep
from componentrun.storage.events.sweep import sweep_events

if TYPE_CHECKING:
    from componentrun.maintenance.places import Place
    from componentrun.maintenance.settings import Settings
    from componentrun.process.kubernetes.client import Kube
    from componentrun.storage.cleanup.sweep import Swept

__all__ = ["maintain", "sweep_store"]

log = logging.getLogger(__name__)


class _Unobserved:
    """No metrics: this process ends before anything could scrape it."""

    def request_done(self, method: str, code: str, host: str) -> None:
        """Count nothing."""


async def maintain(settings: Settings) -> None:
    """Maintain all Storages. A failure in one of them does not affect the others.

    Raises:
        PlatformError: a step failed; the log says which.
    """
    async with await connect(_Unobserved()) as kube:
        found = await find_places(kube, settings.namespaces)
        failures = found.failures
        for place in found.places:
            failures += await sweep_store(place, settings)
            failures += await _sweep_events(kube, place)
        seconds = append_seconds(len(found.event_tables))
        for table in found.event_tables:
            failures += await maintain_events(table, settings, seconds, found.living)
        for catalog in found.catalogs:
            failures += await maintain_catalog(catalog, settings, kube)
    if failures:
        raise PlatformError(
            f"{failures} steps of maintenance failed",
            advice="The log lines above say which; the next round tries again.",
        )
    log.info("maintenance done: %d places", len(found.places))


async def _sweep_events(kube: Kube, place: Place) -> int:
    """Delete events whose retention has expired. Return the number of steps that failed."""
    if place.retention is None or place.retention.endless:
        return 0
    try:
        swept = await sweep_events(place.store, place.retention, existing=await place.existing(kube))
    except ComponentRunError as error:
        log.error("Storage %s: its events were not swept to the end: %s", place.title, error.message)  # noqa: TRY400 - the message explains it
        return 1
    except Exception:  # a defect that shows in one Storage must not stop maintenance of the others
        log.exception("Storage %s: its events were not swept to the end", place.title)
        return 1
    log.info(
        "Storage %s: events of %d runs deleted: %d segments (%d bytes)",
        *(place.title, swept.runs, swept.objects, swept.bytes),
    )
    return 0


async def sweep_store(place: Place, settings: Settings) -> int:
    """Sweep the bucket of a place, log what was deleted, and return the number of steps that failed."""
    keep = timedelta(seconds=settings.maintenance_keep_seconds)
    try:
        _log_sweep(place.title, await sweep(place.store, keep, hidden=True))
    except ComponentRunError as error:
        log.error("Storage %s was not swept to the end: %s", place.title, error.message)  # noqa: TRY400 - the message explains it
        return 1
    except Exception:  # a defect that shows in one Storage must not stop maintenance of the others
        log.exception("Storage %s was not swept to the end", place.title)
        return 1
    return 0


def _log_sweep(title: str, swept: Swept) -> None:
    if swept.refused:
        log.info("Storage %s: cannot find out whether its bucket keeps old versions: %s", title, swept.refused)
    log.info(
        "Storage %s swept: %d data prefixes with %d objects (%d bytes), %d files, %d documents, %s uploads, "
        "%s hidden versions; %d prefixes wait",
        *(title, len(swept.prefixes), swept.objects, swept.bytes, swept.files, swept.documents),
        *("?" if swept.uploads is None else swept.uploads, "?" if swept.hidden is None else swept.hidden),
        swept.waiting,
    )
