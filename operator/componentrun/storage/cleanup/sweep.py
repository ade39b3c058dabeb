"""Deletes expired objects, unreferenced objects and those of deleted runs.

An attempt's uploads below `data/` are needed until they are loaded into tables; objects of files are needed until the
files expire. A prefix is swept only if no file referred to it for the whole keep time, according to the sweeper's own
notes (`sweep.json`), so that a reader who started before a file expired can finish. Before its objects are deleted, the
attempt is claimed (`files.publish.claim`), so that nobody can publish files whose bytes are about to be deleted, and
the references of files are checked once more.
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
"""The longest run and its upload; objects of younger attempts must not be deleted."""
_NOTES_FORMAT: Final = 1


class _Notes(StorageModel):
    """Times since when no file has referred to data prefixes."""

    format: int = _NOTES_FORMAT
    unnamed: dict[str, datetime] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Swept:
    """Counts of deleted objects, or with `dry_run` of those that would be deleted."""

    prefixes: tuple[str, ...] = ()
    """Number of prefixes below `data/`."""
    objects: int = 0
    """Number of objects in these prefixes, and of plans of the same attempts."""
    bytes: int = 0
    """Size of these objects in bytes."""
    waiting: int = 0
    """Unreferenced prefixes that are kept for now."""
    files: int = 0
    """Expired files; their data is deleted after the keep time."""
    documents: int = 0
    """Plans and markers that were no longer needed."""
    uploads: int | None = None
    """Unfinished multipart uploads; None: not requested, or the store can't list them."""
    hidden: int | None = None
    """Noncurrent versions in a bucket with versioning; None: not requested, or the keys lack the permission."""
    refused: str = ""
    """Why the keys lack the permission, if `hidden` was requested."""


async def sweep(
    store: Store,
    keep: timedelta = MIN_KEEP,
    *,
    hidden: bool = False,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Swept:
    """Delete expired files, data prefixes that no file has referred to for `keep`, and documents of older runs.

    Args:
        store: the Storage.
        keep: at least `MIN_KEEP`.
        hidden: whether to delete what no listing of objects shows: multipart uploads that were started longer than
        `keep` ago, and noncurrent versions in a bucket with versioning.
        dry_run: delete nothing and write no notes.
        now: the time; None: the clock's.

    Raises:
        PlatformError: (Internal) `keep` is too short.
    """
    if keep < MIN_KEEP:
        raise PlatformError(f"data of runs must be kept for at least {MIN_KEEP}; asked for {keep}")
    now = now or datetime.now(UTC)
    files = await delete_expired(store, dry_run=dry_run, now=now)
    folders = await held_folders(store, store.layout.data_root())
    result = await _sweep_data(store, folders, now, keep, dry_run=dry_run)
    deleted_folders = frozenset(place for folder in result.prefixes for place in _plans(store, folder))
    # A marker is kept for one more sweep than its data, for operators that read the data before it was deleted.
    documents = 0
    async for keys in outlived_documents(store, now - keep, folders, deleted_folders):
        documents += len(keys)
        if not dry_run:
            await store.delete(keys)
    hidden_count, refused = await _delete_hidden(store, dry_run=dry_run) if hidden else (None, "")
    return replace(
        result,
        files=files,
        documents=documents,
        uploads=await end_uploads(store.settings, now - keep, dry_run=dry_run) if hidden else None,
        hidden=hidden_count,
        refused=refused,
    )


async def _delete_hidden(store: Store, *, dry_run: bool) -> tuple[int | None, str]:
    """Return the number, or the reason why it is unknown, such as missing permissions of the keys."""
    try:
        return await delete_hidden(store, dry_run=dry_run), ""
    except PlatformError as error:
        return None, error.message


async def _sweep_data(store: Store, folders: list[str], now: datetime, keep: timedelta, *, dry_run: bool) -> Swept:
    unnamed = await _unnamed(store, folders)
    etag, notes = await _notes(store)
    first_seen = {folder: notes.unnamed.get(folder, now) for folder in unnamed}
    due = {folder: unnamed[folder] for folder, time in first_seen.items() if now - time >= keep}
    if not dry_run:
        await gather_bounded(lambda owner: claim(store, *owner), due.values())
    # If files of the run were published between the first check and the claim, their keys exist by now.
    deleted = await _unnamed(store, due)
    objects, size = 0, 0
    for folder in deleted:
        for place in (folder, *_plans(store, folder)):
            count, own_size = await delete_below(store, place, dry_run=dry_run)
            objects, size = objects + count, size + own_size
    if not dry_run:
        remaining = {folder: time for folder, time in first_seen.items() if folder not in deleted}
        await _take_notes(store, _Notes(unnamed=remaining), etag)
    return Swept(tuple(deleted), objects, size, waiting=len(first_seen) - len(deleted))


async def _unnamed(store: Store, folders: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the unreferenced ones of attempts' prefixes, with run and attempt."""
    owners = {folder: owner for folder in folders if (owner := store.layout.run_of_data(folder)) is not None}
    with_files = await named_data(store, owners)
    return {folder: owner for folder, owner in owners.items() if folder not in with_files}


def _plans(store: Store, folder: str) -> tuple[str, ...]:
    """Return the prefix of the plans of the attempt with this data prefix; they are not read again."""
    owner = store.layout.run_of_data(folder)
    return (store.layout.plans(*owner),) if owner is not None else ()


async def _notes(store: Store) -> tuple[str | None, _Notes]:
    document = await store.find(store.layout.sweep())
    if document is None:
        return None, _Notes()
    where = f"the sweeper's notes ({store.settings.where(store.layout.sweep())})"
    return document.etag, parse_document(_Notes, document.data, where, _NOTES_FORMAT)


async def _take_notes(store: Store, notes: _Notes, etag: str | None) -> None:
    key = store.layout.sweep()
    try:
        if etag is None:
            await store.create(key, notes.to_bytes())
        else:
            await store.swap(key, notes.to_bytes(), etag)
    except (ExistsError, StaleError):
        # A concurrent sweeper does the same work. Its notes are equally good; entries missing in them only wait longer.
        return
