"""Deleting what nobody needs any more: what has expired, what nothing names, and what outlived its run.

What an attempt uploaded, below `data/`, is needed until it is loaded into tables; what files name is needed until these
expire. A prefix is swept only if no file named it for the whole keep time, as the sweeper's own notes (`sweep.json`)
say, so that whoever began to read a file before it expired reads to its end. Before its objects go, the attempt is
claimed (`files.publish.claim`), so that nobody can publish files whose bytes are about to vanish, and it is looked once
more whether a file names it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field

from componentrun.contract import MAX_TIMEOUT_SECONDS
from componentrun.errors import PlatformError
from componentrun.storage.cleanup.leftovers import delete_below, held_folders, outlived_documents
from componentrun.storage.files.expiry import delete_expired, named_data
from componentrun.storage.files.publish import claim
from componentrun.storage.store.document import StorageModel, parse_document
from componentrun.storage.store.errors import ExistsError, StaleError
from componentrun.storage.store.gather import gather_bounded
from componentrun.storage.store.hiddenversions import delete_hidden
from componentrun.storage.store.multipart import end_uploads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.storage.store.connection import Store

__all__ = ["MIN_KEEP", "Swept", "sweep"]

MIN_KEEP: Final = timedelta(seconds=MAX_TIMEOUT_SECONDS) + timedelta(hours=24)
"""The longest run and its upload; no attempt that is younger than this may lose its objects."""
_NOTES_FORMAT: Final = 1


class _Notes(StorageModel):
    """Since when no file has named data prefixes."""

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
    """Prefixes that no file names and that are kept for now."""
    files: int = 0
    """Files that had expired; their data follows after the keep time."""
    documents: int = 0
    """Plans and notes that had outlived their runs."""
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
    hidden: bool = False,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Swept:
    """Delete what has expired, data prefixes that no file has named for `keep`, and documents of runs that are older.

    Args:
        store: the Storage.
        keep: at least `MIN_KEEP`.
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
    folders = await held_folders(store, store.layout.data_root())
    swept = await _sweep_data(store, folders, now, keep, dry_run=dry_run)
    gone = frozenset(place for folder in swept.prefixes for place in _plans(store, folder))
    # A note stays for one more sweep than its data: who looked at that data before it went still runs into it.
    documents = 0
    async for keys in outlived_documents(store, now - keep, folders, gone):
        documents += len(keys)
        if not dry_run:
            await store.delete(keys)
    hidden_count, refused = await _delete_hidden(store, dry_run=dry_run) if hidden else (None, "")
    return replace(
        swept,
        files=files,
        documents=documents,
        uploads=await end_uploads(store.settings, now - keep, dry_run=dry_run) if hidden else None,
        hidden=hidden_count,
        refused=refused,
    )


async def _delete_hidden(store: Store, *, dry_run: bool) -> tuple[int | None, str]:
    """How many, or why nobody knows: keys that may not even ask belong to a bucket whose owner sees to that."""
    try:
        return await delete_hidden(store, dry_run=dry_run), ""
    except PlatformError as error:
        return None, error.message


async def _sweep_data(store: Store, folders: list[str], now: datetime, keep: timedelta, *, dry_run: bool) -> Swept:
    unnamed = await _unnamed(store, folders)
    etag, notes = await _notes(store)
    since = {folder: notes.unnamed.get(folder, now) for folder in unnamed}
    due = {folder: unnamed[folder] for folder, time in since.items() if now - time >= keep}
    if not dry_run:
        await gather_bounded(lambda owner: claim(store, *owner), due.values())
    # A run whose files were published between the first look and its claim has their keys by now.
    doomed = await _unnamed(store, due)
    objects, size = 0, 0
    for folder in doomed:
        for place in (folder, *_plans(store, folder)):
            count, own_size = await delete_below(store, place, dry_run=dry_run)
            objects, size = objects + count, size + own_size
    if not dry_run:
        left = {folder: time for folder, time in since.items() if folder not in doomed}
        await _take_notes(store, _Notes(unnamed=left), etag)
    return Swept(tuple(doomed), objects, size, waiting=len(since) - len(doomed))


async def _unnamed(store: Store, folders: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Those of the prefixes of attempts that no file names, and whose they are: run and attempt."""
    owners = {folder: owner for folder in folders if (owner := store.layout.run_of_data(folder)) is not None}
    with_files = await named_data(store, owners)
    return {folder: owner for folder, owner in owners.items() if folder not in with_files}


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
