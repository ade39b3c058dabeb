"""Which data prefixes are named by something: what is named must stay.

Read in this order: first the pointers, then the versions that are kept. Who replaces a pointer keeps what it said
before that, so a prefix that its pointer does not name any more is named by a version that is listed after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.storage.files import named_data
from componentrun.storage.history import list_versions, read_version
from componentrun.storage.tables import gather_bounded, list_tables, read_pointer

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.storage.connection import Store
    from componentrun.storage.history import KeptVersion
    from componentrun.storage.layout import TableId
    from componentrun.storage.pointer import Pointer, Slice

__all__ = ["expired_versions", "named_prefixes", "named_slices"]


async def named_prefixes(store: Store, versions_since: datetime) -> set[str]:
    """The data prefixes, each with a slash at its end, that hold an object which something names.

    By the keys of slices, not by who committed them: a compacted segment names slices of many runs.

    Args:
        store: the Storage.
        versions_since: versions that were replaced earlier don't count.
    """
    slices = await named_slices(store, versions_since)
    root = store.layout.data_root()
    return {f"{root}{part.key.removeprefix(root).partition('/')[0]}/" for part in slices} | await named_data(store)


async def named_slices(store: Store, versions_since: datetime) -> list[Slice]:
    """The slices of all tables, and of the versions that are kept of them.

    Args:
        store: the Storage.
        versions_since: versions that were replaced earlier don't count.
    """
    current = await _pointers(store)
    kept = [(table, each) for table, each, is_old in await _versions(store, current, versions_since) if not is_old]

    async def read(item: tuple[TableId, KeptVersion]) -> Pointer | None:
        return await read_version(store, item[0], item[1].number)

    versions = [pointer for pointer in await gather_bounded(read, kept) if pointer is not None]
    return [part for pointer in [*current.values(), *versions] for part in pointer.slices]


async def expired_versions(store: Store, before: datetime) -> list[str]:
    """Keys of the versions that were replaced before this time; never of one that may be in place."""
    current = await _pointers(store)
    found = await _versions(store, current, before)
    return [store.layout.version(table, each.number) for table, each, is_old in found if is_old]


async def _pointers(store: Store) -> dict[TableId, Pointer]:
    tables = [table async for table in list_tables(store)]
    found = await gather_bounded(lambda table: read_pointer(store, table), tables)
    return {table: item.pointer for table, item in zip(tables, found, strict=True) if item is not None}


async def _versions(
    store: Store, current: dict[TableId, Pointer], before: datetime
) -> list[tuple[TableId, KeptVersion, bool]]:
    """All versions of all tables, and of each whether it was replaced before this time."""

    async def of_table(table: TableId) -> list[tuple[TableId, KeptVersion, bool]]:
        listed = await list_versions(store, table)
        newest = current[table].version
        # Who died before the swap has kept the version that is in place: it was not replaced at all.
        return [(table, each, each.number < newest and each.replaced < before) for each in listed]

    return [item for items in await gather_bounded(of_table, current) for item in items]
