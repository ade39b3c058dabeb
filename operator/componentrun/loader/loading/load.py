"""Load the tables that an attempt uploaded in one commit to the catalog: exactly once, or not at all.

    1. look      Read all tables. A snapshot of this run means that it is already published; a fence, that it never is.
    2. check     Check that each load fits its table. A refusal has changed nothing.
    3. files     Convert the uploads to Parquet. Create missing tables; readers do not see them yet.
    4. commit    Commit all tables at once, on condition that each still has the current snapshot of step 1.

Each load adds a snapshot to each of its tables, so two loads of a table can't both be based on the same state. After a
conflict, or a commit with an unknown outcome, the load continues at step 1. A fence (`fencing`) is a snapshot without
rows, which makes a commit that is still in progress stale.
"""

from __future__ import annotations

import logging
import random
import tempfile
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from pyiceberg.manifest import DataFileContent

from componentrun.core.request.buckets import WritableBuckets, check_writable
from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError, together
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import CommitUnknownError, ConflictError
from componentrun.loader.catalog.datafiles import store_file
from componentrun.loader.catalog.marks import attempt_in, is_fenced, snapshot_of
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.catalog.snapshots import NewSnapshot, change_of
from componentrun.loader.catalog.state import check_is_not_dropped, next_table, read_state
from componentrun.loader.loading.fencing import NEW_TABLE
from componentrun.loader.loading.loads import Existing, by_table, check_load, loads_of
from componentrun.loader.loading.rows import compute, takes_rows_away
from componentrun.loader.loading.staged import bring
from componentrun.loader.reading.duck import all_authorities
from componentrun.loader.reading.scanning import scan_of
from componentrun.loader.scratch import Scratch
from componentrun.storage.access.grants import Signer
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.keys import TableId
from componentrun.wire.loader import LoadedTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog, TableChange
    from componentrun.loader.catalog.state import NextTable, TableState
    from componentrun.loader.loading.databases import Databases
    from componentrun.loader.loading.loads import TableLoad
    from componentrun.wire.loader import LoadRequest, TableScan

__all__ = ["GivenUpError", "load"]

log = logging.getLogger(__name__)

_MOST_TRIES: Final = 30
_MOST_UNKNOWN: Final = 3
"""Maximum number of commits with an unknown outcome. Each may take as long as the commit timeout."""
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_URLS_LAST: Final = timedelta(hours=6)
_SPREAD: Final = random.Random()  # noqa: S311 - pauses, not secrets


class GivenUpError(PlatformError):
    """The attempt was abandoned: it is never published."""


@dataclass(frozen=True, slots=True)
class _View:
    """The current state of a load's tables."""

    tables: dict[str, Table | None]
    states: dict[str, TableState | None]


def load(
    catalog: Catalog,
    request: LoadRequest,
    scratch: str,
    *,
    clock: Callable[[], float] = time.time,
    on_conflict: Callable[[], None] = lambda: None,
    share: int = 1,
    databases: Databases | None = None,
    most_bytes: int | None = None,
) -> tuple[int, list[LoadedTable]]:
    """Publish what an attempt uploaded. Idempotent: any process may repeat the same request at any time.

    Args:
        catalog: catalog of the Storage.
        request: the request.
        scratch: folder for temporary files, which are deleted at the end.
        clock: returns seconds since 1970.
        on_conflict: called for each conflict with another writer.
        share: number of loads that share the memory of the process.
        databases: databases to reuse for small loads; None: always create one.
        most_bytes: disk space that this load may use; None: the free space of the disk.

    Returns:
        The attempt that is published, and its tables.

    Raises:
        UserError: (OutputInvalid) loads do not fit their tables; lists all errors, and nothing was changed.
        GivenUpError: (PublishFailed) the attempt was abandoned.
        CommitUnknownError: it is unknown whether the attempt is published; call again.
        ComponentRunError: the catalog or the store refused a request or does not respond; nothing was changed.
    """
    loads = _loads_of(request)
    if not loads:
        return request.attempt, []
    with tempfile.TemporaryDirectory(prefix="load-", dir=scratch) as folder:
        work = _Work(catalog, request, loads, Scratch(folder, most_bytes), share, databases, clock)
        unknown: CommitUnknownError | None = None
        times_unknown = 0
        for number in range(_MOST_TRIES):
            try:
                return _try(work)
            except GivenUpError:
                # The tables have changed since, so a commit that is still in progress will conflict.
                raise
            except ConflictError as error:
                on_conflict()
                log.info("run %s is loaded again: %s", request.run, error.message)
            except CommitUnknownError as error:
                log.warning("run %s: %s", request.run, error.message)
                unknown, times_unknown = error, times_unknown + 1
                if times_unknown == _MOST_UNKNOWN:
                    raise
            except ComponentRunError as error:
                if unknown is None:
                    raise
                log.warning("run %s: %s", request.run, error.message)
                raise unknown from error
            time.sleep(min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE) * _SPREAD.uniform(0.5, 1) if number else 0)
        if unknown is not None:
            raise unknown
    raise ConflictError(
        f"the tables {', '.join(f'`{table}`' for table in loads)} were changed by others each of {_MOST_TRIES} times "
        "that this run was to be published. Nothing of it was",
        Reason.PUBLISH_FAILED,
    )


