"""Publishing: an attempt's tables change all or not at all, and once.

    1. check     each slice lies below the attempt's own prefix and is the object that was uploaded;
                 each load fits its table. A refusal here has changed nothing.
    2. journal   `journal.json` is created, which succeeds once for a run: from here on the run is published, by this
                 attempt and with these loads, whoever carries it out.
    3. pointers  each table's pointer is replaced by compare-and-swap; read again and merged anew where another run was
                 faster; left alone where this run is in it already.
    4. done      the journal is marked.

Killed between any two writes, `publish` or `resume` completes what the journal says. Two that do so at the same time
come to the same end.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.storage.connection import plain_etag, quoted_etag
from componentrun.storage.failures import ExistsError, StaleError
from componentrun.storage.layout import TableId
from componentrun.storage.pointer import (
    Commit,
    Pointer,
    Slice,
    StorageModel,
    TableLoad,
    check_load,
    merge_load,
    parse_document,
)
from componentrun.storage.tables import gather_bounded, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.exchange import StageOutResult, TableWritten
    from componentrun.storage.connection import Store

__all__ = ["FencedError", "Journal", "Published", "PublishedTable", "publish", "read_journal", "resume"]

JOURNAL_FORMAT: Final = 1
_SWAP_ATTEMPTS: Final = 100
"""Each lost swap means that another run's was won, so this many are lost only where as many runs write one table."""
_PAUSE_SECONDS: Final = 0.01


class FencedError(PlatformError):
    """Another attempt of this run is the one that is published, or its data has been swept."""


class Journal(StorageModel):
    """The decision to publish: `journal.json`, one for a run."""

    format: int = JOURNAL_FORMAT
    state: Literal["publishing", "done", "abandoned"]
    """Abandoned: the sweeper has claimed the run's data; it will never be published."""
    commit: Commit
    write_always_only: bool = False
    loads: tuple[TableLoad, ...] = ()
    finished: datetime | None = None


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
class Published:
    """What is published for a run."""

    attempt: int
    tables: tuple[PublishedTable, ...]
    time: datetime


async def publish(
    store: Store,
    run: str,
    attempt: int,
    result: StageOutResult,
    *,
    write_always_only: bool = False,
    now: datetime | None = None,
) -> Published:
    """Publish what an attempt uploaded. May be called again with the same arguments at any time, by anybody.

    Args:
        store: the Storage.
        run: uid of the run.
        attempt: number of the attempt, from 1.
        result: what stage-out says it uploaded.
        write_always_only: the run failed: publish its `writeAlways` tables only.
        now: time of the commit; None: the clock's.

    Raises:
        UserError: (OutputInvalid) a load does not fit its table; nothing was changed.
        FencedError: (PublishFailed) another attempt is published; nothing was changed by this call.
        PlatformError: (PublishFailed) a slice is not what stage-out says, or not its own; nothing was changed.
        TransientError: the store is away; call again.
    """
    journal = await read_journal(store, run)
    if journal is None:
        commit = Commit(run=run, attempt=attempt, time=now or datetime.now(UTC))
        loads = loads_of(result.tables, store.layout.data(run, attempt), write_always_only=write_always_only)
        await _check(store, loads)
        wanted = Journal(state="publishing", commit=commit, write_always_only=write_always_only, loads=loads)
        journal = await _decide(store, wanted)
    if journal.state == "abandoned" or journal.commit.attempt != attempt:
        raise _fenced(journal, run, attempt)
    return await _carry_out(store, journal)


async def resume(store: Store, run: str) -> Published | None:
    """Complete what a run's journal says; None where nothing was decided (no journal, or the data has been swept)."""
    journal = await read_journal(store, run)
    if journal is None or journal.state == "abandoned":
        return None
    return await _carry_out(store, journal)


async def read_journal(store: Store, run: str) -> Journal | None:
    """What was decided about a run; None: nothing yet."""
    key = store.layout.journal(run)
    stored = await store.find(key)
    return None if stored is None else _parse(store, key, stored.data)


def loads_of(tables: Iterable[TableWritten], own_prefix: str, *, write_always_only: bool) -> tuple[TableLoad, ...]:
    """The loads that an attempt's result asks for.

    Raises:
        UserError: (OutputInvalid) a destination is no table id, or one file would replace another.
        PlatformError: (PublishFailed) a slice lies outside `own_prefix`.
    """
    loads = tuple(_load(table, own_prefix) for table in tables if table.write_always or not write_always_only)
    for table, several in _by_table(loads).items():
        for load in several[1:]:
            if not load.incremental:
                raise UserError(
                    f"`{several[0].source}` and `{load.source}` both become `{table}`, where the latter would replace "
                    f"the former; give `{load.source}` another destination, or make it incremental",
                    Reason.OUTPUT_INVALID,
                )
    return loads


def _load(written: TableWritten, own_prefix: str) -> TableLoad:
    for part in written.slices:
        if not part.key.startswith(own_prefix) or ".." in part.key.split("/"):
            raise PlatformError(
                f"`{written.destination}` names the object `{part.key}`; expected one below `{own_prefix}`, "
                "the only place that the attempt may write to. Nothing was published",
                Reason.PUBLISH_FAILED,
            )
    try:
        table = TableId.parse(written.destination)
    except UserError as error:
        raise UserError(f"`{written.source}`: {error.message}", Reason.OUTPUT_INVALID) from None
    return TableLoad(
        table=str(table),
        source=written.source,
        columns=written.columns,
        primary_key=written.primary_key,
        incremental=written.incremental,
        slices=tuple(
            Slice(key=part.key, size=part.size, rows=part.rows, etag=quoted_etag(part.etag))
            for part in written.slices
            if part.size
        ),
    )


