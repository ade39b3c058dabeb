"""The action Publish: what stage-out uploaded becomes tables, through `storage.commit`."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from componentrun.api.componentrun import TableStatus
from componentrun.api.files import FileStatus
from componentrun.contract import DEFAULT_BRANCH
from componentrun.controller.caches import Key
from componentrun.controller.catalogtables import has_catalog
from componentrun.controller.storegate import StoreDownError
from componentrun.core import status as core_status
from componentrun.core.image import component_id
from componentrun.core.mapping import reads_adaptively
from componentrun.core.scope import warning_of
from componentrun.errors import (
    ComponentRunError,
    PlatformError,
    Reason,
    TransientError,
    UnknownOutcomeError,
    UserError,
)
from componentrun.exchange import StageOutResult, from_json
from componentrun.storage.adaptive import read_seen
from componentrun.storage.commit import check_files, publish, read_journal, resume
from componentrun.storage.failures import NoAnswerError
from componentrun.storage.plans import read_state_given
from componentrun.storage.state import Author, StateOwner, write_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.controller.catalogtables import CatalogTables
    from componentrun.controller.storegate import StoreGate
    from componentrun.controller.stores import OpenStorage, Stores
    from componentrun.storage.commit import Published

__all__ = ["Publisher"]

log = logging.getLogger(__name__)

_MOST_BYTES: Final = 64 * 2**20
"""Of what stage-out says: a state of 16 MiB, and tens of thousands of slices and files. Whoever stole its grant can put
objects of gigabytes there."""


class Publisher:
    """Publishes attempts."""

    def __init__(self, stores: Stores, clock: Callable[[], datetime], gate: StoreGate, catalogs: CatalogTables) -> None:
        """`clock` returns the time for the status; `gate` limits the use of the store."""
        self._stores = stores
        self._catalogs = catalogs
        self._clock = clock
        self._gate = gate
        self._entered: dict[Key, str] = {}
        """Names and uids of runs in whose status this process has written that it publishes them."""
        self._undecided: dict[Key, int] = {}
        """Those of them that this process brought into phase Publishing and for which it never sent a journal, with
        the number of phases in their status since then. No process publishes before it has added a phase of its own.
        So while the number is the same, it is certain that there is no journal."""

    def has_entered(self, run: ComponentRun) -> bool:
        """Whether this process has written into the run's status that it publishes the run."""
        return self._entered.get(Key(run.metadata.namespace, run.metadata.name)) == run.metadata.uid

    def status_written(self, before: ComponentRun, after: ComponentRun) -> None:
        """A status was written that may have begun, or ended, the phase Publishing."""
        key, phases = Key(after.metadata.namespace, after.metadata.name), len(after.status.phases)
        if after.status.phase != "Publishing":
            self.forget(key)
        elif phases > len(before.status.phases):
            self._entered[key] = after.metadata.uid
            if before.status.phase != "Publishing":
                self._undecided[key] = phases

    def forget(self, key: Key) -> None:
        """Forget a run that is published or deleted, or that may have a journal from now on."""
        self._entered.pop(key, None)
        self._undecided.pop(key, None)

    async def publish(self, run: ComponentRun, attempt: int, *, write_always_only: bool) -> ComponentRunStatus:
        """Have the attempt's tables published; the status to write then. May be repeated.

        Where a table does not fit and others are stored always, nothing has changed yet: the run's phase is Publishing
        still, and these are to be published then.

        Raises:
            RequeuedError: the Storage has no room for it now.
            UserError: a table does not fit what is there; nothing was changed.
            PlatformError: what was uploaded is not what stage-out said; nothing was changed.
            TransientError: the store is away; try again.
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
        await _remember_state(opened, run, result, done, write_always_only=write_always_only)
        tables = [TableStatus(table=item.table, rows=item.rows, bytes=item.bytes) for item in done.tables]
        files = [FileStatus(id=item.id, name=item.name, bytes=item.bytes) for item in done.files]
        warnings = (*warning_of(opened.storage), *result.warnings)
        return core_status.published(run, tables=tables, files=files, warnings=warnings, now=self._clock())

    async def _commit(
        self, opened: OpenStorage, run: ComponentRun, attempt: int, result: StageOutResult, *, write_always_only: bool
    ) -> Published:
        """Publish tables and files. Tables of a catalog come first, once it is known that the files can follow."""

        def deciding() -> None:
            self._undecided.pop(Key(run.metadata.namespace, run.metadata.name), None)

        store, uid = opened.store, run.metadata.uid
        if not has_catalog(opened):
            return await publish(store, uid, attempt, result, write_always_only=write_always_only, deciding=deciding)
        files = replace(result, tables=())
        if not write_always_only:
            await check_files(store, uid, attempt, files)
        wanted = [table for table in result.tables if table.write_always or not write_always_only]
        key = Key(run.metadata.namespace, run.metadata.name)
        undecided = self._undecided.pop(key, None)
        try:
            tables = await self._catalogs.publish(opened, run, attempt, wanted)
        except ComponentRunError as error:
            if undecided is not None and not isinstance(error, UnknownOutcomeError):
                # Everything that was ever asked for the run is answered: nothing is on its way.
                self._undecided[key] = undecided
            raise
        try:
            done = await publish(store, uid, attempt, files, write_always_only=write_always_only)
        except TransientError:
            raise
        except PlatformError as error:
            told = f"its tables are published, but its files can't be: {error.message}" if tables else error.message
            raise PlatformError(told, error.reason) from error
        return replace(done, tables=tuple(tables))

    async def is_certain(self, run: ComponentRun, attempt: int) -> bool:
        """Whether it is certain that nothing of an attempt is published any more; has it so where that can be had.

        Tables of a catalog are committed by another process, which may have been cut off with a commit on its way.

        Raises:
            ComponentRunError: it is not certain yet.
        """
        wanted = run.status.storage or run.spec.storage
        if self._is_undecided(run) or not await self._stores.keeps_catalog(run.metadata.namespace, wanted):
            return True
        opened = await self._stores.open(run.metadata.namespace, wanted)
        tables = [table.destination for table in run.spec.output.tables]
        try:
            tables += [table.destination for table in (await _result(opened, run, attempt)).tables]
        except TransientError:
            raise
        except ComponentRunError as error:  # what it asked for can't be read any more; it named these at least
            log.warning("what run %s uploaded can't be read: %s", run.metadata.uid, error.message)
        return await self._catalogs.is_given_up(opened, run, attempt, tables)

    async def may_have_begun(self, run: ComponentRun, error: ComponentRunError) -> bool:
        """Whether the run's journal exists or may exist, so that its tables may still change.

        If the store has just failed to answer, it is not asked again.

        Args:
            run: in phase Publishing.
            error: why it could not be published.
        """
        if isinstance(error, UnknownOutcomeError):
            return True
        if self._is_undecided(run):
            return False
        if isinstance(error, NoAnswerError | StoreDownError):
            return True
        try:
            opened = await self._stores.open(run.metadata.namespace, run.status.storage or run.spec.storage)
            journal = await read_journal(opened.store, run.metadata.uid)
        except ComponentRunError as unknown:
            log.info("can't tell whether run %s is being published: %s", run.metadata.uid, unknown.message)
            return True
        return journal is not None and journal.state != "abandoned"

    def _is_undecided(self, run: ComponentRun) -> bool:
        """Whether it is certain that nobody has decided yet what is published of the run."""
        phases = self._undecided.get(Key(run.metadata.namespace, run.metadata.name))
        return self.has_entered(run) and phases == len(run.status.phases)

    async def resume(self, run: ComponentRun) -> list[str]:
        """Complete what the run's journal says; the tables, none where nothing was decided.

        Raises:
            RequeuedError: the Storage has no room for it now.
            PlatformError: the store refused.
            TransientError: the store is away.
        """
        async with self._gate.using(run):
            return await self._resume(run)

    async def _resume(self, run: ComponentRun) -> list[str]:
        opened = await self._stores.open(run.metadata.namespace, run.status.storage or run.spec.storage)
        done = await resume(opened.store, run.metadata.uid)
        if done is None:
            return []
        journal = await read_journal(opened.store, run.metadata.uid)
        result = await _result(opened, run, done.attempt)
        # What was decided before the operator was interrupted includes the state.
        only_always = journal is None or journal.write_always_only
        await _remember_state(opened, run, result, done, write_always_only=only_always)
        return [item.table for item in done.tables]


async def _result(opened: OpenStorage, run: ComponentRun, attempt: int) -> StageOutResult:
    """What stage-out says about its attempt.

    Raises:
        PlatformError: (StageOutFailed) it says nothing, or nothing that can be read; (PublishFailed) it is too large.
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


async def _remember_state(
    opened: OpenStorage, run: ComponentRun, result: StageOutResult, done: Published, *, write_always_only: bool
) -> None:
    """Hand out/state.json, and what was seen of tables, to the next run; a run that failed leaves both as they were.

    So does one that is resumed late, after a run that was published behind it.
    """
    configuration = run.spec.configuration
    if write_always_only or configuration.id is None:
        return
    uid = run.metadata.uid
    inputs = await read_seen(opened.store, uid, done.attempt) if reads_adaptively(run.spec) else {}
    if result.state is None and not inputs:
        return
    component = run.spec.component or component_id(run.spec.image or "", None)
    owner = StateOwner(component, configuration.id, configuration.row, configuration.branch or DEFAULT_BRANCH)
    author = Author(
        uid, run.metadata.creation_timestamp or done.time, await read_state_given(opened.store, uid, done.attempt)
    )
    if not await write_state(opened.store, owner, result.state, inputs=inputs, author=author):
        log.warning(
            "run %s stores no state: a later run, or `componentrun state`, has replaced the one that it was given", uid
        )