def _loads_of(request: LoadRequest) -> dict[str, list[TableLoad]]:
    check_writable([table.destination for table in request.tables], WritableBuckets(request.buckets))
    return by_table(loads_of(request.tables, request.prefix))


def _try(work: _Work) -> tuple[int, list[LoadedTable]]:
    view = _look(work.catalog, work.loads, work.clock())
    publication = _published(work.request, work.loads, view)
    if publication is not None:
        return publication
    try:
        return work.request.attempt, work.commit(view, int(work.clock() * 1_000_000))
    except MissingError as error:
        # Either the table was dropped meanwhile, or an existing table lacks a file.
        if work.has_missed:
            raise
        work.has_missed = True
        raise ConflictError(error.message, Reason.PUBLISH_FAILED) from error


def _look(catalog: Catalog, loads: Mapping[str, Sequence[TableLoad]], now: float) -> _View:
    tables = {table: catalog.find(to_iceberg(catalog.prefix, TableId.parse(table))) for table in loads}
    for name, table in tables.items():
        check_is_not_dropped(table.properties if table is not None else {}, f"`{name}`", now)
    states = {
        name: read_state(table.metadata, f"`{name}`") if table is not None else None for name, table in tables.items()
    }
    return _View(tables, states)


def _published(
    request: LoadRequest, loads: Mapping[str, Sequence[TableLoad]], view: _View
) -> tuple[int, list[LoadedTable]] | None:
    """The published attempt of this run and its tables; None: no attempt is published, or not all tables are.

    Raises:
        GivenUpError: this attempt was abandoned, or another one is published.
    """
    existing = [(name, table) for name, table in view.tables.items() if table is not None]
    attempts = {name: attempt for name, table in existing if (attempt := attempt_in(table, request.run)) is not None}
    if not attempts:
        if any(is_fenced(table, request.run, request.attempt) for _, table in existing):
            raise GivenUpError(
                f"run {request.title or request.run}, attempt {request.attempt}, can't be published: it was given up "
                "before",
                Reason.PUBLISH_FAILED,
                advice="Run it again.",
            )
        return None
    attempt = next(iter(attempts.values()))
    if attempt != request.attempt:
        raise GivenUpError(
            f"run {request.title or request.run}, attempt {request.attempt}, can't be published: attempt {attempt} of "
            "it already is",
            Reason.PUBLISH_FAILED,
        )
    if len(attempts) < len(loads) and request.allow_non_atomic:
        return None
    return attempt, [_loaded(name, loads[name], view.tables[name], request.run) for name in attempts]


def _loaded(name: str, loads: Sequence[TableLoad], table: Table | None, run: str) -> LoadedTable:
    """A table that an earlier request for the same attempt has published. Its load was the same."""
    snapshot = snapshot_of(table, run) if table is not None else None
    return LoadedTable(name, _rows(loads), _bytes(loads), str(snapshot.snapshot_id) if snapshot is not None else "")


