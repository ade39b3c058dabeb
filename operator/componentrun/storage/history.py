"""The versions of a table: what its pointer said before each change.

Whatever changes a pointer goes through `change_table`: it keeps the old document below `versions/` before the new one
takes its place, so a death between the two loses nothing; at worst the version that is in place is kept already.

A version is one state of the pointer and no other, so whoever keeps it writes the same. It is written also where it is
there already, because its time counts: what is kept was replaced right after it was written the last time. Slices that
a kept version names are needed to restore it. A version may be deleted only where the pointer, read before, is a later
one.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.errors import Reason, TransientError
from componentrun.storage.document import parse_document
from componentrun.storage.failures import ExistsError, StaleError
from componentrun.storage.pointer import POINTER_FORMAT, Pointer
from componentrun.storage.tables import gather_bounded, need_pointer, read_pointer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId
    from componentrun.storage.tables import VersionedPointer

__all__ = ["KeptVersion", "change_table", "list_versions", "read_history", "read_version"]

_SWAP_ATTEMPTS: Final = 100
"""Each lost swap means that another one's was won, so this many are lost only where as many write one table."""
_PAUSE_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version that is kept, without its content."""

    number: int
    replaced: datetime
    """When the next version took its place; means nothing where this one is still in place."""


async def change_table(
    store: Store,
    table: TableId,
    run: str,
    decide: Callable[[Pointer | None], Pointer | None],
    *,
    seen: VersionedPointer | None = None,
) -> Pointer | None:
    """Replace a table's pointer by what `decide` makes of it, however many others change the table at the same time.

    Args:
        store: the Storage.
        table: which table.
        run: who changes it: a run that is in the table already does not change it again.
        decide: called with the pointer (None: there never was such a table; it may tell of one that was dropped), again
            where somebody else was faster; gives the next version, or None: leave the table alone.
        seen: the pointer as it was read a moment ago. What is out of date loses the swap, so it need not be fresh.

    Returns:
        The pointer with the change in it; None where the table was left alone.

    Raises:
        TransientError: others were faster all the time.
    """
    found = seen
    for lost in range(_SWAP_ATTEMPTS):
        if lost or found is None:
            found = await read_pointer(store, table)
        before = found.pointer if found is not None else None
        if before is not None and before.has_commit(run):
            return before
        changed = decide(before)
        if changed is None:
            return None
        try:
            await _write(store, table, found, changed)
        except (ExistsError, StaleError):
            # Another was faster, or this very write got through and its answer was lost: reading again tells.
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * min(lost + 1, 10)))  # noqa: S311 - spreads writers
            continue
        return changed
    raise TransientError(
        f"`{table}` was changed by others {_SWAP_ATTEMPTS} times while {run} was to change it", Reason.PUBLISH_FAILED
    )


async def _write(store: Store, table: TableId, found: VersionedPointer | None, changed: Pointer) -> None:
    key = store.layout.pointer(table)
    if found is None:
        await store.create(key, changed.to_bytes())
        return
    await store.put(store.layout.version(table, found.pointer.version), found.pointer.to_bytes())
    await store.swap(key, changed.to_bytes(), found.etag)


async def list_versions(store: Store, table: TableId, *, after: int = 0) -> list[KeptVersion]:
    """The versions that are kept, in their order; the one in place may be among them.

    Args:
        store: the Storage.
        table: which table, or one that was dropped.
        after: only later ones.
    """
    layout = store.layout
    found = []
    async for info in store.objects(layout.versions(table), after=layout.version(table, after)):
        number = layout.version_of(info.key)
        if number is not None:
            found.append(KeptVersion(number, info.modified))
    return found


async def read_version(store: Store, table: TableId, number: int) -> Pointer | None:
    """What a table's pointer said at an earlier version; None where that is not kept (any more)."""
    key = store.layout.version(table, number)
    stored = await store.find(key)
    if stored is None:
        return None
    where = f"version {number} of `{table}` ({store.settings.where(key)})"
    return parse_document(Pointer, stored.data, where, POINTER_FORMAT)


async def read_history(store: Store, table: TableId, newest: int | None = None) -> list[Pointer]:
    """The versions of a table, the one in place first.

    Args:
        store: the Storage.
        table: which table, or one that was dropped.
        newest: only so many numbers back; None: all that are kept.

    Raises:
        UserError: (InputNotFound) there never was such a table.
    """
    current = (await need_pointer(store, table)).pointer
    after = max(0, current.version - newest) if newest is not None else 0
    kept = await list_versions(store, table, after=after)
    # Whoever died before the swap has kept the version that is in place.
    numbers = [item.number for item in reversed(kept) if item.number < current.version]
    read = await gather_bounded(lambda number: read_version(store, table, number), numbers)
    # One may have been deleted between being listed and being read.
    return [current, *(pointer for pointer in read if pointer is not None)]
