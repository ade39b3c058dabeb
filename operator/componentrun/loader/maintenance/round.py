"""One maintenance round over a Storage's catalog: the changed tables, and the part of the scan that is due.

A table that needs nothing costs one request. A failure in one table does not affect the others.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from componentrun.errors import ComponentRunError
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.names import from_iceberg, to_iceberg
from componentrun.loader.maintenance.changes import changed_tables, note_changes
from componentrun.loader.maintenance.choosing import RewriteLimits, may_need_rewriting
from componentrun.loader.maintenance.dropping import drop_unused, is_unused
from componentrun.loader.maintenance.expiring import delete_orphans, expire
from componentrun.loader.maintenance.history import HistoryLimits, expired_snapshots
from componentrun.loader.maintenance.rewriting import rewrite
from componentrun.loader.maintenance.scan import ScanPosition, read_position, share_of, tables_behind, write_position

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.catalog.names import IcebergName

__all__ = ["LargeTable", "Round", "RoundDone", "RoundLimits"]

log = logging.getLogger(__name__)

_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class RoundLimits:
    """Limits of a round, and when a table needs maintenance."""

    rewrite: RewriteLimits = field(default_factory=RewriteLimits)
    history: HistoryLimits = field(default_factory=HistoryLimits)
    table_bytes: int = 4 * _GIB
    """Maximum number of bytes to rewrite in one table."""
    round_bytes: int = 32 * _GIB
    """Maximum number of bytes to rewrite in all tables. In the other tables, only old snapshots are removed."""
    large_bytes: int | None = None
    """Tables of at least this size are left to another engine, and listed in `RoundDone.large`. None: none are."""
    seconds: float = 3 * 3600.0
    """Time limit of the round. The next round continues with the other tables."""


@dataclass(frozen=True, slots=True)
class LargeTable:
    """A table that needs maintenance by another engine."""

    name: IcebergName
    scans: bool
    """Whether to search for orphaned files."""


@dataclass(slots=True)
class RoundDone:
    """Results of a round."""

    tables: int = 0
    """Tables that were examined."""
    rewritten: int = 0
    """Tables with rewritten files."""
    files: int = 0
    """Files that were replaced."""
    new_files: int = 0
    """Files that replace them."""
    bytes: int = 0
    """Bytes that were rewritten."""
    snapshots: int = 0
    """Snapshots that were removed."""
    deleted: int = 0
    """Deleted files of these snapshots."""
    orphans: int = 0
    """Deleted files that no snapshot reached."""
    orphan_bytes: int = 0
    dropped: int = 0
    """Tables that were removed because they were never loaded, or because their history after a drop has expired."""
    large: list[LargeTable] = field(default_factory=list)
    failures: int = 0
    """Tables with an error; the log contains the messages."""


class Round:
    """A maintenance round over one Storage."""

    def __init__(
        self,
        catalog: Catalog,
        limits: RoundLimits,
        scratch: str,
        *,
        title: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is done until a method is called.

        Args:
            catalog: catalog of the Storage.
            limits: limits of the round.
            scratch: folder for temporary files, which are deleted at the end.
            title: name of the Storage, for the log.
            clock: returns seconds since 1970.
        """
        self._catalog, self._limits, self._scratch, self._title, self._clock = catalog, limits, scratch, title, clock
        self.done = RoundDone()

    def all_tables(self) -> RoundDone:
        """Maintain the changed tables and the next tables of the scan.

        Raises:
            ComponentRunError: the catalog or the store refused a request or does not respond. Errors of single tables
                are only logged and counted.
        """
        deadline = self._clock() + self._limits.seconds
        settings, prefix = self._catalog.settings, self._catalog.prefix
        for page in changed_tables(settings, self._clock):
            again = [
                str(table)
                for table in page
                if self._clock() >= deadline or not self._try(to_iceberg(prefix, table), scans=False)
            ]
            note_changes(settings, again)
        position = read_position(settings)
        left = share_of(position, self._clock())
        position = replace(position, at=self._clock())
        for name in tables_behind(self._catalog, position):
            if not left or self._clock() >= deadline:
                break
            if from_iceberg(prefix, *name) is not None:
                self._try(name, scans=True)
                position = replace(position, namespace=name.namespace, table=name.name, seen=position.seen + 1)
                left -= 1
        else:
            position = ScanPosition(at=position.at, total=position.seen)
        write_position(settings, position)
        return self.done

    def one_table(self, name: IcebergName, *, scans: bool) -> None:
        """Maintain one table.

        Args:
            name: name of the table in the catalog.
            scans: whether to search for orphaned files.

        Raises:
            ComponentRunError: the catalog or the store refused a request or does not respond.
        """
        table = self._catalog.find(name)
        self.done.tables += 1
        if table is None:
            return
        history = self._limits.history
        if is_unused(table, history.age, self._clock()):
            self.done.dropped += drop_unused(self._catalog, name, history.age, self._clock)
            return
        if table.properties.get(properties.STATE) == properties.NEW:
            return
        needs_rewriting = _needs_rewriting(table, self._limits.rewrite)
        if self._is_large(table):
            if needs_rewriting or scans or expired_snapshots(table.metadata, history, self._clock()):
                self.done.large.append(LargeTable(name, scans))
            return
        if needs_rewriting:
            self._rewrite(name)
        if expired_snapshots(table.metadata, history, self._clock()):
            gone = expire(self._catalog, name, history, self._scratch, self._clock)
            self.done.snapshots += gone.snapshots
            self.done.deleted += gone.files
        if scans:
            gone = delete_orphans(self._catalog, name, self._scratch, self._clock)
            self.done.orphans += gone.files
            self.done.orphan_bytes += gone.bytes

    def _is_large(self, table: Table) -> bool:
        """Whether a table is left to another engine. If its summary has no totals, it is not."""
        snapshot, least = table.metadata.current_snapshot(), self._limits.large_bytes
        if least is None or snapshot is None or snapshot.summary is None:
            return False
        return int(snapshot.summary["total-files-size"] or 0) >= least

    def _try(self, name: IcebergName, *, scans: bool) -> bool:
        """Maintain one table, and log errors; return whether it succeeded."""
        try:
            self.one_table(name, scans=scans)
        except ComponentRunError as error:
            log.error("Storage %s: table %s was not maintained: %s", self._title, name, error.message)  # noqa: TRY400 - the message suffices
        except Exception:  # a bug that one table triggers must not prevent the maintenance of the others
            log.exception("Storage %s: table %s was not maintained", self._title, name)
        else:
            return True
        self.done.failures += 1
        return False

    def _rewrite(self, name: IcebergName) -> None:
        done, limits = self.done, self._limits
        room = min(limits.table_bytes, limits.round_bytes - done.bytes)
        before = done.files
        while room > 0:
            found = rewrite(self._catalog, name, limits.rewrite, self._scratch)
            if found.outcome in {"unsupported", "tooLarge"}:
                reason = found.reason or f"files that belong together have more than {limits.rewrite.batch} bytes"
                log.info("Storage %s: table %s is not rewritten: %s", self._title, name, reason)
            if found.outcome != "rewritten":
                break
            gone, new = found.files + found.deletes, found.new_files + found.new_deletes
            log.info(
                "Storage %s: table %s: %d files (%d bytes) became %d (%d bytes)",
                *(self._title, name, gone, found.read, new, found.written),
            )
            done.files += gone
            done.new_files += new
            done.bytes += found.read
            room -= max(found.read, 1)
        done.rewritten += done.files > before


def _needs_rewriting(table: Table, limits: RewriteLimits) -> bool:
    """Whether a table's manifests must be examined: they must be if the snapshot's summary has no totals."""
    snapshot = table.metadata.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return False
    data, deletes = snapshot.summary["total-data-files"], snapshot.summary["total-delete-files"]
    return data is None or may_need_rewriting(int(data), int(deletes or 0), limits)
