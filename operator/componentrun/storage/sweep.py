"""Deleting what has expired, and slices that nothing names: what failed runs left, and what full loads replaced.

A prefix below `data/` is swept only if no pointer and no file named it for the whole keep time, as the sweeper's own
notes (`sweep.json`) say, so that a run that began to read a table before it was replaced reads to its end. Before its
objects go, the run's journal is claimed (created as `abandoned`), so that nobody can publish what is about to vanish; a
run that is being published is left alone. That order makes it safe against commits at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field

from componentrun.contract import MAX_TIMEOUT_SECONDS
from componentrun.errors import PlatformError
from componentrun.storage.commit import Journal, read_journal
from componentrun.storage.failures import ExistsError, StaleError
from componentrun.storage.files import delete_expired, named_data
from componentrun.storage.pointer import Commit, StorageModel, parse_document
from componentrun.storage.tables import gather_bounded, list_tables, read_table

if TYPE_CHECKING:
    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId

__all__ = ["MIN_KEEP", "Swept", "sweep"]

MIN_KEEP: Final = timedelta(seconds=MAX_TIMEOUT_SECONDS) + timedelta(hours=24)
"""The longest run and its upload; no attempt that is younger than this may lose its objects."""
_NOTES_FORMAT: Final = 1
_DELETE_CHUNK: Final = 1000


class _Notes(StorageModel):
    """Since when data prefixes have been without a pointer."""

    format: int = _NOTES_FORMAT
    unnamed: dict[str, datetime] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Swept:
    """What was deleted, or would be."""

    prefixes: tuple[str, ...]
    objects: int
    bytes: int
    waiting: int
    """Prefixes without a pointer that are kept for now."""


async def sweep(store: Store, keep: timedelta, *, dry_run: bool = False, now: datetime | None = None) -> Swept:
    """Delete files that have expired, and data prefixes that no pointer and no file has named for `keep`.

    Args:
        store: the Storage.
        keep: at least `MIN_KEEP`.
        dry_run: delete nothing and take no notes.
        now: the time; None: the clock's.

    Raises:
        PlatformError: (Internal) `keep` is too short.
    """
    if keep < MIN_KEEP:
        raise PlatformError(f"data of runs must be kept for at least {MIN_KEEP}; asked for {keep}")
    now = now or datetime.now(UTC)
    await delete_expired(store, dry_run=dry_run, now=now)
    folders = await store.folders(store.layout.data_root())
    unnamed = await _unnamed(store, folders)
    etag, notes = await _notes(store)
    since = {folder: notes.unnamed.get(folder, now) for folder in unnamed}
    due = [folder for folder, noted in since.items() if now - noted >= keep]
    claimed = [folder for folder in due if dry_run or await _claim(store, folder, now)]
    # A run that was published between the first look and its claim has its pointer by now.
    doomed = await _unnamed(store, claimed)
    objects, size = 0, 0
    for folder in doomed:
        found = [info for place in (folder, *_plans(store, folder)) async for info in store.objects(place)]
        objects, size = objects + len(found), size + sum(info.size for info in found)
        if not dry_run:
            await _delete(store, [info.key for info in found])
    if not dry_run:
        left = {folder: noted for folder, noted in since.items() if folder not in doomed}
        await _take_notes(store, _Notes(unnamed=left), etag)
    return Swept(tuple(doomed), objects, size, waiting=len(since) - len(doomed))


async def _unnamed(store: Store, folders: list[str]) -> list[str]:
    """Those of the prefixes that no pointer and no file names."""
    if not folders:
        return []

    async def named(table: TableId) -> set[str]:
        found = await read_table(store, table)
        if found is None:
            return set()
        return {store.layout.data(segment.run, segment.attempt) for segment in found.pointer.segments}

    tables = [table async for table in list_tables(store)]
    taken = set().union(await named_data(store), *await gather_bounded(named, tables))
    return [folder for folder in folders if folder not in taken and store.layout.run_of_data(folder) is not None]


async def _claim(store: Store, folder: str, now: datetime) -> bool:
    """Whether a prefix's objects may go: its run is published without them, or never will be."""
    owner = store.layout.run_of_data(folder)
    if owner is None:
        return False
    run, attempt = owner
    journal = await read_journal(store, run)
    if journal is not None:
        return journal.state != "publishing"
    abandoned = Journal(state="abandoned", commit=Commit(run=run, attempt=attempt, time=now))
    try:
        await store.create(store.layout.journal(run), abandoned.to_bytes())
    except ExistsError:
        return False  # it is being published at this moment; the next sweep sees how that ended
    return True


def _plans(store: Store, folder: str) -> tuple[str, ...]:
    """Where the plans of the attempt lie whose data prefix this is; nobody reads them again."""
    owner = store.layout.run_of_data(folder)
    return (store.layout.plans(*owner),) if owner is not None else ()


async def _delete(store: Store, keys: list[str]) -> None:
    for start in range(0, len(keys), _DELETE_CHUNK):
        await store.delete(keys[start : start + _DELETE_CHUNK])


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
