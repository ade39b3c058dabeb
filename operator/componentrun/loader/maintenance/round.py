"""One round over the tables of a Storage's catalog: those that have changed, and the share of all that is due.

A table that does not need anything costs one request. What fails in one table keeps nobody from the others.
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
    """What a round does at most, and when a table needs something."""

    rewrite: RewriteLimits = field(default_factory=RewriteLimits)
    history: HistoryLimits = field(default_factory=HistoryLimits)
    table_bytes: int = 4 * _GIB
    """Bytes that are rewritten of one table."""
    round_bytes: int = 32 * _GIB
    """Bytes that are rewritten of all tables; then the others are only rid of old snapshots."""
    large_bytes: int | None = None
    """Tables of this size are left to another engine: they are `RoundDone.large`. None: none are."""
    seconds: float = 3 * 3600.0
    """When it ends, even if there are more tables; the next round goes on."""


@dataclass(frozen=True, slots=True)
class LargeTable:
    """A table that needs something, and is left to another engine."""

    name: IcebergName
    scans: bool
    """Whether files are to be looked for that nothing reaches."""


@dataclass(slots=True)
class RoundDone:
    """What a round did."""

    tables: int = 0
    """That were looked at."""
    rewritten: int = 0
    """Tables of which files were rewritten."""
    files: int = 0
    """Files that were replaced."""
    new_files: int = 0
    """Files that stand in their place."""
    bytes: int = 0
    """Bytes that were rewritten."""
    snapshots: int = 0
    """That were removed."""
    deleted: int = 0
    """Files that only these reached."""
    orphans: int = 0
    """Files that nothing reached."""
    orphan_bytes: int = 0
    dropped: int = 0
    """Tables that never were loaded, or were dropped longer ago than the history is kept."""
    large: list[LargeTable] = field(default_factory=list)
    failures: int = 0
    """Tables at which something failed; the log says what."""


class Round:
    """One round over one Storage."""

    def __init__(
        self,
        catalog: Catalog,
        limits: RoundLimits,
        scratch: str,
        *,
        title: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is sent yet.

        Args:
            catalog: of the Storage.
            limits: what is done at most.
            scratch: a folder for files; they are deleted at the end.
            title: the Storage, for the log.
            clock: seconds since 1970.
        """
        self._catalog, self._limits, self._scratch, self._title, self._clock = catalog, limits, scratch, title, clock
        self.done = RoundDone()

    def all_tables(self) -> RoundDone:
        """Maintain the tables that have changed, and those whose turn it is in the scan.

        Raises:
            ComponentRunError: the catalog or the store refused or is away, at other things than one table.
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
        """Do what one table needs.

        Args:
            name: in the catalog.
            scans: whether files are looked for that nothing reaches.

        Raises:
            ComponentRunError: a part of the platform refused or is away.
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
        """Engines that say no totals have tables of any size; those are looked at here."""
        snapshot, least = table.metadata.current_snapshot(), self._limits.large_bytes
        if least is None or snapshot is None or snapshot.summary is None:
            return False
        return int(snapshot.summary["total-files-size"] or 0) >= least

    def _try(self, name: IcebergName, *, scans: bool) -> bool:
        """Whether nothing failed."""
        try:
            self.one_table(name, scans=scans)
        except ComponentRunError as error:
            log.error("Storage %s: table %s was not maintained: %s", self._title, name, error.message)  # noqa: TRY400 - told in a sentence
        except Exception:  # an error of ours in one table must not keep all others from being looked after
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
    """Whether its manifests are to be looked at; engines that say no totals leave that open."""
    snapshot = table.metadata.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return False
    data, deletes = snapshot.summary["total-data-files"], snapshot.summary["total-delete-files"]
    return data is None or may_need_rewriting(int(data), int(deletes or 0), limits)
