"""Reading, listing and deleting tables."""

from __future__ import annotations

import asyncio
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.errors import Reason, UserError
from componentrun.storage.pointer import POINTER_FORMAT, Pointer, parse_document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId

__all__ = [
    "CONCURRENCY",
    "VersionedPointer",
    "delete_table",
    "gather_bounded",
    "list_tables",
    "need_table",
    "read_table",
]

CONCURRENCY: Final = 32
"""Requests under way at once for one call."""
_SIMILAR: Final = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class VersionedPointer:
    """A pointer and the ETag under which it was read."""

    pointer: Pointer
    etag: str


async def gather_bounded(
    function: Callable[[Item], Coroutine[object, object, Result]], items: Iterable[Item]
) -> list[Result]:
    """Results of the function for all items in their order, at most `CONCURRENCY` under way at once.

    The first error ends the others and is raised as it is.
    """
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(item: Item) -> Result:
        async with gate:
            return await function(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as errors:
        # Not `except*`: before Python 3.11.4 what is raised in there comes out wrapped in a group again.
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def read_table(store: Store, table: TableId) -> VersionedPointer | None:
    """A table's pointer; None where there is no such table."""
    key = store.layout.pointer(table)
    stored = await store.find(key)
    if stored is None:
        return None
    where = f"the pointer of `{table}` ({store.settings.where(key)})"
    return VersionedPointer(parse_document(Pointer, stored.data, where, POINTER_FORMAT), stored.etag)


async def need_table(store: Store, table: TableId) -> VersionedPointer:
    """A table's pointer.

    Raises:
        UserError: (InputNotFound) there is no such table; the message names tables whose ids are similar.
    """
    found = await read_table(store, table)
    if found is None:
        raise UserError(await _not_found(store, table), Reason.INPUT_NOT_FOUND)
    return found


async def list_tables(store: Store) -> AsyncIterator[TableId]:
    """Ids of all tables, in the order of bucket and table."""
    async for info in store.objects(store.layout.tables()):
        table = store.layout.table_of(info.key)
        if table is not None:
            yield table


async def delete_table(store: Store, table: TableId) -> bool:
    """Delete a table; whether it was there. Its slices are swept later.

    A load that is published at this moment comes before or after the deletion; nobody can tell which.
    """
    key = store.layout.pointer(table)
    there = await store.head(key) is not None
    await store.delete([key])
    return there


async def _not_found(store: Store, table: TableId) -> str:
    ids = [str(other) async for other in list_tables(store)]
    similar = difflib.get_close_matches(str(table), ids, n=_SIMILAR)
    hint = f"Did you mean {' or '.join(f'`{name}`' for name in similar)}?" if similar else _count(len(ids))
    return f"there is no table `{table}` in {store.settings.title} ({store.settings.where()}). {hint}"


def _count(tables: int) -> str:
    return f"None of its {tables} tables has a similar id" if tables else "It holds no tables yet"
