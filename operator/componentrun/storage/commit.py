"""Publishing: an attempt's tables change and its files appear all or not at all, and once.

    1. check     each object lies below the attempt's own prefix and is what was uploaded; where the bucket keeps
                 versions, this very version is what counts from here on, whatever is written over it.
                 Each load fits its table. A refusal here has changed nothing.
    2. journal   `journal.json` is created, which succeeds once for a run: from here on the run is published, by this
                 attempt and with these loads, whoever carries it out.
    3. pointers  each table's pointer is replaced by compare-and-swap, what it said before is kept as a version
                 (`history`); read again and merged anew where another run was faster; left alone where this run is in
                 it already.
    4. files     each file's record is created, unless it is there.
    5. done      the journal is marked; one that says nothing but that the run is published is created as done.

Killed between any two writes, `publish` or `resume` completes what the journal says. Two that do so at the same time
come to the same end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError
from componentrun.storage.document import StorageModel, parse_document
from componentrun.storage.failures import ExistsError, StaleError
from componentrun.storage.files import FileRecord, create_files, records_of
from componentrun.storage.history import change_table
from componentrun.storage.layout import TableId
from componentrun.storage.loads import by_table, loads_of
from componentrun.storage.pointer import Commit, Pointer, TableLoad, merge_load
from componentrun.storage.tables import gather_bounded, read_pointer
from componentrun.storage.uploaded import check_uploaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from componentrun.exchange import StageOutResult
    from componentrun.storage.connection import Store
    from componentrun.storage.tables import VersionedPointer

__all__ = [
    "FencedError",
    "Journal",
    "Published",
    "PublishedFile",
    "PublishedTable",
    "check_files",
    "claim",
    "has_begun",
    "publish",
    "read_journal",
    "resume",
    "withdraw",
]

JOURNAL_FORMAT: Final = 1


class FencedError(PlatformError):
    """Another attempt of this run is the one that is published, or its data has been swept."""


class Journal(StorageModel):
    """The decision to publish: `journal.json`, one for a run."""

    format: int = JOURNAL_FORMAT
    state: Literal["publishing", "done", "abandoned"]
    """Abandoned: the sweeper has claimed the data of this attempt and those before it, or has withdrawn what nobody
    began to carry out; they will never be published. A later attempt may be, and then this makes way for what it
    decides."""
    commit: Commit
    write_always_only: bool = False
    loads: tuple[TableLoad, ...] = ()
    files: tuple[FileRecord, ...] = ()
    """Whole records, ids included: whoever carries this out makes the same ones."""
    finished: datetime | None = None

    def makes_way_for(self, attempt: int) -> bool:
        """Whether this attempt may still be decided upon."""
        return self.state == "abandoned" and self.commit.attempt < attempt


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One table that a run changed."""

    table: str
    """Table id."""
    rows: int
    """Rows that the run brought."""
    bytes: int
    """Bytes that the run brought."""


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file that a run made."""

    id: str
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Published:
    """What is published for a run."""

    attempt: int
    tables: tuple[PublishedTable, ...]
    time: datetime
    files: tuple[PublishedFile, ...] = ()


async def publish(
    store: Store,
    run: str,
    attempt: int,
    result: StageOutResult,
    *,
    write_always_only: bool = False,
    now: datetime | None = None,
    deciding: Callable[[], object] = lambda: None,
) -> Published:
    """Publish what an attempt uploaded. May be called again with the same arguments at any time, by anybody.

    Args:
        store: the Storage.
        run: uid of the run.
        attempt: number of the attempt, from 1.
        result: what stage-out says it uploaded.
        write_always_only: the run failed: publish its `writeAlways` tables only, and no files.
        now: time of the commit; None: the clock's.
        deciding: called before the journal is sent or carried out: until then this call has certainly changed nothing.

    Raises:
        UserError: (OutputInvalid) loads do not fit their tables; names all of them, and nothing was changed.
        FencedError: (PublishFailed) another attempt is published; nothing was changed by this call.
        PlatformError: (PublishFailed) a slice is not what stage-out says, or not its own; nothing was changed.
        TransientError: the store is away; call again.
    """
    commit = Commit(run=run, attempt=attempt, time=now or datetime.now(UTC))
    seen: dict[str, VersionedPointer | None] = {}
    try:
        own_prefix = store.layout.data(run, attempt)
        loads = loads_of(result.tables, own_prefix, write_always_only=write_always_only)
        files = () if write_always_only else records_of(result.files, own_prefix, run, attempt, commit.time)
        seen, versions = await check_uploaded(store, loads, files, own_prefix)
    except ComponentRunError:
        # What was decided before is carried out, even where it could not be decided again.
        decided = await _read_decision(store, run)
        if decided is None or decided.journal.makes_way_for(attempt):
            raise
    else:
        wanted = Journal(
            # With nothing to carry out, the decision is the whole of it.
            state="publishing" if loads or files else "done",
            commit=commit,
            write_always_only=write_always_only,
            loads=tuple(_pinned(load, versions) for load in loads),
            files=tuple(_pinned_file(record, versions) for record in files),
            finished=None if loads or files else commit.time,
        )
        deciding()
        decided = await _decide(store, wanted)
    if decided.journal.state == "abandoned" or decided.journal.commit.attempt != attempt:
        raise _fenced(decided.journal, run, attempt)
    deciding()
    return await _carry_out(store, decided, seen)


async def check_files(store: Store, run: str, attempt: int, result: StageOutResult) -> None:
    """Refuse files that could not be published.

    Raises:
        PlatformError: (PublishFailed) an object is not what stage-out says, or not its own.
    """
    own_prefix = store.layout.data(run, attempt)
    commit = Commit(run=run, attempt=attempt, time=datetime.now(UTC))
    await check_uploaded(store, (), records_of(result.files, own_prefix, run, attempt, commit.time), own_prefix)


async def resume(store: Store, run: str) -> Published | None:
    """Complete what a run's journal says; None where nothing was decided (no journal, or the data has been swept)."""
    decided = await _read_decision(store, run)
    if decided is None or decided.journal.state == "abandoned":
        return None
    return await _carry_out(store, decided, {})


