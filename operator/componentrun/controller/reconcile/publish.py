"""Carries out the action Publish: publishes what stage-out uploaded as tables, files and state, in this order.

The loader commits all tables or none. The other steps are retried until they succeed: a retry finds the tables
committed and creates the same files.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.api.componentrun import TableStatus
from componentrun.api.mapping.files import FileStatus
from componentrun.contract import DEFAULT_BRANCH
from componentrun.controller.watching.caches import Key
from componentrun.core.lifecycle import status as core_status
from componentrun.core.request.image import component_id
from componentrun.core.request.mapping import reads_adaptively
from componentrun.core.storages.catalog import check_tables_can_be_published
from componentrun.core.storages.scope import warning_of
from componentrun.errors import (
    ComponentRunError,
    PlatformError,
    Reason,
    TransientError,
    UnknownOutcomeError,
    UserError,
)
from componentrun.storage.access.plans import read_state_given
from componentrun.storage.files.expiry import named_data
from componentrun.storage.files.publish import check_files, publish_files
from componentrun.storage.state.adaptive import read_seen
from componentrun.storage.state.state import Author, StateOwner, write_state
from componentrun.wire.agents import StageOutResult, from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.controller.storages.catalogtables import CatalogTables
    from componentrun.controller.storages.gate import StoreGate
    from componentrun.controller.storages.stores import OpenStorage, Stores
    from componentrun.storage.files.record import FileRecord
    from componentrun.wire.agents import TableWritten
    from componentrun.wire.loader import LoadedTable

__all__ = ["Publisher"]

log = logging.getLogger(__name__)

_MOST_BYTES: Final = 64 * 2**20
"""Maximum size of stage-out's result, which holds a state of 16 MiB and tens of thousands of slices and files. With a
stolen grant, an object of gigabytes could be uploaded instead."""


class Publisher:
    """Publishes attempts."""

    def __init__(self, stores: Stores, clock: Callable[[], datetime], gate: StoreGate, catalogs: CatalogTables) -> None:
        """`clock` returns the time for the status; `gate` limits operations on the store."""
        self._stores = stores
        self._catalogs = catalogs
        self._clock = clock
        self._gate = gate
        self._entered: dict[Key, str] = {}
        """Names and uids of runs for which this process has written the phase Publishing."""
        self._undecided: dict[Key, int] = {}
        """Runs that this process brought into phase Publishing and of which it knows that nothing is published or in
        flight, with the number of phases in their status at that time. Every process adds a phase before it publishes a
        run. So while the number has not changed, nothing has been published."""

    def has_entered(self, run: ComponentRun) -> bool:
        """Whether this process has written the phase Publishing for the run."""
        return self._entered.get(_key(run)) == run.metadata.uid

    def status_written(self, before: ComponentRun, after: ComponentRun) -> None:
        """Record a status write that may begin or end the phase Publishing."""
        key, phases = _key(after), len(after.status.phases)
        if after.status.phase != "Publishing":
            self.forget(key)
        elif phases > len(before.status.phases):
            self._entered[key] = after.metadata.uid
            if before.status.phase != "Publishing":
                self._undecided[key] = phases

    def forget(self, key: Key) -> None:
        """Forget a run that was published or deleted."""
        self._entered.pop(key, None)
        self._undecided.pop(key, None)

    async def publish(self, run: ComponentRun, attempt: int, *, write_always_only: bool) -> ComponentRunStatus:
        """Publish the attempt. Returns the status to write. May be repeated.

        If a table does not fit and other tables are `writeAlways`, nothing has changed yet: the run stays in phase
        Publishing, and those tables are published next.

        Raises:
            RequeuedError: all slots of the Storage are in use.
            UserError: a table does not fit the existing one; nothing was changed.
            PlatformError: the uploads do not match stage-out's result; nothing was changed.
            TransientError: the store does not respond; try again.
        """
        async with self._gate.using(run):
            return await self._publish(run, attempt, write_always_only=write_always_only)

    async def _publish(self, run: ComponentRun, attempt: int, *, write_always_only: bool) -> ComponentRunStatus:
        opened = await self._stores.open(run.metadata.namespace, run.status.storage or run.spec.storage)
        result = await _result(opened, run, attempt)
        try:
            done = await self._commit(opened, run, attempt, result, write_always_only=write_always_only)
        except UserError as error:
            if write_always_only or not any(table.write_always for table in result.tables):
                raise
            return core_status.refused(run, error, self._clock())
        if not write_always_only:
            await self._remember_state(opened, run, attempt, result)
        tables = [TableStatus(table=item.table, rows=item.rows, bytes=item.bytes) for item in done.tables]
        files = [FileStatus(id=item.id, name=item.name, bytes=item.size) for item in done.files]
        warnings = (*warning_of(opened.storage), *result.warnings)
        return core_status.published(run, tables=tables, files=files, warnings=warnings, now=self._clock())

    async def _commit(
        self, opened: OpenStorage, run: ComponentRun, attempt: int, result: StageOutResult, *, write_always_only: bool
    ) -> _Published:
        """Publish tables, then files. Checks first that the files can be published."""
        store, uid, began = opened.store, run.metadata.uid, core_status.publishing_began(run)
        tables = [table for table in result.tables if table.write_always or not write_always_only]
        check_tables_can_be_published(opened.storage, [table.destination for table in tables])
        files = await check_files(store, uid, attempt, () if write_always_only else result.files, began)
        loaded = await self._load(opened, run, attempt, tables)
        if files:
            self._undecided.pop(_key(run), None)
        try:
            await publish_files(store, uid, attempt, files)
        except TransientError:
            raise
        except PlatformError as error:
            told = f"its tables are published, but its files can't be: {error.message}" if loaded else error.message
            raise PlatformError(told, error.reason) from error
        return _Published(loaded, files)

    async def _load(
        self, opened: OpenStorage, run: ComponentRun, attempt: int, tables: Sequence[TableWritten]
    ) -> tuple[LoadedTable, ...]:
        if not tables:
            return ()
        undecided = self._undecided.pop(_key(run), None)
        try:
            return await self._catalogs.publish(opened, run, attempt, tables)
        except ComponentRunError as error:
            if undecided is not None and not isinstance(error, UnknownOutcomeError):
                # Every request for the run got a response, so no commit is in flight.
                self._undecided[_key(run)] = undecided
            raise

    async def is_certain(self, run: ComponentRun, attempt: int) -> bool:
        """Make sure that nothing of an attempt will be published from now on, if that is possible.

        Another process commits the tables, so a commit may be in flight.

        Returns:
            False if something of it is published already.

        Raises:
            ComponentRunError: not certain yet; try again.
        """
        if self._is_undecided(run):
            return True
        try:
            opened = await self._stores.open(run.metadata.namespace, run.status.storage or run.spec.storage)
        except UserError as error:
            if error.reason is Reason.STORAGE_NOT_FOUND:
                return True  # there is no loader to ask
            raise
        tables, has_files = [table.destination for table in run.spec.output.tables], False
        try:
            result = await _result(opened, run, attempt)
            tables += [table.destination for table in result.tables]
            has_files = bool(result.files)
        except TransientError:
            raise
        except ComponentRunError as error:  # unreadable result: use the tables of the mapping
            log.warning("what run %s uploaded can't be read: %s", run.metadata.uid, error.message)
        if opened.storage.spec.catalog is not None:
            if not await self._catalogs.is_given_up(opened, run, attempt, tables):
                return False
            if tables:  # files are published after the tables
                return True
        folder = opened.store.layout.data(run.metadata.uid, attempt)
        return not has_files or not await named_data(opened.store, [folder])

    def may_have_begun(self, run: ComponentRun, error: ComponentRunError) -> bool:
        """Whether something of a run may be published, or a commit of it may be in flight.

        Args:
            run: a run in phase Publishing.
            error: the error that prevented publishing.
        """
        return isinstance(error, UnknownOutcomeError) or not self._is_undecided(run)

    def _is_undecided(self, run: ComponentRun) -> bool:
        """Whether it is certain that nothing of the run is published and no commit is in flight."""
        phases = self._undecided.get(_key(run))
        return self.has_entered(run) and phases == len(run.status.phases)

    async def _remember_state(
        self, opened: OpenStorage, run: ComponentRun, attempt: int, result: StageOutResult
    ) -> None:
        """Store the state (`out/state.json`) and the versions of the tables read, for the next run.

        If a later run was published first, neither is written.
        """
        configuration = run.spec.configuration
        if configuration.id is None:
            return
        uid, store = run.metadata.uid, opened.store
        inputs = await read_seen(store, uid, attempt) if reads_adaptively(run.spec) else {}
        if result.state is None and not inputs:
            return
        component = run.spec.component or component_id(run.spec.image or "", None)
        owner = StateOwner(component, configuration.id, configuration.row, configuration.branch or DEFAULT_BRANCH)
        created = run.metadata.creation_timestamp or self._clock()
        author = Author(uid, created, await read_state_given(store, uid, attempt))
        if not await write_state(store, owner, result.state, inputs=inputs, author=author):
            log.warning(
                "run %s stores no state: a later run, or `componentrun state`, has replaced the one that it was given",
                uid,
            )


@dataclass(frozen=True, slots=True)
class _Published:
    """What was published of an attempt."""

    tables: tuple[LoadedTable, ...]
    files: tuple[FileRecord, ...]


def _key(run: ComponentRun) -> Key:
    return Key(run.metadata.namespace, run.metadata.name)


async def _result(opened: OpenStorage, run: ComponentRun, attempt: int) -> StageOutResult:
    """Read stage-out's result of an attempt.

    Raises:
        PlatformError: (StageOutFailed) it is missing or can't be read; (PublishFailed) it is too large.
    """
    store = opened.store
    key = store.layout.result(run.metadata.uid, attempt)
    stored = await store.find(key, most=_MOST_BYTES)
    if stored is None:
        raise PlatformError(f"stage-out left no result at {store.settings.where(key)}", Reason.STAGE_OUT_FAILED)
    try:
        return from_json(StageOutResult, stored.data)
    except ValueError as error:
        raise PlatformError(
            f"stage-out's result {store.settings.where(key)} can't be read: {error}", Reason.STAGE_OUT_FAILED
        ) from error
