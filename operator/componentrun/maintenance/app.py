"""One round over all Storages."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from componentrun.api.storage import Storage
from componentrun.errors import ComponentRunError, PlatformError
from componentrun.process.kube import connect
from componentrun.process.resources import STORAGES
from componentrun.process.storages import read_settings
from componentrun.storage.connection import open_store
from componentrun.storage.rewriting import compact_table
from componentrun.storage.sweep import sweep
from componentrun.storage.tables import list_tables, read_table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.maintenance.settings import Settings
    from componentrun.process.kube import Kube
    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId
    from componentrun.storage.rewriting import Compacted
    from componentrun.storage.sweep import Swept

__all__ = ["maintain", "maintain_store"]

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
    failures = 0
    done: set[tuple[str, str, str]] = set()
    async with await connect(_Unobserved()) as kube:
        async for raw in _storages(kube, settings):
            title = f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
            try:
                store = open_store(await read_settings(kube, Storage.model_validate(raw)))
                place = (store.settings.base_url, store.settings.bucket, store.settings.prefix)
                if place not in done:
                    done.add(place)
                    failures += await maintain_store(store, settings, title)
            except (ComponentRunError, ValidationError) as error:
                log.error("Storage %s: %s", title, getattr(error, "message", None) or error)  # noqa: TRY400 - told in a sentence
                failures += 1
    if failures:
        raise PlatformError(
            f"{failures} steps of maintenance failed; the lines above say which. The next round tries again"
        )
    log.info("maintenance done: %d places", len(done))


async def _storages(kube: Kube, settings: Settings) -> AsyncIterator[dict[str, Any]]:
    for namespace in settings.process.namespaces or (None,):
        async for page in kube.pages(STORAGES, namespace):
            for item in page.items:
                yield item


async def maintain_store(store: Store, settings: Settings, title: str) -> int:
    """Compact a Storage's tables where that pays, and sweep it; how many steps failed. What is said goes to the log."""
    failures = 0
    for table in [table async for table in list_tables(store)]:
        try:
            await _compact(store, table, settings, title)
        except ComponentRunError as error:
            log.error("Storage %s: %s was not compacted: %s", title, table, error.message)  # noqa: TRY400 - likewise
            failures += 1
        except Exception:  # an error of ours in one table must not keep all others from being looked after
            log.exception("Storage %s: %s was not compacted", title, table)
            failures += 1
    try:
        _tell_sweep(title, await sweep(store, settings.keep, history=settings.history, hidden=True))
    except ComponentRunError as error:
        log.error("Storage %s was not swept to the end: %s", title, error.message)  # noqa: TRY400 - likewise
        failures += 1
    return failures


async def _compact(store: Store, table: TableId, settings: Settings, title: str) -> None:
    if await read_table(store, table) is None:
        return  # dropped
    done = await compact_table(store, table, segments=settings.segments, room=settings.scratch)
    if done.outcome != "notNeeded":
        _tell_compaction(title, done)


def _tell_compaction(title: str, done: Compacted) -> None:
    if done.outcome == "compacted":
        log.info(
            "Storage %s: %s compacted: %d segments became one, %d slices %d, %d bytes %d",
            *(title, done.table, done.segments, done.slices_before, done.slices_after),
            *(done.bytes_before, done.bytes_after),
        )
    elif done.outcome == "noRoom":
        log.warning(
            "Storage %s: %s has %d segments and is too large to be compacted here (%d bytes): give maintenance more "
            "local disk (maintenance.scratchMiB), or run `componentrun table compact %s` where there is more",
            *(title, done.table, done.segments, done.bytes_before, done.table),
        )
    else:
        log.info("Storage %s: %s was changed by others while it was compacted; left alone", title, done.table)


def _tell_sweep(title: str, swept: Swept) -> None:
    for run in swept.completed:
        log.warning(
            "Storage %s: run %s had switched over only some of its tables when it was deleted, or its operator was "
            "lost; they are complete now",
            *(title, run),
        )
    log.info(
        "Storage %s swept: %d data prefixes with %d objects (%d bytes), %d files, %d versions, %d documents, "
        "%s uploads, %s hidden; %d prefixes wait",
        *(title, len(swept.prefixes), swept.objects, swept.bytes, len(swept.files), swept.versions, swept.documents),
        *("?" if swept.uploads is None else swept.uploads, swept.hidden, swept.waiting),
    )
