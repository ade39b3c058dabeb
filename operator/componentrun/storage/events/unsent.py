"""Marks of runs whose events somebody else has still to get, and how far they have got them.

A mark is there before the first event that it is about, and goes when all have been sent; so whoever takes over finds
by one listing what is left to do. Who dies in between sends some events twice, and leaves none out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.storage.store.connection import Store

__all__ = ["marked_runs", "read_mark", "remove_mark", "write_mark"]


async def write_mark(store: Store, receiver: str, run: str, seq: int) -> None:
    """Say that a receiver has got the events of a run up to this number, and not all."""
    await store.put(store.layout.event_index.unsent(receiver) + run, json.dumps({"run": run, "seq": seq}).encode())


async def read_mark(store: Store, receiver: str, run: str) -> int | None:
    """How far a receiver has got a run's events; None: there is no mark."""
    found = await store.find(store.layout.event_index.unsent(receiver) + run)
    if found is None:
        return None
    try:
        return max(int(json.loads(found.data)["seq"]), 0)
    except (ValueError, KeyError, TypeError):
        return 0  # sending again what was sent is the safe side


async def remove_mark(store: Store, receiver: str, run: str) -> None:
    """Say that a receiver has got all events of a run."""
    await store.delete([store.layout.event_index.unsent(receiver) + run])


async def marked_runs(store: Store, receiver: str) -> AsyncIterator[str]:
    """Uids of the runs whose events a receiver has not got all."""
    async for info in store.objects(store.layout.event_index.unsent(receiver)):
        yield info.key.rpartition("/")[2]
