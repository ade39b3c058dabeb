"""Limits the number of concurrent tasks, and serves namespaces in turn. See `fairqueue`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from componentrun.process.fairqueue import FairQueue, Flow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["FairSlots"]


class FairSlots:
    """Slots, at most half of which go to one namespace. Not thread-safe: call it only from the event loop's thread."""

    def __init__(self, slots: int) -> None:
        """Start with all slots free."""
        self._queue: FairQueue[_Waiter] = FairQueue(lambda waiter: Flow(waiter.namespace), slots)

    @asynccontextmanager
    async def hold(self, namespace: str) -> AsyncIterator[None]:
        """Wait for a slot, and hold it until the block ends."""
        waiter = _Waiter(namespace)
        self._queue.push(waiter)
        self._grant()
        try:
            await waiter.granted
            yield
        finally:
            # If the task was cancelled while it waited, its place in the queue is skipped later.
            waiter.granted.cancel()
            self._queue.release(waiter)
            self._grant()

    def _grant(self) -> None:
        """Give free slots to the next waiting tasks."""
        while (waiter := self._queue.pop()) is not None:
            if waiter.granted.done():
                self._queue.release(waiter)
            else:
                waiter.granted.set_result(None)


class _Waiter:
    """A task that waits for a slot or holds one."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
