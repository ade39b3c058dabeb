"""Append the events of runs that have ended.

    1. list     List the runs that ended before a time, in batches.
    2. look     Read from the table how many events of each run it has.
    3. files    Read the other events from the Storage, and write them to one Parquet file for each day.
    4. commit   Add the files, on condition that the table is still in the state of step 2. Then look again.

A run's events are appended in their order, so the number of the last one says which are missing. A process that is
killed leaves files that nothing refers to. If several processes append at once, one of two commits fails, and steps 2
to 4 are repeated on the new state.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from pyiceberg.typedef import Record

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.loader.catalog.catalog import CommitUnknownError, ConflictError
from componentrun.loader.catalog.datafiles import store_file
from componentrun.loader.catalog.names import events_table
from componentrun.loader.eventtable.changing import change_files, delete_refused
from componentrun.loader.eventtable.present import last_numbers
from componentrun.loader.eventtable.table import open_events
from componentrun.loader.eventtable.writing import write_days
from componentrun.storage.events.export import row_of
from componentrun.storage.events.reader import EventReader
from componentrun.storage.events.runs import ended_runs
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.loader.eventtable.table import Mark
    from componentrun.loader.eventtable.writing import Origin
    from componentrun.storage.events.index import EndedRun
    from componentrun.storage.store.connection import Store

__all__ = ["AppendLimits", "Appended", "Period", "append_events"]

log = logging.getLogger(__name__)

_MOST_CONFLICTS: Final = 20
_MOST_UNKNOWN: Final = 3
"""Maximum number of commits of a batch without an answer. Each may take as long as the timeout of a commit."""
_LATE: Final = timedelta(days=31)
"""How long after its end a run's events may become complete and still be appended."""
_SKEW: Final = timedelta(hours=1)
"""Tolerance for the clocks of the store and of this machine."""
_AT_A_TIME: Final = 8
"""Number of runs that are read at the same time."""


@dataclass(frozen=True, slots=True)
class AppendLimits:
    """How much is in one commit, and how long all of them may take."""

    bytes: int = 192 * 2**20
    """Size of the events as JSON on the local disk. A run with more events is appended in several commits."""
    events: int = 2_000_000
    runs: int = 5_000
    seconds: float = 3600.0
    """After this time, the update ends; the next one continues."""


@dataclass(frozen=True, slots=True)
class Period:
    """Which runs are examined."""

    until: datetime
    """Runs that ended before this time."""
    mark: Mark | None = None
    """Runs that the update of this mark has examined are left out."""

    @property
    def since(self) -> datetime | None:
        """Runs that ended before this time are not listed."""
        return self.mark.until - _LATE if self.mark is not None else None

    def includes(self, run: EndedRun) -> bool:
        """Whether a listed run is examined."""
        mark = self.mark
        if mark is None or run.entered is None or run.end >= mark.until:
            return run.end < self.until
        return run.entered >= mark.at - _SKEW


@dataclass(slots=True)
class Appended:
    """What was appended."""

    events: int = 0
    commits: int = 0
    is_complete: bool = False
    """Whether all events are in the table. If not, the time limit was reached."""


def append_events(
    catalog: Catalog,
    store: Store,
    origin: Origin,
    scratch: str,
    period: Period,
    limits: AppendLimits,
) -> Appended:
    """Append the events that are missing. Idempotent.

    Args:
        catalog: catalog of the Storage.
        store: bucket of the Storage.
        origin: where the events come from.
        scratch: folder for temporary files, which are deleted at the end.
        period: which runs are examined.
        limits: how much is in one commit.

    Raises:
        ComponentRunError: the catalog or the store refused a request or does not respond, or other writers changed the
            table all the time. What was committed remains; a later call continues.
        PlatformError: (Internal) stored events of some runs can't be read. Those of all others were appended.
    """
    work = _Work(catalog, store, origin, scratch, limits)
    ends_at = time.monotonic() + limits.seconds
    with asyncio.Runner() as runner:
        batches = _batches(store, period, limits)
        while (batch := runner.run(anext(batches, []))) and time.monotonic() < ends_at:
            work.append(runner, batch)
    work.refuse_unreadable()
    work.done.is_complete = not batch
    return work.done


async def _batches(store: Store, period: Period, limits: AppendLimits) -> AsyncIterator[list[EndedRun]]:
    """Yield runs in batches, the one that ended last first."""
    batch: list[EndedRun] = []
    events = 0
    async for run in ended_runs(store, since=period.since, until=period.until):
        if not period.includes(run):
            continue
        batch.append(run)
        events += _total(run)
        if len(batch) >= limits.runs or events >= limits.events:
            yield batch
            batch, events = [], 0
    if batch:
        yield batch