async def read_journal(store: Store, run: str) -> Journal | None:
    """What was decided about a run; None: nothing yet."""
    decided = await _read_decision(store, run)
    return decided.journal if decided is not None else None


@dataclass(frozen=True, slots=True)
class _Decision:
    """A journal and the ETag under which it is stored."""

    journal: Journal
    etag: str


async def _read_decision(store: Store, run: str) -> _Decision | None:
    key = store.layout.journal(run)
    stored = await store.find(key)
    if stored is None:
        return None
    where = f"the commit journal {store.settings.where(key)}"
    return _Decision(parse_document(Journal, stored.data, where, JOURNAL_FORMAT), stored.etag)


def apply_all(pointer: Pointer | None, loads: Iterable[TableLoad], commit: Commit) -> Pointer | None:
    """A table after all loads that one run brings for it, which count as one change; merged as well as can be.

    Args:
        pointer: the table before; None: there never was one.
        loads: in the order of the output mapping.
        commit: who loads.
    """
    version = pointer.version + 1 if pointer is not None else 1
    changes = []
    for load in loads:
        pointer = merge_load(pointer, load, commit, version)
        changes.append(pointer.change)
    if pointer is None or not changes:
        return pointer
    # Only the first of several loads may replace the rows.
    return pointer.model_copy(update={"change": changes[0]})


def _pinned(load: TableLoad, versions: Mapping[str, str | None]) -> TableLoad:
    slices = tuple(part.model_copy(update={"version": versions[part.key]}) for part in load.slices)
    return load.model_copy(update={"slices": slices})


def _pinned_file(record: FileRecord, versions: Mapping[str, str | None]) -> FileRecord:
    parts = tuple(part.model_copy(update={"version": versions[part.key]}) for part in record.parts)
    return record.model_copy(update={"parts": parts})


async def _decide(store: Store, wanted: Journal) -> _Decision:
    """Write the journal, unless there is one: then that one counts, whoever wrote it."""
    key = store.layout.journal(wanted.commit.run)
    try:
        return _Decision(wanted, await store.create(key, wanted.to_bytes()))
    except ExistsError:
        decided = await _read_decision(store, wanted.commit.run)
    if decided is not None and decided.journal.makes_way_for(wanted.commit.attempt):
        try:
            return _Decision(wanted, await store.swap(key, wanted.to_bytes(), decided.etag))
        except StaleError:
            # The sweeper has claimed this attempt, too; or another operator was faster, or this very write got through.
            decided = await _read_decision(store, wanted.commit.run)
    if decided is None:
        raise TransientError(f"{store.settings.where(key)} was there and is not any more", Reason.STORAGE_UNAVAILABLE)
    return decided


