"""Maintenance of one table by Spark.

    1. look       a table that no reader sees, or that is gone, is left alone
    2. rewrite    Spark's `rewrite_data_files`, then `rewrite_position_delete_files`. A file that a load has changed
                  meanwhile stays as it is: Iceberg checks that with each commit
    3. expire     Spark removes exactly the snapshots that `history` names, the same as without Spark
    4. orphans    by `expiring`: Spark's procedure would delete files that are older than the table as well

It may be killed at any moment, and may run twice at once.
"""

from __future__ import annotations

import base64
import logging
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.storage import Storage
from componentrun.errors import PlatformError, Reason
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.maintenance.expiring import delete_orphans
from componentrun.loader.maintenance.history import HistoryLimits, expired_snapshots
from componentrun.spark.session import Session
from componentrun.storage.store.keys import TableId
from componentrun.storage.store.resource import catalog_settings_of, settings_of
from componentrun.wire import spark as wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.loader.catalog.names import IcebergName
    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.spark import SparkTask

__all__ = ["maintain", "read_task", "settings_for"]

log = logging.getLogger(__name__)

_GARBAGE: Final = "gc.enabled"


def read_task(environment: Mapping[str, str]) -> SparkTask:
    """What there is to do.

    Raises:
        PlatformError: nothing was said, or it can't be read.
    """
    try:
        return wire.from_text(environment[wire.TASK_VARIABLE])
    except (KeyError, ValueError) as error:
        raise PlatformError(
            f"{wire.TASK_VARIABLE} holds no task ({error!r}); maintenance and this image are of different releases",
            Reason.INTERNAL,
        ) from error


def settings_for(task: SparkTask, store: str = wire.STORE_FOLDER, catalog: str = wire.CATALOG_FOLDER) -> StoreSettings:
    """How to reach the Storage, with the keys in these folders.

    Raises:
        UserError: a key is missing, or a value is malformed.
    """
    storage = Storage.model_validate(task.storage)
    found = settings_of(storage, _secret(store))
    return replace(found, catalog=catalog_settings_of(storage, _secret(catalog)))


def maintain(task: SparkTask, settings: StoreSettings, jars: str = wire.JARS_FOLDER) -> None:
    """Maintain the table.

    Raises:
        ComponentRunError: a part of the platform refused or is away; what was begun is ended by a later Job.
    """
    catalog = Catalog(settings)
    name = to_iceberg(catalog.prefix, TableId.parse(task.table))
    table = catalog.find(name)
    if table is None or table.properties.get(properties.STATE) in properties.ABSENT:
        log.info("table %s is not there any more", name)
        return
    with tempfile.TemporaryDirectory(prefix="spark-") as folder:
        _by_spark(catalog, name, task, Session(settings, task, sorted(map(str, Path(jars).glob("*.jar"))), folder))
    if task.scans:
        gone = delete_orphans(catalog, name, tempfile.gettempdir())
        log.info("table %s: %d orphans (%d bytes) deleted", name, gone.files, gone.bytes)


def _by_spark(catalog: Catalog, name: IcebergName, task: SparkTask, session: Session) -> None:
    try:
        done = session.rewrite(name)
        log.info(
            "table %s: %d data files (%d bytes) became %d; %d stay, as they were changed meanwhile",
            *(name, done.files, done.bytes, done.new_files, done.failed),
        )
        session.rewrite_deletes(name)
        now = catalog.find(name)
        limits = HistoryLimits(timedelta(seconds=task.history))
        expired = expired_snapshots(now.metadata, limits, time.time()) if now is not None else []
        if now is not None and expired and now.properties.get(_GARBAGE, "true").lower() != "false":
            deleted = session.expire(name, expired)
            log.info("table %s: %d snapshots with %d files removed", name, len(expired), deleted)
    finally:
        session.close()


def _secret(folder: str) -> dict[str, Any] | None:
    """The Secret that is mounted in a folder, as the API server would return it; None: none is mounted."""
    files = [file for file in Path(folder).glob("[!.]*") if file.is_file()]
    if not files:
        return None
    return {"data": {file.name: base64.b64encode(file.read_bytes()).decode() for file in files}}
