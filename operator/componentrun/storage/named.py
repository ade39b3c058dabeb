"""Which data prefixes are named by something: what is named must stay.

Read in this order, table by table: first the pointer, then the versions that are kept. Who replaces a pointer keeps
what it said before that, so a prefix that its pointer does not name any more is named by a version that is listed after
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.storage.history import list_versions, read_version
from componentrun.storage.tables import gather_bounded, list_tables, read_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from componentrun.storage.connection import Store
    from componentrun.storage.history import KeptVersion
    from componentrun.storage.layout import TableId
    from componentrun.storage.pointer import Pointer

__all__ = ["delete_expired_versions", "named_prefixes", "pinned_versions"]


async def named_prefixes(store: Store, versions_since: datetime) -> set[str]:
    """The data prefixes, each with a slash at its end, that hold a slice which a table names, or a kept version of it.

    By the keys of slices, not by who committed them: a compacted segment names slices of many runs.

    Args:
        store: the Storage.
        versions_since: versions that were replaced earlier don't count.
    """
    root, found = store.layout.data_root(), set[str]()

    def take(pointer: Pointer) -> None:
        found.update(f"{root}{part.key.removeprefix(root).partition('/')[0]}/" for part in pointer.slices)

    await _each(store, versions_since, take)
    return found


async def pinned_versions(store: Store, keys: Collection[str], versions_since: datetime) -> dict[str, str | None]:
    """Key to version of those of the keys under which lies a slice that something names; None: it names no version."""
    found: dict[str, str | None] = {}

    def take(pointer: Pointer) -> None:
        found.update({part.key: part.version for part in pointer.slices if part.key in keys})

    await _each(store, versions_since, take)
    return found


async def delete_expired_versions(store: Store, before: datetime, *, dry_run: bool) -> int:
    """Delete the versions that were replaced before this time, never one that may be in place; how many."""

    async def of_table(table: TableId) -> int:
        current = await read_pointer(store, table)
        if current is None:
            return 0
        versions = await _versions(store, table, current.pointer, before)
        expired = [store.layout.version(table, each.number) for each, is_old in versions if is_old]
        if not dry_run:
            await store.delete(expired)
        return len(expired)

    return sum(await gather_bounded(of_table, [table async for table in list_tables(store)]))


async def _each(store: Store, versions_since: datetime, take: Callable[[Pointer], None]) -> None:
    """Hand over the pointer of each table and then each version that is kept of it, none of which is held on to."""

    async def of_table(table: TableId) -> None:
        current = await read_pointer(store, table)
        if current is None:
            return
        take(current.pointer)
        for each, is_old in await _versions(store, table, current.pointer, versions_since):
            version = None if is_old else await read_version(store, table, each.number)
            if version is not None:
                take(version)

    await gather_bounded(of_table, [table async for table in list_tables(store)])


async def _versions(store: Store, table: TableId, current: Pointer, before: datetime) -> list[tuple[KeptVersion, bool]]:
    """All versions of a table, and of each whether it was replaced before this time."""
    # Who died before the swap has kept the version that is in place: it was not replaced at all.
    return [
        (each, each.number < current.version and each.replaced < before) for each in await list_versions(store, table)
    ]
