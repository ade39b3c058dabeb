"""Deleting what nobody needs any more: what has expired, what nothing names, and what outlived its run.

A prefix below `data/` is swept only if nothing (pointer, kept version, file) named it for the whole keep time, as the
sweeper's own notes (`sweep.json`) say, so that a run that began to read a table before it was replaced reads to its
end. Before its objects go, the run's journal is claimed for this attempt (`abandoned`), so that nobody can publish what
is about to vanish; a run that is being published is left alone. That order makes it safe against commits at the same
time. A later attempt of the run may still be published: it may have waited long for its turn.

A run that has been at it for longer than an operator tries has none any more: it was deleted with half of its tables
switched over. The sweeper completes it, as whoever finds such a journal may. What somebody loaded by hand is one table:
where that was not switched over, they were told so, and may have loaded it again since, or something else. So it never
is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field

from componentrun.contract import MAX_TIMEOUT_SECONDS
from componentrun.errors import PlatformError
from componentrun.storage.commit import claim, has_begun, read_journal, resume, withdraw
from componentrun.storage.document import StorageModel, parse_document
from componentrun.storage.failures import ExistsError, StaleError
from componentrun.storage.fileexpiry import delete_expired, named_data
from componentrun.storage.gather import gather_bounded
from componentrun.storage.hidden import delete_hidden
from componentrun.storage.leftovers import delete_below, held_folders, outlived_documents
from componentrun.storage.multipart import end_uploads
from componentrun.storage.named import delete_expired_versions, named_prefixes, pinned_versions
from componentrun.storage.upload import is_by_hand

if TYPE_CHECKING:
    from collections.abc import Collection

    from componentrun.storage.connection import Store

__all__ = ["HISTORY_KEEP", "MIN_KEEP", "Swept", "sweep"]

MIN_KEEP: Final = timedelta(seconds=MAX_TIMEOUT_SECONDS) + timedelta(hours=24)
"""The longest run and its upload; no attempt that is younger than this may lose its objects."""
HISTORY_KEEP: Final = timedelta(days=7)
"""How long an earlier version of a table can be restored, where nobody says another time."""
_PUBLISHED_BY_OPERATOR: Final = timedelta(hours=2)
"""An operator completes what it began to publish within an hour, or as soon as the store answers."""
_NOTES_FORMAT: Final = 1


class _Notes(StorageModel):
    """Since when nothing has named data prefixes."""

    format: int = _NOTES_FORMAT
    unnamed: dict[str, datetime] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Swept:
    """What was deleted, or would be."""

    prefixes: tuple[str, ...] = ()
    """Below `data/`."""
    objects: int = 0
    """In these, with the plans of the same attempts."""
    bytes: int = 0
    """In these objects."""
    waiting: int = 0
    """Prefixes that nothing names and that are kept for now."""
    files: int = 0
    """Files that had expired; their data follows after the keep time."""
    versions: int = 0
    """Earlier versions of tables."""
    documents: int = 0
    """Plans and journals that had outlived their runs."""
    completed: tuple[str, ...] = ()
    """Runs whose tables were switched over in part, and are now as a whole."""
    uploads: int | None = None
    """Uploads in parts that were begun and never ended; None: nobody asked, or the store does not tell."""
    hidden: int | None = None
    """Versions of objects that were deleted or written over, in a bucket that keeps them; None: nobody asked, or the
    keys may not."""
    refused: str = ""
    """Why the keys may not, where `hidden` was asked for."""


async def sweep(
    store: Store,
    keep: timedelta = MIN_KEEP,
    *,
    history: timedelta = HISTORY_KEEP,
    hidden: bool = False,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Swept:
    """Delete what has expired, data prefixes that nothing has named for `keep`, and documents of runs that are older.

    Args:
        store: the Storage.
        keep: at least `MIN_KEEP`.
        history: how long a version of a table is kept after the next one took its place.
        hidden: whether what no listing of objects shows is deleted, too: uploads in parts that were begun longer than
            `keep` ago, and in a bucket that keeps versions what was deleted or written over.
        dry_run: delete nothing and take no notes.
        now: the time; None: the clock's.

    Raises:
        PlatformError: (Internal) `keep` is too short.
    """
    if keep < MIN_KEEP:
        raise PlatformError(f"data of runs must be kept for at least {MIN_KEEP}; asked for {keep}")
    now = now or datetime.now(UTC)
    files = await delete_expired(store, dry_run=dry_run, now=now)
    versions = await delete_expired_versions(store, now - history, dry_run=dry_run)
    folders = await held_folders(store, store.layout.data_root())
    completed = await _complete(store, folders, now, dry_run=dry_run)
    swept = await _sweep_data(store, folders, _Times(now, keep, now - history), dry_run=dry_run)
    gone = frozenset(place for folder in swept.prefixes for place in _plans(store, folder))
    # A journal stays for one more sweep than its data: who looked at that data before it went still runs into it.
    documents = 0
    async for keys in outlived_documents(store, now - keep, folders, gone):
        documents += len(keys)
        if not dry_run:
            await store.delete(keys)
    hidden_count, refused = None, ""
    if hidden:
        hidden_count, refused = await _delete_hidden(store, now - history, dry_run=dry_run)
    return replace(
        swept,
        files=files,
        versions=versions,
        documents=documents,
        completed=completed,
        uploads=await end_uploads(store.settings, now - keep, dry_run=dry_run) if hidden else None,
        hidden=hidden_count,
        refused=refused,
    )


async def _delete_hidden(store: Store, versions_since: datetime, *, dry_run: bool) -> tuple[int | None, str]:
    """How many, or why nobody knows: keys that may not even ask belong to a bucket whose owner sees to that."""

    async def pins(keys: Collection[str]) -> dict[str, str | None]:
        return await pinned_versions(store, keys, versions_since)

    try:
        return await delete_hidden(store, pins, dry_run=dry_run), ""
    except PlatformError as error:
        return None, error.message


async def _complete(store: Store, folders: list[str], now: datetime, *, dry_run: bool) -> tuple[str, ...]:
    """Runs that began to be published long ago and never were, completed."""
    runs = sorted({owner[0] for owner in map(store.layout.run_of_data, folders) if owner is not None})

    async def is_half(run: str) -> bool:
        journal = await read_journal(store, run)
        if journal is None or journal.state != "publishing" or journal.commit.time >= now - _PUBLISHED_BY_OPERATOR:
            return False
        if is_by_hand(run) and not await has_begun(store, journal):
            if not dry_run:
                await withdraw(store, journal, now)
            return False
        if not dry_run:
            await resume(store, run)
        return True

    half = await gather_bounded(is_half, runs)
    return tuple(run for run, is_so in zip(runs, half, strict=True) if is_so)


@dataclass(frozen=True, slots=True)
class _Times:
    now: datetime
    keep: timedelta
    versions_since: datetime


async def _sweep_data(store: Store, folders: list[str], times: _Times, *, dry_run: bool) -> Swept:
    unnamed = await _unnamed(store, folders, times)
    etag, notes = await _notes(store)
    noted = await gather_bounded(lambda folder: _noted(store, folder, notes, times.now), unnamed)
    since = dict(zip(unnamed, noted, strict=True))
    due = [folder for folder, time in since.items() if times.now - time >= times.keep]
    claimed = [folder for folder in due if dry_run or await _claim(store, folder, times.now)]
    # A run that was published between the first look and its claim has its pointer by now.
    doomed = await _unnamed(store, claimed, times)
    objects, size = 0, 0
    for folder in doomed:
        for place in (folder, *_plans(store, folder)):
            count, own_size = await delete_below(store, place, dry_run=dry_run)
            objects, size = objects + count, size + own_size
    if not dry_run:
        left = {folder: time for folder, time in since.items() if folder not in doomed}
        await _take_notes(store, _Notes(unnamed=left), etag)
    return Swept(tuple(doomed), objects, size, waiting=len(since) - len(doomed))


async def _unnamed(store: Store, folders: list[str], times: _Times) -> list[str]:
    """Those of the prefixes that nothing names."""
    if not folders:
        return []
    taken = await named_prefixes(store, times.versions_since)
    rest = [folder for folder in folders if folder not in taken and store.layout.run_of_data(folder) is not None]
    with_files = await named_data(store, rest)
    return [folder for folder in rest if folder not in with_files]


async def _noted(store: Store, folder: str, notes: _Notes, now: datetime) -> datetime:
    """Since when nothing has named a prefix, as far as is known.

    One that was noted before its run was published was named after that, and nobody saw until when.
    """
    noted = notes.unnamed.get(folder)
    owner = store.layout.run_of_data(folder)
    if noted is None or owner is None:
        return now
    run, attempt = owner
    journal = await read_journal(store, run)
    published = journal.finished if journal is not None and journal.commit.attempt == attempt else None
    return now if published is not None and published > noted else noted


async def _claim(store: Store, folder: str, now: datetime) -> bool:
    """Whether a prefix's objects may go: its run is published without them, or never will be."""
    owner = store.layout.run_of_data(folder)
    if owner is None:
        return False
    return await claim(store, *owner, now)


def _plans(store: Store, folder: str) -> tuple[str, ...]:
    """Where the plans of the attempt lie whose data prefix this is; nobody reads them again."""
    owner = store.layout.run_of_data(folder)
    return (store.layout.plans(*owner),) if owner is not None else ()


async def _notes(store: Store) -> tuple[str | None, _Notes]:
    stored = await store.find(store.layout.sweep())
    if stored is None:
        return None, _Notes()
    where = f"the sweeper's notes ({store.settings.where(store.layout.sweep())})"
    return stored.etag, parse_document(_Notes, stored.data, where, _NOTES_FORMAT)


async def _take_notes(store: Store, notes: _Notes, etag: str | None) -> None:
    key = store.layout.sweep()
    try:
        if etag is None:
            await store.create(key, notes.to_bytes())
        else:
            await store.swap(key, notes.to_bytes(), etag)
    except (ExistsError, StaleError):
        # Two sweepers at once do the same work; the other's notes are as good, and what ours lack only waits longer.
        return
