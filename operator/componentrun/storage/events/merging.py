"""Merges the segments of a run into few objects, so that a run costs little to keep, to list and to read.

The merged object is created first, then its segments are deleted. Readers find every event once at any moment in
between (`storage.events.segments`). A process that is killed in between leaves obsolete segments, which the next merge
deletes. Merging is repeatable: segments never change, and the key of a merged object names the events in it.

Memory use is bounded by the size of one merged object, whatever the length of the run.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError
from componentrun.storage.events.blocks import Block, MergedBuilder
from componentrun.storage.store.errors import ExistsError
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from componentrun.storage.store.connection import Store

__all__ = ["MergedRange", "merge_segments"]

_OBJECT_BYTES: Final = 4 * 2**20
"""Size of a merged object from which on the next segment begins another one."""
_BATCH: Final = 16
"""Number of segments that are read at the same time."""


@dataclass(frozen=True, slots=True)
class MergedRange:
    """Segments that were merged into one object."""

    segments: tuple[int, ...]
    """Numbers of their first events."""
    last_seq: int
    """Number of the last event."""


async def merge_segments(
    store: Store, run: str, segments: Sequence[int], held: Mapping[int, bytes]
) -> AsyncIterator[MergedRange]:
    """Merge consecutive segments; yield what can be deleted after each created object.

    Args:
        store: the Storage.
        run: uid.
        segments: numbers of the first events of the segments, in order and without gaps.
        held: content of some of these segments by these numbers, which need not be read.

    Raises:
        MissingError: a segment does not exist: another process merges them, or they are expired.
        PlatformError: (Internal) there is a gap.
    """

    async def read(first: int) -> bytes:
        return held[first] if first in held else (await store.get(store.layout.segment(run, first))).data

    builder, added = MergedBuilder(), list[int]()
    for start in range(0, len(segments), _BATCH):
        batch = segments[start : start + _BATCH]
        for first, data in zip(batch, await gather_bounded(read, batch), strict=True):
            where = f"the event segment {store.settings.where(store.layout.segment(run, first))}"
            block = await asyncio.to_thread(_add, builder, data, where)
            added.append(first)
            if first == segments[-1] or builder.size >= _OBJECT_BYTES:
                yield await _create(store, run, builder, block, added)
                builder, added = MergedBuilder(), []


def _add(builder: MergedBuilder, data: bytes, where: str) -> Block:
    block = Block.decode(data, where)
    if builder.last_seq and block.first_seq != builder.last_seq + 1:
        raise PlatformError(f"{where} follows event {builder.last_seq}: events between them are missing")
    builder.add(block)
    return block


async def _create(store: Store, run: str, builder: MergedBuilder, last: Block, segments: Sequence[int]) -> MergedRange:
    first_seq, last_seq = segments[0], builder.last_seq
    data = builder.finish(last.checkpoint)
    # An existing one is as good: its key names the events in it, and these never change.
    with contextlib.suppress(ExistsError):
        await store.create(store.layout.merged_events(run, first_seq, last_seq), data)
    return MergedRange(tuple(segments), last_seq)
