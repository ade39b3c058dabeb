"""Marks in Storage that say how far a receiver has got the events of a run.

A mark is written before the first event that it is about, and removed when all events have been sent. So a collector
that takes over lists the marks and knows what is left to do. One that is killed in between sends some events twice,
and leaves none out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from componentrun.storage.store.connection import Store

__all__ = ["marked_runs", "read_mark", "remove_marks", "write_mark"]


async def write_mark(store: Store, receiver: str, run: str, seq: int) -> None:
    """Record that a receiver has got the events of a run up to this number, and not all."""
    await store.put(
        store.layout.event_index.forward_marks(receiver) + run, json.dumps({"run": run, "seq": seq}).encode()
    )


async def read_mark(store: Store, receiver: str, run: str) -> int | None:
    """Number of the last event of a run that a receiver has got; None if there is no mark."""
    found = await store.find(store.layout.event_index.forward_marks(receiver) + run)
    if found is None:
        return None
    try:
        return max(int(json.loads(found.data)["seq"]), 0)
    except (ValueError, KeyError, TypeError):
        return 0  # sending again what was sent is the safe side


async def remove_marks(store: Store, receiver: str, runs: Sequence[str]) -> None:
    """Record that a receiver has got all events of these runs."""
    prefix = store.layout.event_index.forward_marks(receiver)
    await store.delete([prefix + run for run in runs])


async def marked_runs(store: Store, receiver: str) -> AsyncIterator[str]:
    """Uids of the runs of which a receiver has not got all events."""
    async for info in store.objects(store.layout.event_index.forward_marks(receiver)):
        yield info.key.rpartition("/")[2]
