"""One round over all Storages."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from componentrun.errors import ComponentRunError, PlatformError
from componentrun.maintenance.catalogs import maintain_catalog
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
    """Nobody scrapes a process that ends."""

    def request_done(self, method: str, code: str, host: str) -> None:
        """Nothing to do."""


async def maintain(settings: Settings) -> None:
    """Maintain all Storages. What fails in one of them keeps nobody from the others.

    Raises:
        PlatformError: something failed; the log says what.
    """
    async with await connect(_Unobserved()) as kube:
        found = await find_places(kube, settings.process.namespaces)
        failures = found.failures
        for place in found.places:
            failures += await sweep_store(place, settings)
            failures += await _maintain_events(kube, place)
        for catalog in found.catalogs:
            failures += await maintain_catalog(catalog, settings, kube)
    if failures:
        raise PlatformError(
            f"{failures} steps of maintenance failed; the lines above say which. The next round tries again"
        )
    log.info("maintenance done: %d places", len(found.places))


async def _maintain_events(kube: Kube, place: Place) -> int:
    """Delete events that have been kept for long enough; how many steps failed."""
    if place.retention is None or place.retention.endless:
        return 0
    try:
        swept = await sweep_events(place.store, place.retention, existing=await place.existing(kube))
    except ComponentRunError as error:
        log.error("Storage %s: its events were not swept to the end: %s", place.title, error.message)  # noqa: TRY400 - told in a sentence
        return 1
    except Exception:  # an error of ours in one Storage must not keep all others from being looked after
        log.exception("Storage %s: its events were not swept to the end", place.title)
        return 1
    log.info(
        "Storage %s: events of %d runs deleted: %d segments (%d bytes)",
        *(place.title, swept.runs, swept.objects, swept.bytes),
    )
    return 0


async def sweep_store(place: Place, settings: Settings) -> int:
    """Sweep the bucket of a place; how many steps failed. What was done goes to the log."""
    try:
        _tell_sweep(place.title, await sweep(place.store, settings.keep, hidden=True))
    except ComponentRunError as error:
        log.error("Storage %s was not swept to the end: %s", place.title, error.message)  # noqa: TRY400 - told in a sentence
        return 1
    except Exception:  # an error of ours in one Storage must not keep all others from being looked after
        log.exception("Storage %s was not swept to the end", place.title)
        return 1
    return 0


def _tell_sweep(title: str, swept: Swept) -> None:
    if swept.refused:
        log.info("Storage %s: whether its bucket keeps old versions was not to be learned: %s", title, swept.refused)
    log.info(
        "Storage %s swept: %d data prefixes with %d objects (%d bytes), %d files, %d documents, %s uploads, "
        "%s hidden versions; %d prefixes wait",
        *(title, len(swept.prefixes), swept.objects, swept.bytes, swept.files, swept.documents),
        *("?" if swept.uploads is None else swept.uploads, "?" if swept.hidden is None else swept.hidden),
        swept.waiting,
    )
