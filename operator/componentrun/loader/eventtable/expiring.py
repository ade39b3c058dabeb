"""Delete the events of the table whose retention period has ended, and the files that only old snapshots reach.

The period of an event begins at the end of its day in UTC. A file in which all events have expired is removed. If only
some Components' events have expired, it is replaced by one without them. A commit requires that the table has not
changed meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pyiceberg.typedef import Record

from componentrun.errors import Reason
from componentrun.loader.catalog.catalog import CommitUnknownError, ConflictError
from componentrun.loader.catalog.datafiles import store_file
from componentrun.loader.catalog.names import events_table
from componentrun.loader.eventtable.changing import change_files, delete_refused
from componentrun.loader.eventtable.files import FIRST_DAY, EventFiles, files_of, parquet_table
from componentrun.loader.eventtable.table import COLUMNS, need_day_partitions
from componentrun.loader.eventtable.writing import copy_statement
from componentrun.loader.loading.rows import written_of
from componentrun.loader.maintenance.expiring import delete_orphans, expire
from componentrun.loader.maintenance.history import LEAST_HISTORY, HistoryLimits
from componentrun.loader.reading.duck import connected, interruptibly, prepare
from componentrun.sql.scan import scan_of
from componentrun.sql.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import duckdb
    from pyiceberg.manifest import DataFile, ManifestEntry
    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.storage.events.retention import Retention
    from componentrun.wire.parquet import ParquetTable

__all__ = ["Expired", "delete_unreached", "expire_events"]

_MOST_FILES: Final = 50
"""Number of files that one commit removes or replaces."""
_MOST_CONFLICTS: Final = 20
_DAY: Final = timedelta(days=1)
_DELETED: Final = "deleted"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HISTORY: Final = HistoryLimits(LEAST_HISTORY, 1)
"""Old snapshots are kept only for queries in progress, so that expired events are soon deleted."""


@dataclass(slots=True)
class Expired:
    """What was deleted."""

    files: int = 0
    """Files that were removed or replaced."""
    replaced: int = 0
    """Files among them that were replaced by a smaller one."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one commit changes."""

    deletes: tuple[ManifestEntry, ...]
    """Files with positions of deleted rows."""
    whole: list[ManifestEntry] = field(default_factory=list)
    """Files in which all events have expired."""
    partial: list[tuple[ManifestEntry, set[str]]] = field(default_factory=list)
    """Other files, each with the Components whose events have expired."""


def expire_events(
    catalog: Catalog, storage: str, retention: Retention, scratch: str, clock: Callable[[], float] = time.time
) -> Expired:
    """Delete expired events of one Storage. Idempotent.

    Args:
        catalog: catalog of the Storage.
        storage: bucket and prefix of the Storage (`table.origin_of`).
        retention: how long events are kept.
        scratch: folder for temporary files, which are deleted at the end.
        clock: returns seconds since 1970.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond, or other writers changed the
            table all the time.
    """
    done, name = Expired(), events_table(catalog.prefix)
    if retention.endless:
        return done
    work = _Work(catalog, storage, retention, scratch, datetime.fromtimestamp(clock(), UTC))
    conflicts = 0
    while (table := catalog.find(name)) is not None:
        need_day_partitions(table)
        plan = work.plan(table)
        if not plan.whole and not plan.partial:
            break
        if work.carry_out(table, plan):
            done.files += len(plan.whole) + len(plan.partial)
            done.replaced += len(plan.partial)
            continue
        conflicts += 1
        if conflicts == _MOST_CONFLICTS:
            raise ConflictError(f"the table `{name}` is changed by others all the time", Reason.PUBLISH_FAILED)
    return done


def delete_unreached(catalog: Catalog, scratch: str, clock: Callable[[], float] = time.time) -> int:
    """Delete files that only snapshots older than a day reach, and orphaned files; return their number.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond.
    """
    name = events_table(catalog.prefix)
    expired = expire(catalog, name, _HISTORY, scratch, clock)
    return expired.files + delete_orphans(catalog, name, scratch, clock).files