async def claim(store: Store, run: str, attempt: int, now: datetime) -> bool:
    """Have it that an attempt is never published. For the sweeper, before the attempt's data goes.

    Returns:
        Whether that is so: not where its run is being published at this moment.
    """
    abandoned = Journal(state="abandoned", commit=Commit(run=run, attempt=attempt, time=now))
    found = await _read_decision(store, run)
    if found is not None and not found.journal.makes_way_for(attempt):
        return found.journal.state != "publishing"
    try:
        if found is None:
            await store.create(store.layout.journal(run), abandoned.to_bytes())
        else:
            await store.swap(store.layout.journal(run), abandoned.to_bytes(), found.etag)
    except (ExistsError, StaleError):
        return False  # it is being published at this moment; the next sweep sees how that ended
    return True


async def withdraw(store: Store, journal: Journal, now: datetime) -> None:
    """Have it that a decision that nobody began to carry out never is. Not where somebody else may be about to.

    Args:
        store: the Storage.
        journal: as it was read, see `has_begun`.
        now: the time.
    """
    run = journal.commit.run
    found = await _read_decision(store, run)
    if found is None or found.journal != journal:
        return  # it was carried out in this moment
    abandoned = Journal(state="abandoned", commit=Commit(run=run, attempt=journal.commit.attempt, time=now))
    try:
        await store.swap(store.layout.journal(run), abandoned.to_bytes(), found.etag)
    except StaleError:
        return  # likewise


async def has_begun(store: Store, journal: Journal) -> bool:
    """Whether something of a decision was carried out, or may have been: of files that is not looked up."""

    async def is_changed(table: str) -> bool:
        found = await read_pointer(store, TableId.parse(table))
        return found is not None and found.pointer.has_commit(journal.commit.run)

    return bool(journal.files) or any(await gather_bounded(is_changed, by_table(journal.loads)))


async def _carry_out(store: Store, decided: _Decision, seen: dict[str, VersionedPointer | None]) -> Published:
    """Do what a journal says. `seen`: tables that were read a moment ago."""
    journal = decided.journal
    if journal.state == "publishing":

        async def change(item: tuple[str, list[TableLoad]]) -> None:
            table, loads = item
            merge = partial(apply_all, loads=loads, commit=journal.commit)
            await change_table(store, TableId.parse(table), journal.commit.run, merge, seen=seen.get(table))

        await gather_bounded(change, by_table(journal.loads).items())
        await create_files(store, journal.files)
        await _mark_done(store, decided)
    return Published(
        attempt=journal.commit.attempt,
        tables=tuple(
            PublishedTable(table, sum(load.rows for load in loads), sum(load.size for load in loads))
            for table, loads in by_table(journal.loads).items()
        ),
        time=journal.commit.time,
        files=tuple(PublishedFile(file.id, file.name, file.size) for file in journal.files),
    )


async def _mark_done(store: Store, decided: _Decision) -> None:
    run = decided.journal.commit.run
    done = decided.journal.model_copy(update={"state": "done", "finished": datetime.now(UTC)})
    try:
        await store.swap(store.layout.journal(run), done.to_bytes(), decided.etag)
    except StaleError:
        # The only other change to a journal in this state is the same mark, set by another operator (or by this very
        # write, whose answer was lost).
        now = await read_journal(store, run)
        if now is None or now.state != "done":
            raise


def _fenced(journal: Journal, run: str, attempt: int) -> FencedError:
    if journal.state == "abandoned":
        return FencedError(
            f"run {run}, attempt {attempt}, can't be published: its data was swept at "
            f"{journal.commit.time:%Y-%m-%d %H:%M}, because nobody had published it for too long. Run it again",
            Reason.PUBLISH_FAILED,
        )
    return FencedError(
        f"run {run}, attempt {attempt}, can't be published: attempt {journal.commit.attempt} of it already is "
        f"({journal.state} since {journal.commit.time:%Y-%m-%d %H:%M:%S})",
        Reason.PUBLISH_FAILED,
    )
