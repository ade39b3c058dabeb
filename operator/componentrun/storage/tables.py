"""Reading and listing tables. What changes them goes through `history.change_table`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.core.similar import similar_names
from componentrun.errors import Reason, UserError
from componentrun.storage.document import parse_document
from componentrun.storage.gather import CONCURRENCY, gather_bounded
from componentrun.storage.pointer import POINTER_FORMAT, Pointer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from componentrun.storage.connection import Store
    from componentrun.storage.layout import Layout, TableId

__all__ = [
    "CONCURRENCY",
    "VersionedPointer",
    "gather_bounded",
    "list_tables",
    "need_pointer",
    "need_table",
    "read_pointer",
    "read_table",
]

_SIMILAR: Final = 3
_SUGGESTIONS: Final = ThreadPoolExecutor(1, thread_name_prefix="suggestions")
"""Finding similar ids among 100,000 takes half a second, which the event loop can't spare; one search at a time."""
_SUGGESTION_SECONDS: Final = 5.0
"""A search that would take longer, because of others before it, is left out."""


@dataclass(frozen=True, slots=True)
class VersionedPointer:
    """A pointer and the ETag under which it was read."""

    pointer: Pointer
    etag: str


async def read_pointer(store: Store, table: TableId) -> VersionedPointer | None:
    """A table's pointer, also where it only tells that the table was dropped; None where there never was one."""
    key = store.layout.pointer(table)
    stored = await store.find(key)
    if stored is None:
        return None
    where = f"the pointer of `{table}` ({store.settings.where(key)})"
    return VersionedPointer(parse_document(Pointer, stored.data, where, POINTER_FORMAT), stored.etag)


async def read_table(store: Store, table: TableId) -> VersionedPointer | None:
    """A table's pointer; None where there is no such table (any more)."""
    found = await read_pointer(store, table)
    return found if found is not None and not found.pointer.dropped else None


async def need_pointer(store: Store, table: TableId) -> VersionedPointer:
    """A table's pointer, also where it only tells that the table was dropped.

    Raises:
        UserError: (InputNotFound) there never was such a table; the message names tables whose ids are similar.
    """
    found = await read_pointer(store, table)
    if found is None:
        raise UserError(await _not_found(store, table), Reason.INPUT_NOT_FOUND)
    return found


async def need_table(store: Store, table: TableId) -> VersionedPointer:
    """A table's pointer.

    Raises:
        UserError: (InputNotFound) there is no such table; the message names tables whose ids are similar, or says when
            it was dropped.
    """
    found = await need_pointer(store, table)
    if found.pointer.dropped:
        raise UserError(_gone(store, found.pointer), Reason.INPUT_NOT_FOUND)
    return found


async def list_tables(store: Store, bucket: str | None = None) -> AsyncIterator[TableId]:
    """Ids of all tables, or those of one bucket (`in.c-main`), bucket by bucket.

    Also of tables that were dropped: `read_table` finds none there. Only folders are listed, so what it takes does not
    grow with the versions that are kept.
    """
    for folders in await _folders(store, bucket):
        for table in _tables_of(store.layout, folders):
            yield table


async def _folders(store: Store, bucket: str | None = None) -> list[list[str]]:
    """Folders of tables, for each bucket or for one."""
    buckets = await store.folders(store.layout.tables())
    chosen = [folder for folder in buckets if bucket in {None, folder.split("/")[-2]}]
    return await gather_bounded(store.folders, chosen)


def _tables_of(layout: Layout, folders: Iterable[str]) -> Iterator[TableId]:
    return (table for table in map(layout.table_of, folders) if table is not None)


async def _not_found(store: Store, table: TableId) -> str:
    folders = await _folders(store)
    search = asyncio.get_running_loop().run_in_executor(_SUGGESTIONS, _hint, store.layout, table, folders)
    try:
        async with asyncio.timeout(_SUGGESTION_SECONDS):
            hint = await search
    except TimeoutError:
        hint = "`componentrun table ls` names those that there are"
    return f"there is no table `{table}` in {store.settings.title} ({store.settings.where()}). {hint}"


def _hint(layout: Layout, table: TableId, folders: list[list[str]]) -> str:
    """Which tables may have been meant."""
    ids = [str(other) for of_bucket in folders for other in _tables_of(layout, of_bucket)]
    similar = similar_names(str(table), ids, _SIMILAR)
    return f"Did you mean {' or '.join(f'`{name}`' for name in similar)}?" if similar else _count(len(ids))


def _gone(store: Store, dropped: Pointer) -> str:
    who = f" by {dropped.committed_by.who}" if dropped.committed_by.who else ""
    return (
        f"the table `{dropped.id}` in {store.settings.title} was dropped at {dropped.last_change:%Y-%m-%d %H:%M:%S} "
        f"UTC{who}. `componentrun table restore {dropped.id} --version {dropped.version - 1}` brings it back as long "
        "as its last version is kept"
    )


def _count(tables: int) -> str:
    return f"None of its {tables} tables has a similar id" if tables else "It holds no tables yet"
