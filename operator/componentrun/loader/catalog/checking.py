"""Check whether a catalog supports what runs need, by using it as a run would.

Each check creates its own namespace below the Storage's prefix, so that concurrent checks do not affect each other. At
its end, the check drops its tables and deletes its files, even if a step failed. If a check was killed, a later one
removes what it left. No table id maps to such a namespace (`names`), so these tables can't be mistaken for real ones.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pyiceberg.schema import Schema
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update import AssertRefSnapshotId, AssertTableUUID
from pyiceberg.types import NestedField, StringType

from componentrun.errors import ComponentRunError, Reason, TransientError
from componentrun.loader.catalog.catalog import Catalog, ConflictError, Limits, NonAtomicError
from componentrun.loader.catalog.fileio import LakeFiles
from componentrun.loader.catalog.names import IcebergName
from componentrun.loader.catalog.snapshots import NewSnapshot, change_of
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.probing import EXPIRES, fetch
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.settings import StoreTimeouts
from componentrun.wire.loader import CatalogCheck, CatalogReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import TableChange
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["check_catalog"]

log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 8.0
"""Timeout of each request. A catalog that needs longer for an empty table is too slow for runs."""
_TRIES_SECONDS: Final = 45.0
"""Time limit of all steps before the cleanup."""
_CLEANING_SECONDS: Final = 10.0
"""Time limit of the cleanup. Together with the steps, a slow catalog blocks a thread for at most a minute."""
_STORE: Final = StoreTimeouts(response=_ANSWER_SECONDS, request=2 * _ANSWER_SECONDS)
_LEFT_AFTER: Final = timedelta(hours=1)
"""Age from which a check's namespace is considered left over from a check that was killed."""
_NAMESPACE: Final = "componentrun_check_"
_STAMP: Final = "%Y%m%d%H%M%S"
_LEFT: Final = re.compile(rf"{_NAMESPACE}(\d{{14}})_[0-9a-f]{{8}}")
_SCHEMA: Final = Schema(NestedField(1, "id", StringType(), required=False))
_CONTENT: Final = b"componentrun"
_PARTIAL: Final = 206
_RIGHTS: Final = "let the catalog's client create, change, list and drop namespaces and tables"
_ANOTHER: Final = "use a catalog that keeps to the Iceberg REST specification, or update this one"


class _FoundError(Exception):
    """A check found a problem."""

    def __init__(self, reason: CatalogReason, detail: str, hint: str, *, serious: bool = True) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.hint, self.serious = reason, detail, hint, serious


def check_catalog(settings: StoreSettings) -> tuple[CatalogCheck, ...]:
    """Check everything that runs need from a Storage's catalog. Blocks for at most a minute.

    Raises:
        PlatformError: (Internal) the Storage has no catalog.
    """
    checks: list[CatalogCheck] = []
    connection = _Connection(settings)
    checks.append(_attempt("connect", connection.open, "correct `spec.catalog` of the Storage, or its Secret"))
    if connection.catalog is None:
        return tuple(checks)
    trial = _Trial(connection.catalog)
    steps: tuple[tuple[str, Callable[[], str], str], ...] = (
        ("create tables", trial.creates, _RIGHTS),
        ("read and write files", trial.reads_and_writes, _files_hint(settings)),
        ("commit several tables at once", trial.commits, _ANOTHER),
        ("refuse stale commits", trial.refuses_stale_commits, _ANOTHER),
    )
    try:
        for name, step, hint in steps:
            checks.append(_attempt(name, step, hint))
            if not checks[-1].ok and checks[-1].serious:
                break
    finally:
        # What can't be removed in time is left to a later check.
        connection.catalog.end_by(time.monotonic() + _CLEANING_SECONDS)
        checks.append(_attempt("clean up", trial.cleans_up, _RIGHTS, serious=False))
    return tuple(checks)


def _attempt(name: str, step: Callable[[], str], hint: str, *, serious: bool = True) -> CatalogCheck:
    try:
        return CatalogCheck(name, ok=True, detail=step())
    except _FoundError as error:
        return CatalogCheck(name, False, error.detail, error.hint, error.reason, serious and error.serious)
    except ComponentRunError as error:
        return CatalogCheck(name, False, error.message, hint, _reason_of(error), serious)


