"""Maintenance of one table by Spark.

    1. look up    skip the table if it does not exist or no reader sees it
    2. rewrite    Spark's `rewrite_data_files`, then `rewrite_position_delete_files`. A file that a load changes
                  at the same time stays as it is: Iceberg checks for that in each commit
    3. expire     remove exactly the snapshots that `history` names, as without Spark
    4. orphans    delete them with `expiring`: Spark's procedure would also delete files that are older than the table

It may be killed at any moment, and may run twice at once.
"""

from __future__ import annotations

import base64
import logging
import tempfile
import time
from contextlib import closing
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
from componentrun.loader.maintenance.keeping import history_kept, leave_marks
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
_LONGEST: Final = timedelta(hours=48)
"""The longest time that a Job may take."""


def read_task(environment: Mapping[str, str]) -> SparkTask:
    """The task of this Job.

    Raises:
        PlatformError: the variable is missing or can't be parsed.
    """
    try:
        return wire.from_text(environment[wire.TASK_VARIABLE])
    except (KeyError, ValueError) as error:
        raise PlatformError(
            f"{wire.TASK_VARIABLE} holds no task ({error!r})",
            Reason.INTERNAL,
            advice="Use an image of the same release as maintenance.",
        ) from error


def settings_for(task: SparkTask, store: str = wire.STORE_FOLDER, catalog: str = wire.CATALOG_FOLDER) -> StoreSettings:
    """Settings of the Storage, with the credentials in these folders.

    Raises:
        UserError: a key is missing, or a value is malformed.
    """
    storage = Storage.model_validate(task.storage)
    settings = settings_of(storage, _secret(store))
    return replace(settings, catalog=catalog_settings_of(storage, _secret(catalog)))


def maintain(task: SparkTask, settings: StoreSettings, jars: str = wire.JARS_FOLDER) -> None:
    """Maintain the table.

    Raises:
        ComponentRunError: store, catalog or Spark failed; a later Job continues.
    """
    catalog = Catalog(settings)
    name = to_iceberg(catalog.prefix, TableId.parse(task.table))
    table = catalog.find(name)
    if table is None or table.properties.get(properties.STATE) in properties.ABSENT:
        log.info("table %s does not exist any more", name)
        return
    jar_paths = sorted(map(str, Path(jars).glob("*.jar")))
    with (
        tempfile.TemporaryDirectory(prefix="spark-") as folder,
        closing(Session(settings, task, jar_paths, folder)) as session,
    ):
        with history_kept(catalog, name, table, time.time() + _LONGEST.total_seconds()):
            _rewrite(name, session)
        # Not before `history_kept` ends: until then, no increment counts as expired.
        _expire(catalog, name, task, session)
    if task.scans:
        orphans = delete_orphans(catalog, name, tempfile.gettempdir())
        log.info("table %s: %d orphans (%d bytes) deleted", name, orphans.files, orphans.bytes)


def _rewrite(name: IcebergName, session: Session) -> None:
    result = session.rewrite(name)
    log.info(
        "table %s: %d data files (%d bytes) became %d; %d stay, because a load changed them meanwhile",
        *(name, result.files, result.bytes, result.new_files, result.failed),
    )
    session.rewrite_deletes(name)


def _expire(catalog: Catalog, name: IcebergName, task: SparkTask, session: Session) -> None:
    now = catalog.find(name)
    limits = HistoryLimits(timedelta(seconds=task.history))
    expired = expired_snapshots(now.metadata, limits, time.time()) if now is not None else []
    if now is not None and expired and now.properties.get(_GARBAGE, "true").lower() != "false":
        leave_marks(catalog, name, now, expired, time.time())
        deleted = session.expire(name, expired)
        log.info("table %s: %d snapshots with %d files removed", name, len(expired), deleted)


def _secret(folder: str) -> dict[str, Any] | None:
    """The Secret that is mounted in a folder, in the form of the API server; None if the folder is empty."""
    files = [file for file in Path(folder).glob("[!.]*") if file.is_file()]
    if not files:
        return None
    return {"data": {file.name: base64.b64encode(file.read_bytes()).decode() for file in files}}
