"""Loading: what an attempt uploaded becomes tables by one commit to the catalog, once, or not at all.

    1. look      all tables as they are. A snapshot of this run: it is published already. A fence: it never will be.
    2. check     each load fits its table; a refusal has changed nothing.
    3. files     what stage-out uploaded becomes Parquet; tables that are not there are made, and are no tables yet.
    4. commit    all tables at once, each only if its current snapshot is the one of step 1.

Each load makes a snapshot of every one of its tables, so two loads of one table can't both rest on the same state. A
conflict, and a commit of which nobody knows whether it landed, lead to step 1. A fence (`fencing`) is a snapshot
without rows: a commit that was on its way finds another state than the one it rests on.
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
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.catalog.snapshots import NewSnapshot, change_of
from componentrun.loader.catalog.state import check_is_not_dropped, next_table, read_state, run_of
from componentrun.loader.loading.fencing import NEW_TABLE, attempt_in, is_fenced
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
"""Commits without a clear answer, each of which may take as long as the catalog is waited for."""
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_URLS_LAST: Final = timedelta(hours=6)
_SPREAD: Final = random.Random()  # noqa: S311 - pauses, not secrets


class GivenUpError(PlatformError):
    """The attempt was given up: it is never published."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """The tables of a load as they are."""

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
    """Publish what an attempt uploaded. May be called again with the same request at any time, by anybody.

    Args:
        catalog: of the Storage.
        request: what to load.
        scratch: a folder for files; they are deleted at the end.
        clock: seconds since 1970.
        on_conflict: called each time somebody else was faster.
        share: how many loads share the memory of the process.
        databases: kept ones, for small loads; None: there are none.
        most_bytes: how much of the disk this load may use; None: all that there is.

    Returns:
        The attempt that is published, and its tables.

    Raises:
        UserError: (OutputInvalid) loads do not fit their tables; names all of them, and nothing was changed.
        GivenUpError: (PublishFailed) the attempt was given up.
        CommitUnknownError: nobody knows whether it is published; call again.
        ComponentRunError: a part of the platform refused or is away; nothing was changed.
    """
    loads = _loads_of(request)
    if not loads:
        return request.attempt, []
    with tempfile.TemporaryDirectory(prefix="load-", dir=scratch) as folder:
        work = _Work(catalog, request, loads, Scratch(folder, most_bytes), share, databases)
        unknown: CommitUnknownError | None = None
        times_unknown = 0
        for number in range(_MOST_TRIES):
            try:
                return _try(work, clock)
            except GivenUpError:
                # Its tables are not those any more that a commit on its way rests on.
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


def _try(work: _Work, clock: Callable[[], float]) -> tuple[int, list[LoadedTable]]:
    looked = _look(work.catalog, work.loads, clock())
    done = _published(work.request, work.loads, looked)
    if done is not None:
        return done
    try:
        return work.request.attempt, work.commit(looked, int(clock() * 1_000_000))
    except MissingError as error:
        # A table that was dropped meanwhile has no files any more. Or one that is there lacks a file.
        if work.has_missed:
            raise
        work.has_missed = True
        raise ConflictError(error.message, Reason.PUBLISH_FAILED) from error


def _look(catalog: Catalog, loads: Mapping[str, Sequence[TableLoad]], now: float) -> _Looked:
    tables = {table: catalog.find(to_iceberg(catalog.prefix, TableId.parse(table))) for table in loads}
    for name, table in tables.items():
        check_is_not_dropped(table.properties if table is not None else {}, f"`{name}`", now)
    states = {
        name: read_state(table.metadata, f"`{name}`") if table is not None else None for name, table in tables.items()
    }
    return _Looked(tables, states)


def _published(
    request: LoadRequest, loads: Mapping[str, Sequence[TableLoad]], looked: _Looked
) -> tuple[int, list[LoadedTable]] | None:
    """What is published of this run already; None: nothing.

    Raises:
        GivenUpError: this attempt was given up, or another one is published.
    """
    there = [(name, table) for name, table in looked.tables.items() if table is not None]
    attempts = {name: attempt for name, table in there if (attempt := attempt_in(table, request.run)) is not None}
    if not attempts:
        if any(is_fenced(table, request.run, request.attempt) for _, table in there):
            raise GivenUpError(
                f"run {request.title or request.run}, attempt {request.attempt}, can't be published: it was given up "
                "before. Run it again",
                Reason.PUBLISH_FAILED,
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
    return attempt, [_loaded(name, looked.tables[name], request.run) for name in attempts]


def _loaded(name: str, table: Table | None, run: str) -> LoadedTable:
    for snapshot in reversed(table.metadata.snapshots) if table is not None else ():
        if snapshot.summary is not None and run_of(snapshot, run) is not None:
            summary = snapshot.summary
            rows, size = int(summary[properties.ROWS] or 0), int(summary[properties.BYTES] or 0)
            return LoadedTable(name, rows, size, str(snapshot.snapshot_id))
    return LoadedTable(name, 0, 0, "")


class _Work:
    """One load, tried as often as needed; what was brought stays for the next try."""

    def __init__(
        self,
        catalog: Catalog,
        request: LoadRequest,
        loads: Mapping[str, Sequence[TableLoad]],
        scratch: Scratch,
        share: int,
        databases: Databases | None,
    ) -> None:
        self._share = share
        self._databases = databases
        self.catalog = catalog
        self.request = request
        self.loads = loads
        self._scratch = scratch
        self._folder = scratch.folder
        self._signer = Signer(catalog.settings)
        self._brought: dict[str, list[list[str]]] = {}
        self.has_missed = False
        """Whether a file of a table was not there once already."""

    def commit(self, looked: _Looked, now: int) -> list[LoadedTable]:
        """Try once; what is published now."""
        self._check(looked)
        changes: list[TableChange] = []
        published: list[LoadedTable] = []
        for name, loads in self.loads.items():
            if self._is_in(looked, name):
                published.append(_loaded(name, looked.tables[name], self.request.run))
                continue
            change, snapshot = self._change(name, looked, now)
            changes.append(change)
            published.append(LoadedTable(name, _rows(loads), _bytes(loads), str(snapshot)))
        self.catalog.commit(changes, allow_non_atomic=self.request.allow_non_atomic)
        return published

    def _is_in(self, looked: _Looked, name: str) -> bool:
        table = looked.tables[name]
        return table is not None and attempt_in(table, self.request.run) is not None

    def _check(self, looked: _Looked) -> None:
        errors: list[UserError] = []
        for name, loads in self.loads.items():
            there = _existing(looked.states[name])
            checks: list[Callable[[], object]] = [partial(check_load, there, loads[0])]
            if there is not None and loads[0].primary_key and not loads[0].incremental:
                there = replace(there, primary_key=loads[0].primary_key)
            checks += [partial(check_load, there, load_) for load_ in loads[1:]]
            checks.append(partial(self._next_table, name, looked.states[name], 0))
            for check in checks:
                try:
                    check()
                except UserError as error:
                    errors.append(error)
        if errors:
            raise together(errors)

    def _next_table(self, name: str, state: TableState | None, now: int) -> NextTable:
        return next_table(state, self.loads[name], typed=self.request.typed, now=now)

    def _change(self, name: str, looked: _Looked, now: int) -> tuple[TableChange, int]:
        loads, table = self.loads[name], looked.tables[name]
        where = to_iceberg(self.catalog.prefix, TableId.parse(name))
        becomes = self._next_table(name, looked.states[name], now)
        if table is None:
            table = self.catalog.create(where, becomes.schema, NEW_TABLE)
            # Ids are the catalog's to give.
            becomes = self._next_table(name, read_state(table.metadata, f"`{name}`"), now)
        scan = scan_of(table, TableId.parse(name)) if takes_rows_away(becomes, loads) else None
        folder = self._folder / f"{uuid.uuid4()}"
        folder.mkdir()
        urls = self._urls(scan) if scan is not None else {}
        data, deletes = compute(
            becomes,
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
        added = [store_file(table, data)] if data is not None else []
        removed = [store_file(table, deletes, DataFileContent.POSITION_DELETES)] if deletes is not None else []
        return change_of(
            table,
            where,
            NewSnapshot(
                self._summary(loads, becomes),
                added=added,
                deletes=removed,
                replaces=becomes.replaces,
                schema=becomes.schema if becomes.schema != table.metadata.schema() else None,
                properties=self._properties(becomes, looked.states[name]),
            ),
        )

    def _summary(self, loads: Sequence[TableLoad], becomes: NextTable) -> dict[str, str]:
        said = {
            properties.RUN: self.request.run,
            properties.ATTEMPT: str(self.request.attempt),
            properties.ROWS: str(_rows(loads)),
            properties.BYTES: str(_bytes(loads)),
            properties.TITLE: self.request.title,
            properties.COMPONENT: self.request.component,
            properties.CHANGE: properties.LOAD if becomes.replaces else properties.INCREMENT,
            properties.PRIMARY_KEY: becomes.properties[properties.PRIMARY_KEY],
        }
        return {name: value for name, value in said.items() if value}

    def _properties(self, becomes: NextTable, state: TableState | None) -> dict[str, str]:
        said = becomes.properties | {properties.RUN: self.request.run, properties.ATTEMPT: str(self.request.attempt)}
        if state is None or not state.is_loaded:
            said[properties.CREATED] = datetime.fromtimestamp(becomes.timestamp / 1_000_000, UTC).isoformat()
        return said

    def _bring(self, name: str) -> list[list[str]]:
        if name not in self._brought:
            self._scratch.need(self.loads[name], name)
            folder = self._folder / f"staged-{len(self._brought)}"
            folder.mkdir()
            self._brought[name] = bring(self.catalog.settings, self.catalog.clients, self.loads[name], str(folder))
        return self._brought[name]

    def _authorities(self) -> str | None:
        """A file with the authorities to trust, for clients that take nothing else."""
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
    """The table that loads must fit; None: there is none."""
    if state is None or not state.is_loaded:
        return None
    return Existing(state.columns, state.primary_key)
