"""The tables of one Storage's catalog, maintained by the loader's code in this process.

A loader does not do this, because a rewrite takes minutes, memory and local disk, and would delay loads that users
wait for. This process may be killed at any moment, a loader may not.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from typing import TYPE_CHECKING, Final

from componentrun.api.common import quantity_value
from componentrun.errors import ComponentRunError, PlatformError
from componentrun.maintenance import sparkjobs
from componentrun.maintenance.settings import MIB
from componentrun.maintenance.sparkjobs import SparkJobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.loader.maintenance.round import RoundDone
    from componentrun.maintenance.places import CatalogPlace
    from componentrun.maintenance.settings import Settings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["maintain_catalog"]

log = logging.getLogger(__name__)

_BATCH: Final = 1024 * 2**20
"""Maximum bytes that one commit reads."""
_SCRATCH_SHARE: Final = 3
"""Local disk that a commit needs, as a multiple of what it reads: old files, the new one, and DuckDB's spill files."""


async def maintain_catalog(place: CatalogPlace, settings: Settings, kube: Kube | None = None) -> int:
    """Maintain the tables of a catalog, log what was done, and return the number of steps that failed.

    Args:
        place: the catalog.
        settings: settings of maintenance.
        kube: creates Spark Jobs; without it, this process maintains tables of all sizes.
    """
    try:
        jobs = _jobs(place, settings, kube)
        failed = await jobs.failed() if jobs is not None else []
        done = await asyncio.to_thread(_maintain, place, settings, spark=jobs is not None)
        large = _table_ids(place, done)
        later = await jobs.start(large) if jobs is not None else []
        await asyncio.to_thread(_mark_for_next_round, place, [*failed, *later])
    except ComponentRunError as error:
        log.error("Storage %s: its tables were not maintained to the end: %s", place.title, error.message)  # noqa: TRY400 - the message explains it
        return 1
    except Exception:  # a defect that shows in one Storage must not stop maintenance of the others
        log.exception("Storage %s: its tables were not maintained to the end", place.title)
        return 1
    log.info(
        "Storage %s: %d tables looked at, %d rewritten: %d files (%d bytes) became %d; %d snapshots with %d files "
        "removed; %d orphans (%d bytes) deleted; %d unused tables dropped; %d tables are for Spark, %d of them later; "
        "%d tables failed",
        *(place.title, done.tables, done.rewritten, done.files, done.bytes, done.new_files),
        *(
            done.snapshots,
            done.deleted,
            done.orphans,
            done.orphan_bytes,
            done.dropped,
            len(large),
            len(later),
            done.failures,
        ),
    )
    return done.failures + len(failed)


def _jobs(place: CatalogPlace, settings: Settings, kube: Kube | None) -> SparkJobs | None:
    """The Spark Jobs of a Storage; None if it does not use Spark, or Jobs must not be created."""
    if place.spark is None or kube is None:
        return None
    if not settings.maintenance_spark_image:
        log.error(
            "Storage %s: its maintenance engine is `Spark`, but maintenance may not create Jobs; large tables are "
            "maintained as with `Builtin`. Set `maintenance.spark.enabled` in the chart's values",
            place.title,
        )
        return None
    image = sparkjobs.settings_of(place.spark).image or settings.maintenance_spark_image
    return SparkJobs(kube, place, place.spark, settings, image)


def _table_ids(place: CatalogPlace, done: RoundDone) -> list[tuple[str, bool]]:
    """Ids of the tables that Spark maintains, each with whether to look for orphan files. Others have no id."""
    from componentrun.loader.catalog.names import from_iceberg  # noqa: PLC0415 - only where there is a catalog

    catalog = place.settings.catalog
    prefix = catalog.namespace_prefix if catalog is not None else ""
    found = ((from_iceberg(prefix, *large.name), large.scans) for large in done.large)
    return [(str(table), scans) for table, scans in found if table is not None]


def _mark_for_next_round(place: CatalogPlace, tables: Sequence[str]) -> None:
    """Mark tables for the next round."""
    from componentrun.loader.maintenance.changes import note_changes  # noqa: PLC0415 - likewise

    note_changes(place.settings, tables)


def _maintain(place: CatalogPlace, settings: Settings, *, spark: bool = False) -> RoundDone:
    try:
        from componentrun.loader.catalog.catalog import Catalog  # noqa: PLC0415 - only where there is a catalog
        from componentrun.loader.maintenance.choosing import RewriteLimits  # noqa: PLC0415 - likewise
        from componentrun.loader.maintenance.history import HistoryLimits  # noqa: PLC0415 - likewise
        from componentrun.loader.maintenance.round import Round, RoundLimits  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise PlatformError(
            f"this image can't read catalogs ({error})", advice="Start maintenance from the loader's image."
        ) from error
    batch = min(_BATCH, settings.maintenance_scratch_mib * MIB // _SCRATCH_SHARE)
    rewrite = RewriteLimits(
        target=min(settings.maintenance_tables_file_mib * MIB, batch),
        files=settings.maintenance_tables_files,
        deleted=settings.maintenance_tables_deleted_percent / 100,
        batch=batch,
    )
    large = None
    if spark and place.spark is not None:
        large = int(quantity_value(sparkjobs.settings_of(place.spark).table_size_threshold))
    limits = RoundLimits(
        rewrite,
        HistoryLimits(place.history),
        table_bytes=settings.maintenance_tables_table_mib * MIB,
        round_bytes=settings.maintenance_tables_round_mib * MIB,
        large_bytes=large,
    )
    return Round(Catalog(place.settings), limits, tempfile.gettempdir(), title=place.title).all_tables()
