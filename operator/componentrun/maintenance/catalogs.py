"""The tables of one Storage's catalog, maintained by the loader's code in this process.

Not by a loader: a rewrite takes minutes, memory and local disk, and loads that wait for the same loader are what people
wait for. This process may be killed at any moment, a loader may not.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from typing import TYPE_CHECKING, Final

from componentrun.errors import ComponentRunError, PlatformError

if TYPE_CHECKING:
    from componentrun.loader.maintenance.round import RoundDone
    from componentrun.maintenance.places import CatalogPlace
    from componentrun.maintenance.settings import Settings

__all__ = ["maintain_catalog"]

log = logging.getLogger(__name__)

_BATCH: Final = 1024 * 2**20
"""Bytes that are read for one commit."""
_SCRATCH_SHARE: Final = 3
"""Local disk that a commit takes, in times what it reads: the files, the new one, and what DuckDB spills."""


async def maintain_catalog(place: CatalogPlace, settings: Settings) -> int:
    """Maintain the tables of a catalog; how many steps failed. What was done goes to the log."""
    try:
        done = await asyncio.to_thread(_maintain, place, settings)
    except ComponentRunError as error:
        log.error("Storage %s: its tables were not maintained to the end: %s", place.title, error.message)  # noqa: TRY400 - told in a sentence
        return 1
    except Exception:  # an error of ours in one Storage must not keep all others from being looked after
        log.exception("Storage %s: its tables were not maintained to the end", place.title)
        return 1
    log.info(
        "Storage %s: %d tables looked at, %d rewritten: %d files (%d bytes) became %d; %d snapshots with %d files "
        "removed; %d orphans (%d bytes) deleted; %d unused tables dropped; %d tables failed",
        *(place.title, done.tables, done.rewritten, done.files, done.bytes, done.new_files),
        *(done.snapshots, done.deleted, done.orphans, done.orphan_bytes, done.dropped, done.failures),
    )
    return done.failures


def _maintain(place: CatalogPlace, settings: Settings) -> RoundDone:
    try:
        from componentrun.loader.catalog import Catalog  # noqa: PLC0415 - only where there is a catalog
        from componentrun.loader.maintenance.choosing import RewriteLimits  # noqa: PLC0415 - likewise
        from componentrun.loader.maintenance.history import HistoryLimits  # noqa: PLC0415 - likewise
        from componentrun.loader.maintenance.round import Round, RoundLimits  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise PlatformError(
            f"this image can't read catalogs ({error}). Start maintenance from the loader's image"
        ) from error
    chosen = settings.tables
    batch = min(_BATCH, settings.scratch // _SCRATCH_SHARE)
    rewrite = RewriteLimits(min(chosen.target, batch), chosen.files, chosen.deleted_percent / 100, batch)
    limits = RoundLimits(rewrite, HistoryLimits(place.history), chosen.table, chosen.round)
    return Round(Catalog(place.settings), limits, tempfile.gettempdir(), title=place.title).all_tables()