class _Work:
    def __init__(self, catalog: Catalog, storage: str, retention: Retention, scratch: str, now: datetime) -> None:
        self._catalog, self._storage, self._retention = catalog, storage, retention
        self._scratch, self._now = scratch, now
        self._owners: dict[str, set[tuple[str, str]]] = {}
        """Storage and component of the events in each file, by its path. Files do not change."""

    def plan(self, table: Table) -> _Plan:
        """The next files with expired events."""
        files = files_of(self._catalog, table, range(FIRST_DAY, self._first_kept_day()))
        plan = _Plan(files.deletes)
        self._read_owners(table, files)
        for entry in files.data:
            owners = self._owners[entry.data_file.file_path]
            expired = {owner for owner in owners if self._has_expired(entry, *owner)}
            if expired == owners:  # neither has any, if another program has deleted all rows
                plan.whole.append(entry)
            elif expired:
                plan.partial.append((entry, {component for _, component in expired}))
            if len(plan.whole) + len(plan.partial) == _MOST_FILES:
                break
        return plan

    def carry_out(self, table: Table, plan: _Plan) -> bool:
        """Commit a plan; return False if the table has changed, or may have."""
        gone = [*plan.whole, *(entry for entry, _ in plan.partial)]
        with tempfile.TemporaryDirectory(prefix="events-", dir=self._scratch) as folder:
            added = [
                file
                for entry, components in plan.partial
                if (file := self._without(table, EventFiles((entry,), plan.deletes), components, folder)) is not None
            ]
        try:
            removed = frozenset(entry.data_file.file_path for entry in gone)
            self._catalog.commit([change_files(table, added, removed)])
        except ConflictError:
            delete_refused(self._catalog, added)
            return False
        except CommitUnknownError:  # the next look shows whether it was applied
            return False
        return True

    def _first_kept_day(self) -> int:
        """The first day of which no event can have expired."""
        periods = [self._retention.of(name) for name in ("", *self._retention.components)]
        least = min(keep for keep in periods if keep is not None)
        return (self._now - _EPOCH - least) // _DAY

    def _has_expired(self, entry: ManifestEntry, storage: str, component: str) -> bool:
        keep = self._retention.of(component)
        if storage != self._storage or keep is None:
            return False
        # Periods are compared, since a retention may reach beyond the first possible date.
        return self._now - (_EPOCH + (int(entry.data_file.partition[0]) + 1) * _DAY) >= keep

    def _read_owners(self, table: Table, files: EventFiles) -> None:
        """Read which Storages and Components have events in files that were not read before."""
        unread = EventFiles(
            tuple(entry for entry in files.data if entry.data_file.file_path not in self._owners), files.deletes
        )
        if not unread.data:
            return
        columns = ("storage", "component")
        stored = parquet_table(self._catalog, table, unread, columns)
        rows = scan_of(stored, columns, _DELETED, as_text=False, position=True)
        places = {column.name: place for place, column in enumerate(stored.columns)}
        query = f"SELECT DISTINCT file, c{places['storage']}, c{places['component']} FROM ({rows})"  # noqa: S608 - made here
        owners: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for place, storage, component in self._ask(stored, query):
            owners[stored.files[place].path].add((storage, component))
        for entry in unread.data:
            self._owners[entry.data_file.file_path] = owners[entry.data_file.file_path]

    def _without(self, table: Table, files: EventFiles, components: Iterable[str], folder: str) -> DataFile | None:
        """Write a file again without the events of some Components of this Storage; None if no event is left."""
        stored, day = parquet_table(self._catalog, table, files), files.data[0].data_file.partition[0]
        listed = ", ".join(quoted(component) for component in sorted(components))
        chosen = ", ".join(f"c{place} AS {name}" for place, name in enumerate(COLUMNS))
        rows = f"SELECT {chosen} FROM ({scan_of(stored, COLUMNS, _DELETED, as_text=False)})"  # noqa: S608 - made here
        query = f"FROM ({rows}) WHERE NOT (storage = {quoted(self._storage)} AND component IN ({listed}))"
        written = written_of(self._ask(stored, copy_statement(query, table.schema(), f"{folder}/kept.parquet")))
        return store_file(table, written, partition=Record(day)) if written is not None else None

    def _ask(self, stored: ParquetTable, query: str) -> list[Any]:
        """Execute a query over files."""
        name = str(events_table(self._catalog.prefix))

        def ask(connection: duckdb.DuckDBPyConnection) -> list[Any]:
            prepare(connection, name, stored, _DELETED)
            return connection.execute(query).fetchall()

        with (
            tempfile.TemporaryDirectory(prefix="events-", dir=self._scratch) as folder,
            connected(folder, self._catalog.settings) as connection,
        ):
            return interruptibly(connection, lambda: ask(connection))
