"""Plans and journals that have outlived their runs.

A plan is read while its attempt starts. A journal must stay as long as there is data that its run could publish again:
so it goes after that data has gone, and only where the run is not being published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.storage.commit import read_journal
from componentrun.storage.tables import gather_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.storage.connection import Store

__all__ = ["delete_all", "outlived_documents"]

_DELETE_CHUNK: Final = 1000


async def outlived_documents(store: Store, before: datetime, data: Sequence[str]) -> list[str]:
    """Keys of plans and journals that nobody needs any more.

    Args:
        store: the Storage.
        before: what was written later stays.
        data: all data prefixes that there are.
    """
    root = store.layout.runs_root()
    old: dict[str, list[str]] = {}
    async for info in store.objects(root):
        run, _, rest = info.key.removeprefix(root).partition("/")
        if rest and info.modified < before:
            old.setdefault(run, []).append(info.key)
    with_data = {owner[0] for owner in map(store.layout.run_of_data, data) if owner is not None}

    async def of_run(item: tuple[str, list[str]]) -> list[str]:
        run, keys = item
        journal = await read_journal(store, run)
        if journal is not None and journal.state == "publishing":
            return []
        return [key for key in keys if run not in with_data or key != store.layout.journal(run)]

    return [key for keys in await gather_bounded(of_run, old.items()) for key in keys]


async def delete_all(store: Store, keys: Sequence[str]) -> None:
    """Delete objects, however many."""
    for start in range(0, len(keys), _DELETE_CHUNK):
        await store.delete(keys[start : start + _DELETE_CHUNK])
