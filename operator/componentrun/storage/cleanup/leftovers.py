"""Plans, and the sweeper's markers, that are older than their runs' data.

A plan is read while its attempt starts and when it is published. A marker that data was swept must outlive that data
for a while, because somebody may be about to publish it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from datetime import datetime

    from componentrun.storage.store.connection import ObjectInfo, Store

__all__ = ["delete_below", "held_folders", "outlived_documents"]

_BATCH: Final = 10_000


async def outlived_documents(
    store: Store, cutoff: datetime, data: Collection[str], deleted_folders: Collection[str]
) -> AsyncIterator[list[str]]:
    """Yield keys of unneeded plans and markers, some thousand at a time.

    Args:
        store: the Storage.
        cutoff: objects that were written later are kept.
        data: all existing data prefixes; objects of their runs are kept.
        deleted_folders: prefixes of plans that this sweep has deleted or would delete.
    """
    with_data = {owner[0] for owner in map(store.layout.run_of_data, data) if owner is not None}
    batch: list[str] = []
    root = store.layout.runs_root()
    async for info in store.objects(root):
        run, slash, _ = info.key.removeprefix(root).partition("/")
        is_due = info.modified < cutoff and f"{info.key.rpartition('/')[0]}/" not in deleted_folders
        if slash and is_due and (run not in with_data or "/" in info.key.removeprefix(f"{root}{run}/")):
            batch.append(info.key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


async def delete_below(store: Store, prefix: str, *, dry_run: bool = False) -> tuple[int, int]:
    """Delete all objects below a prefix; return their number and size."""
    count, size = 0, 0
    async for page in _pages(store, prefix):
        count, size = count + len(page), size + sum(info.size for info in page)
        if not dry_run:
            await store.delete([info.key for info in page])
    return count, size


async def held_folders(store: Store, prefix: str) -> list[str]:
    """Return the next parts of the keys below a prefix that contain an object, each with a slash at its end, in order.

    Takes at most one request for each part, instead of one for each thousand objects. (A listing with a delimiter does
    not work: with versioning, some stores list parts whose objects are all deleted.)
    """
    folders: list[str] = []
    page = await store.page(prefix)
    while page:
        for info in page:
            name, slash, _ = info.key.removeprefix(prefix).partition("/")
            if slash and (not folders or folders[-1] != f"{prefix}{name}/"):
                folders.append(f"{prefix}{name}/")
        last = page[-1].key
        # `0` follows the slash, so keys after it are not in the last part.
        page = await store.page(
            prefix, after=f"{folders[-1][:-1]}0" if folders and last.startswith(folders[-1]) else last
        )
    return folders


async def _pages(store: Store, prefix: str) -> AsyncIterator[list[ObjectInfo]]:
    """Yield all objects below a prefix, a page of the listing at a time."""
    page = await store.page(prefix)
    while page:
        yield page
        page = await store.page(prefix, after=page[-1].key)
