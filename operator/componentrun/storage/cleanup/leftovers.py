"""Plans, and the sweeper's notes of what it swept, that have outlived their runs.

A plan is read while its attempt starts and when it is published. A note that data was swept must stay for a while
behind that data: somebody may just be about to publish it.
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
    store: Store, before: datetime, data: Collection[str], gone: Collection[str]
) -> AsyncIterator[list[str]]:
    """Keys of plans and notes that nobody needs any more, some thousand at a time.

    Args:
        store: the Storage.
        before: what was written later stays.
        data: all data prefixes that there are: what belongs to one of their runs stays.
        gone: prefixes of plans that this sweep has deleted or would delete.
    """
    with_data = {owner[0] for owner in map(store.layout.run_of_data, data) if owner is not None}
    batch: list[str] = []
    root = store.layout.runs_root()
    async for info in store.objects(root):
        run, slash, _ = info.key.removeprefix(root).partition("/")
        is_due = info.modified < before and f"{info.key.rpartition('/')[0]}/" not in gone
        if slash and is_due and (run not in with_data or "/" in info.key.removeprefix(f"{root}{run}/")):
            batch.append(info.key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


async def delete_below(store: Store, prefix: str, *, dry_run: bool = False) -> tuple[int, int]:
    """Delete all objects below a prefix, however many; how many, and their bytes."""
    count, size = 0, 0
    async for found in _pages(store, prefix):
        count, size = count + len(found), size + sum(info.size for info in found)
        if not dry_run:
            await store.delete([info.key for info in found])
    return count, size


async def held_folders(store: Store, prefix: str) -> list[str]:
    """The next parts of the keys below a prefix that hold an object, each with a slash at its end, in their order.

    By as many requests as there are such parts, at most, and not by one for each thousand objects. (A listing of parts
    is no help: in a bucket that keeps versions some stores list those whose objects are all deleted.)
    """
    found: list[str] = []
    page = await store.page(prefix)
    while page:
        for info in page:
            name, slash, _ = info.key.removeprefix(prefix).partition("/")
            if slash and (not found or found[-1] != f"{prefix}{name}/"):
                found.append(f"{prefix}{name}/")
        last = page[-1].key
        # `0` follows the slash: behind it comes what is not in the last part any more.
        page = await store.page(prefix, after=f"{found[-1][:-1]}0" if found and last.startswith(found[-1]) else last)
    return found


async def _pages(store: Store, prefix: str) -> AsyncIterator[list[ObjectInfo]]:
    """All objects below a prefix, as many at a time as one request lists."""
    found = await store.page(prefix)
    while found:
        yield found
        found = await store.page(prefix, after=found[-1].key)