def _reason_of(error: ComponentRunError) -> CatalogReason:
    if error.reason == Reason.STORAGE_ACCESS_DENIED:
        return CatalogReason.ACCESS_DENIED
    if error.reason == Reason.STORAGE_UNAVAILABLE or isinstance(error, TransientError):
        return CatalogReason.UNAVAILABLE
    return CatalogReason.UNFIT


def _files_hint(settings: StoreSettings) -> str:
    keys = "the Storage's keys" if settings.access_key else "the identity of the operator and the loader"
    return f"let {keys} read, write and delete where the catalog keeps the files of its tables"


class _Connection:
    """The connection to the catalog, once it is open."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self.catalog: Catalog | None = None
        """None: the connection could not be opened."""

    def open(self) -> str:
        """Check that the catalog responds and accepts the credentials."""
        ends_at = time.monotonic() + _TRIES_SECONDS
        catalog = Catalog(self._settings, Limits(_ANSWER_SECONDS, _ANSWER_SECONDS, ends_at, _STORE))
        namespaces = catalog.namespaces()
        self.catalog = catalog
        _take_away_left(catalog, namespaces, datetime.now(UTC))
        return f"it answers, and lists {len(namespaces)} namespaces"


class _Recorded(LakeFiles):
    """Records which files are written."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__({LakeFiles.STORE: catalog.settings, LakeFiles.CLIENTS: catalog.clients})
        self.written: set[str] = set()

    def write(self, location: str, data: bytes) -> None:
        """See `LakeFiles.write`."""
        self.written.add(location)
        super().write(location, data)


class _Trial:
    """The steps of a check, on two tables of its own. Each step returns its result as text, or raises."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._files = _Recorded(catalog)
        stamp = datetime.now(UTC).strftime(_STAMP)
        self._names = _names(f"{catalog.prefix}{_NAMESPACE}{stamp}_{uuid.uuid4().hex[:8]}")
        self._atomic = True

    def creates(self) -> str:
        """Create a namespace and two tables."""
        for name in self._names:
            self._catalog.create(name, _SCHEMA, {})
        return f"made the namespace `{self._names[0].namespace}` with {len(self._names)} tables"

    def reads_and_writes(self) -> str:
        """Store a file with the Storage's keys as the loader does, and read a part of it as stage-in does.

        The file is named like a data file, because table buckets accept only such names.
        """
        settings = self._catalog.settings
        location = f"{self._now(self._names[0]).location().rstrip('/')}/data/{uuid.uuid4()}.parquet"
        signer = Signer(settings)
        try:
            self._files.write(location, _CONTENT)
            asyncio.run(signer.refresh())
            url = signer.sign_location(location, EXPIRES)
            status, content = fetch(open_store(settings, timeouts=_STORE), url, {"Range": "bytes=1-3"})
        except ComponentRunError as error:
            raise _FoundError(CatalogReason.FILES_UNREACHABLE, error.message, _files_hint(settings)) from None
        if status != _PARTIAL or content != _CONTENT[1:4]:
            raise _FoundError(
                CatalogReason.FILES_UNREACHABLE,
                f"a range of `{location}` was answered with HTTP {status} by a signed URL, expected {_PARTIAL} and the "
                "bytes that were asked for",
                _files_hint(settings),
            )
        return "stored a file in a table's location, and read a part of it by a signed URL"

    def commits(self) -> str:
        """Change both tables in one commit, or in two commits if the catalog does not support that."""
        changes, ids = _changes([self._now(name) for name in self._names])
        try:
            self._catalog.commit(changes)
        except NonAtomicError:
            self._atomic = False
            self._catalog.commit(changes, allow_non_atomic=True)
        self._expect(ids, CatalogReason.UNFIT, "a commit was confirmed, and did not change its tables")
        if not self._atomic:
            raise _FoundError(
                CatalogReason.NON_ATOMIC,
                "it does not offer `POST transactions/commit`: it can't commit several tables at once",
                "use a catalog that can, publish one table in each run, or set `allowNonAtomic` of the Storage and "
                "accept that readers may see some of a run's tables before the others",
                serious=False,
            )
        return "changed two tables by one commit"

    def refuses_stale_commits(self) -> str:
        """Send commits that are based on an old state of a table, and check that the catalog applies none of them."""
        stale = self._now(self._names[1])
        changes, _ = _changes([stale])
        self._catalog.commit(changes)
        now = [self._now(name) for name in self._names]
        ids = [table.metadata.current_snapshot_id for table in now]
        (fresh, late), _ = _changes(now)
        # Only the assertion is stale: some catalogs detect stale commits only by their sequence number.
        late = late.resting_on(
            [
                AssertTableUUID(uuid=stale.metadata.table_uuid),
                AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=stale.metadata.current_snapshot_id),
            ]
        )
        if self._atomic:
            self._refused([fresh, late], ids)
        self._refused([late], ids)
        self._refused(_changes([stale])[0], ids)
        commits = "commits of one and of two tables" if self._atomic else "a commit"
        return f"refused {commits} that were based on an old state, and changed nothing"

    def cleans_up(self) -> str:
        """Drop the tables and the namespace, and delete the files."""
        count = _take_away(self._catalog, self._files, self._names)
        return f"dropped the namespace and its tables, and deleted {count} files"

    def _now(self, name: IcebergName) -> Table:
        table = self._catalog.find(name)
        if table is None:
            raise _FoundError(CatalogReason.UNFIT, f"the table `{name}` was created and can't be found", _ANOTHER)
        table.io = self._files
        return table

    def _refused(self, changes: Sequence[TableChange], ids: Sequence[int | None]) -> None:
        """Check that the catalog refuses some changes and that the tables keep their current snapshots."""
        try:
            self._catalog.commit(changes)
        except ConflictError:
            problem = "a commit was refused, and changed a table anyway: two runs could mix"
            self._expect(ids, CatalogReason.STALE_COMMITS, problem)
            return
        problem = "it does not refuse stale commits: two runs could mix"
        raise _FoundError(CatalogReason.STALE_COMMITS, problem, _ANOTHER)

    def _expect(self, ids: Sequence[int | None], reason: CatalogReason, otherwise: str) -> None:
        """Check the ids of the tables' current snapshots."""
        if [self._now(name).metadata.current_snapshot_id for name in self._names] != list(ids):
            raise _FoundError(reason, otherwise, _ANOTHER)