def apply_all(pointer: Pointer | None, loads: Iterable[TableLoad], commit: Commit, *, checked: bool) -> Pointer | None:
    """A table after all loads that one run brings for it, which count as one change.

    Args:
        pointer: the table before; None: there is none.
        loads: in the order of the output mapping.
        commit: who loads.
        checked: whether a load that does not fit is refused (`UserError`) or merged as well as can be.
    """
    before = pointer
    for load in loads:
        if checked:
            check_load(pointer, load)
        pointer = merge_load(pointer, load, commit)
    if pointer is None or pointer is before:
        return pointer
    return pointer.model_copy(update={"version": before.version + 1 if before is not None else 1})


async def _check(store: Store, loads: tuple[TableLoad, ...]) -> None:
    """Refuse, before anything is decided, what can't be published."""

    async def check_slice(part: Slice) -> None:
        found = await store.head(part.key)
        if found is None or found.size != part.size or plain_etag(found.etag) != plain_etag(part.etag):
            seen = f"{found.size} bytes, ETag {found.etag}" if found is not None else "no object"
            raise PlatformError(
                f"{store.settings.where(part.key)} is not what stage-out uploaded: found {seen}; "
                f"expected {part.size} bytes, ETag {part.etag}. Nothing was published",
                Reason.PUBLISH_FAILED,
            )

    async def check_table(item: tuple[str, list[TableLoad]]) -> None:
        found = await read_table(store, TableId.parse(item[0]))
        commit = Commit(run="check", attempt=1, time=datetime.now(UTC))
        apply_all(found.pointer if found is not None else None, item[1], commit, checked=True)

    await gather_bounded(check_table, _by_table(loads).items())
    await gather_bounded(check_slice, [part for load in loads for part in load.slices])


async def _decide(store: Store, wanted: Journal) -> Journal:
    """Write the journal, unless there is one: then that one counts, whoever wrote it."""
    key = store.layout.journal(wanted.commit.run)
    try:
        await store.create(key, wanted.to_bytes())
    except ExistsError:
        stored = await store.find(key)
        if stored is None:
            raise TransientError(
                f"{store.settings.where(key)} was there and is not; trying again", Reason.STORAGE_UNAVAILABLE
            ) from None
        return _parse(store, key, stored.data)
    return wanted


async def _carry_out(store: Store, journal: Journal) -> Published:
    if journal.state == "publishing":

        async def change(item: tuple[str, list[TableLoad]]) -> None:
            await _change_table(store, TableId.parse(item[0]), item[1], journal.commit)

        await gather_bounded(change, _by_table(journal.loads).items())
        await _mark_done(store, journal)
    return Published(
        attempt=journal.commit.attempt,
        tables=tuple(
            PublishedTable(table, sum(load.rows for load in loads), sum(load.size for load in loads))
            for table, loads in _by_table(journal.loads).items()
        ),
        time=journal.commit.time,
    )


async def _change_table(store: Store, table: TableId, loads: list[TableLoad], commit: Commit) -> None:
    key = store.layout.pointer(table)
    for lost in range(_SWAP_ATTEMPTS):
        found = await read_table(store, table)
        if found is not None and found.pointer.has_commit(commit.run):
            return
        changed = apply_all(found.pointer if found is not None else None, loads, commit, checked=False)
        if changed is None:
            return
        try:
            if found is None:
                await store.create(key, changed.to_bytes())
            else:
                await store.swap(key, changed.to_bytes(), found.etag)
        except (ExistsError, StaleError):
            # Another run was faster, or this very write got through and its answer was lost: reading again tells.
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * min(lost + 1, 10)))  # noqa: S311 - spreads writers
            continue
        return
    raise TransientError(
        f"`{table}` was changed by others {_SWAP_ATTEMPTS} times while run {commit.run} was to be published into it; "
        "it will be tried again",
        Reason.PUBLISH_FAILED,
    )


async def _mark_done(store: Store, journal: Journal) -> None:
    key = store.layout.journal(journal.commit.run)
    stored = await store.get(key)
    if _parse(store, key, stored.data).state == "done":
        return
    done = journal.model_copy(update={"state": "done", "finished": datetime.now(UTC)})
    try:
        await store.swap(key, done.to_bytes(), stored.etag)
    except StaleError:
        # The only other change to a journal in this state is the same mark, set by another operator.
        if _parse(store, key, (await store.get(key)).data).state != "done":
            raise


def _by_table(loads: Iterable[TableLoad]) -> dict[str, list[TableLoad]]:
    grouped: dict[str, list[TableLoad]] = {}
    for load in loads:
        grouped.setdefault(load.table, []).append(load)
    return grouped


def _parse(store: Store, key: str, data: bytes) -> Journal:
    return parse_document(Journal, data, f"the commit journal {store.settings.where(key)}", JOURNAL_FORMAT)


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