def _total(run: EndedRun) -> int:
    return sum(run.counts.values())


class _Work:
    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        origin: Origin,
        scratch: str,
        limits: AppendLimits,
    ) -> None:
        self._catalog, self._store, self._origin, self._scratch = catalog, store, origin, scratch
        self.limits = limits
        self._name = events_table(catalog.prefix)
        self.done = Appended()
        self._unreadable: dict[str, PlatformError] = {}
        """Runs with a stored object that can't be read, and why."""

    def append(self, runner: asyncio.Runner, runs: Sequence[EndedRun]) -> None:
        """Append the missing events of some runs."""
        conflicts = unknown = 0
        while True:
            table = open_events(self._catalog)
            known = last_numbers(self._catalog, table, runs, self._scratch)
            missing = {
                run.run: known.get(run.run, 0)
                for run in runs
                if known.get(run.run, 0) < _total(run) and run.run not in self._unreadable
            }
            if not missing:
                return
            with tempfile.TemporaryDirectory(prefix="events-", dir=self._scratch) as folder:
                path = Path(folder, "events.jsonl")
                with path.open("wb") as file:
                    rows = _Rows(file, self.limits.bytes)
                    runner.run(rows.collect(self._store, missing))
                self._unreadable |= rows.unreadable
                if not rows.count:  # deleted from the Storage since the index was read
                    return
                files = self._files(table, str(path), folder)
            try:
                self._commit(table, files)
                self.done.events += rows.count
                self.done.commits += 1
            except ConflictError as error:
                conflicts += 1
                if conflicts == _MOST_CONFLICTS:
                    raise
                log.info("events are appended to the new state of %s: %s", self._name, error.message)
            except CommitUnknownError as error:
                # The next look shows whether it was applied. If not, the next commit makes it stale.
                unknown += 1
                if unknown == _MOST_UNKNOWN:
                    raise
                log.warning("%s: %s", self._name, error.message)

    def refuse_unreadable(self) -> None:
        """Raise an error if events of some runs can't be read.

        Raises:
            PlatformError: (Internal) the message names the first of them.
        """
        if not self._unreadable:
            return
        run, error = next(iter(self._unreadable.items()))
        others = len(self._unreadable) - 1
        raise PlatformError(
            f"events of run {run} can't be read, so `{self._name}` does not have all of them: {error.message}"
            + (f"; the same holds for {others} other runs" if others else ""),
            advice="The next round tries again. To give up these events, delete the objects below "
            f"{self._store.settings.where(self._store.layout.events(run))}.",
        )

    def _files(self, table: Table, rows: str, folder: str) -> list[DataFile]:
        written = write_days(rows, table.schema(), self._origin, folder)
        return [store_file(table, file, partition=Record(day)) for day, file in written]

    def _commit(self, table: Table, files: Sequence[DataFile]) -> None:
        try:
            self._catalog.commit([change_files(table, files, frozenset())])
        except ConflictError:
            delete_refused(self._catalog, files)
            raise


class _Rows:
    """Writes events to a local file, until it is full."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        self._file, self._most = file, most_bytes
        self.count, self._bytes = 0, 0
        self.unreadable: dict[str, PlatformError] = {}
        """Runs with an object that can't be read, and why. The events before it are written."""

    async def collect(self, store: Store, missing: Mapping[str, int]) -> None:
        """Write the events of runs after the given numbers."""
        gate = asyncio.Semaphore(_AT_A_TIME)

        async def one(item: tuple[str, int]) -> None:
            async with gate:
                await self._collect_run(item[0], EventReader(store, *item))

        await gather_bounded(one, missing.items())

    async def _collect_run(self, run: str, reader: EventReader) -> None:
        if self._bytes >= self._most:
            return
        try:
            async with aclosing(reader.read_placed()) as events:
                async for found in events:
                    line = row_of(found)
                    self._file.write(line)
                    self._bytes += len(line)
                    self.count += 1
                    if self._bytes >= self._most:
                        return
        except MissingError:
            return  # deleted in the meantime: the events before it are written
        except PlatformError as error:
            if isinstance(error, TransientError) or error.reason is not Reason.INTERNAL:
                raise  # the store refuses or does not respond, for all runs
            self.unreadable[run] = error