def _names(namespace: str) -> tuple[IcebergName, ...]:
    return IcebergName(namespace, "a"), IcebergName(namespace, "b")


def _changes(tables: Sequence[Table]) -> tuple[list[TableChange], list[int]]:
    """Changes that add a snapshot without rows to each table, and the ids of these snapshots."""
    results = [change_of(table, IcebergName(*table.name()), NewSnapshot(summary={})) for table in tables]
    return [change for change, _ in results], [snapshot for _, snapshot in results]


def _take_away(catalog: Catalog, files: _Recorded, names: Sequence[IcebergName]) -> int:
    """Drop tables and their namespace, and delete their files and the recorded ones; return the number of files."""
    for name in names:
        table = catalog.find(name)
        if table is not None:
            files.written.update(_files_of(table))
            catalog.drop(name)
    catalog.drop_namespace(names[0].namespace)
    for location in sorted(files.written):
        files.delete(location)
    return len(files.written)


def _files_of(table: Table) -> Iterator[str]:
    """Files that the table's metadata names. The manifest lists of its snapshots are empty."""
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    yield from (snapshot.manifest_list for snapshot in table.metadata.snapshots)


def _take_away_left(catalog: Catalog, namespaces: Sequence[str], now: datetime) -> None:
    """Remove what killed checks have left. Best effort: if something can't be removed, the next check tries again."""
    for namespace in namespaces:
        match = (
            _LEFT.fullmatch(namespace.removeprefix(catalog.prefix)) if namespace.startswith(catalog.prefix) else None
        )
        if match is None or now - datetime.strptime(match[1] + "+0000", f"{_STAMP}%z") < _LEFT_AFTER:
            continue
        try:
            _take_away(catalog, _Recorded(catalog), _names(namespace))
        except ComponentRunError as error:
            log.warning("the namespace %s of an earlier check is left: %s", namespace, error.message)