class _Work:
    """One load with its retries. Downloaded files are kept for the next try."""

    def __init__(
        self,
        catalog: Catalog,
        request: LoadRequest,
        loads: Mapping[str, Sequence[TableLoad]],
        scratch: Scratch,
        share: int,
        databases: Databases | None,
        clock: Callable[[], float],
    ) -> None:
        self.clock = clock
        self._share = share
        self._databases = databases
        self.catalog = catalog
        self.request = request
        self.loads = loads
        self._scratch = scratch
        self._folder = scratch.folder
        self._signer = Signer(catalog.settings)
        self._local_files: dict[str, list[list[str]]] = {}
        self.has_missed = False
        """Whether a file of a table was already missing once."""

    def commit(self, view: _View, now: int) -> list[LoadedTable]:
        """Try once; return the published tables."""
        self._check(view)
        changes: list[TableChange] = []
        published: list[LoadedTable] = []
        for name, loads in self.loads.items():
            if self._is_in(view, name):
                published.append(_loaded(name, loads, view.tables[name], self.request.run))
                continue
            change, snapshot = self._change(name, view, now)
            changes.append(change)
            published.append(LoadedTable(name, _rows(loads), _bytes(loads), str(snapshot)))
        self.catalog.commit(changes, allow_non_atomic=self.request.allow_non_atomic)
        return published

    def _is_in(self, view: _View, name: str) -> bool:
        table = view.tables[name]
        return table is not None and attempt_in(table, self.request.run) is not None

    def _check(self, view: _View) -> None:
        errors: list[UserError] = []
        for name, loads in self.loads.items():
            existing = _existing(view.states[name])
            checks: list[Callable[[], object]] = [partial(check_load, existing, loads[0])]
            if existing is not None and loads[0].primary_key and not loads[0].incremental:
                existing = replace(existing, primary_key=loads[0].primary_key)
            checks += [partial(check_load, existing, load_) for load_ in loads[1:]]
            checks.append(partial(self._next_table, name, view.states[name], 0))
            for check in checks:
                try:
                    check()
                except UserError as error:
                    errors.append(error)
        if errors:
            raise together(errors)

    def _next_table(self, name: str, state: TableState | None, now: int) -> NextTable:
        return next_table(state, self.loads[name], typed=self.request.typed, now=now)

    def _change(self, name: str, view: _View, now: int) -> tuple[TableChange, int]:
        loads, table = self.loads[name], view.tables[name]
        where = to_iceberg(self.catalog.prefix, TableId.parse(name))
        new_table = self._next_table(name, view.states[name], now)
        if table is None:
            table = self.catalog.create(where, new_table.schema, NEW_TABLE)
            # The catalog may have assigned other field ids.
            new_table = self._next_table(name, read_state(table.metadata, f"`{name}`"), now)
        scan = scan_of(table, TableId.parse(name)) if takes_rows_away(new_table, loads) else None
        folder = self._folder / f"{uuid.uuid4()}"
        folder.mkdir()
        urls = self._urls(scan) if scan is not None else {}
        data, deletes = compute(
            new_table,
            loads,
            self._bring(name),
            str(folder),
            scan=scan,
            urls=urls,
            share=self._share,
            authorities=self._authorities(),
            databases=self._databases,
            scratch=self._scratch,
        )
        data_files = [store_file(table, data)] if data is not None else []
        delete_files = [store_file(table, deletes, DataFileContent.POSITION_DELETES)] if deletes is not None else []
        return change_of(
            table,
            where,
            NewSnapshot(
                self._summary(loads, new_table),
                added=data_files,
                deletes=delete_files,
                replaces=new_table.replaces,
                schema=new_table.schema if new_table.schema != table.metadata.schema() else None,
                properties=self._properties(new_table, view.states[name]),
            ),
            thins_history=self.catalog.thins_history,
            now=self.clock(),
        )

    def _summary(self, loads: Sequence[TableLoad], new_table: NextTable) -> dict[str, str]:
        summary = {
            properties.RUN: self.request.run,
            properties.ATTEMPT: str(self.request.attempt),
            properties.ROWS: str(_rows(loads)),
            properties.BYTES: str(_bytes(loads)),
            properties.TITLE: self.request.title,
            properties.COMPONENT: self.request.component,
            properties.CHANGE: properties.LOAD if new_table.replaces else properties.INCREMENT,
            properties.PRIMARY_KEY: new_table.properties[properties.PRIMARY_KEY],
        }
        return {name: value for name, value in summary.items() if value}

    def _properties(self, new_table: NextTable, state: TableState | None) -> dict[str, str]:
        table_properties = new_table.properties | {
            properties.RUN: self.request.run,
            properties.ATTEMPT: str(self.request.attempt),
        }
        if state is None or not state.is_loaded:
            table_properties[properties.CREATED] = datetime.fromtimestamp(
                new_table.timestamp / 1_000_000, UTC
            ).isoformat()
        return table_properties

    def _bring(self, name: str) -> list[list[str]]:
        if name not in self._local_files:
            self._scratch.need(self.loads[name], name)
            folder = self._folder / f"staged-{len(self._local_files)}"
            folder.mkdir()
            self._local_files[name] = bring(self.catalog.settings, self.catalog.clients, self.loads[name], str(folder))
        return self._local_files[name]

    def _authorities(self) -> str | None:
        """Write the trusted certificate authorities to a file for DuckDB; return its path, or None if not needed."""
        bundle, file = self.catalog.settings.ca_bundle, self._folder / "authorities.pem"
        if bundle is None:
            return None
        file.write_text(all_authorities(bundle), encoding="ascii")
        return str(file)

    def _urls(self, scan: TableScan) -> dict[str, str]:
        paths = [file.path for file in scan.files] + [file.path for file in scan.deletes]
        return {path: self._signer.sign_location(path, _URLS_LAST) for path in paths}


def _rows(loads: Sequence[TableLoad]) -> int:
    return sum(load_.rows for load_ in loads)


def _bytes(loads: Sequence[TableLoad]) -> int:
    return sum(load_.size for load_ in loads)


def _existing(state: TableState | None) -> Existing | None:
    """The table that loads must fit; None: it does not exist or is not loaded."""
    if state is None or not state.is_loaded:
        return None
    return Existing(state.columns, state.primary_key)
