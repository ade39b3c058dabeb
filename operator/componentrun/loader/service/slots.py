"""Limits of concurrent requests, with fair queueing: namespaces take turns, and so do their Storages.

A namespace never holds more slots than are left free (`process.fairqueue`), and never more places in the queue than
are left free. Therefore a namespace whose store hangs gets at most half of each, and others always find room.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from componentrun.errors import TransientError
from componentrun.process.fairqueue import FairQueue

if TYPE_CHECKING:
    from componentrun.process.fairqueue import Flow

__all__ = ["CHECKS", "FullError", "Slots", "StoppedError", "Turn"]


CHECKS: Final = 16
"""Number of concurrent checks of catalogs. They have their own slots, because a hanging catalog takes a minute."""


class FullError(TransientError):
    """Too many requests of the namespace are waiting."""


class StoppedError(TransientError):
    """The loader is shutting down and starts no more requests."""


class Turn:
    """A request that waits for a slot, or holds one."""

    def __init__(self, flow: Flow) -> None:
        """Create a waiting request."""
        self.flow = flow
        self.given: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Slots:
    """Slots for one kind of request. Not thread-safe: use them only from the event loop's thread."""

    def __init__(self, slots: int, places: int) -> None:
        """Create slots that are all free.

        Args:
            slots: maximum number of concurrent requests.
            places: maximum number of waiting requests.
        """
        self._queue: FairQueue[Turn] = FairQueue(lambda turn: turn.flow, slots)
        self._places = places
        self._waiting: dict[Turn, None] = {}
        self._by_namespace: dict[str, int] = {}
        self._stopped = False

    async def take(self, flow: Flow) -> Turn:
        """Wait for a slot. The caller must release it.

        Raises:
            FullError: too many requests of the namespace are waiting.
            StoppedError: see `stop`.
        """
        turn = self._enter(flow)
        try:
            await turn.given
        except BaseException:
            # The slot may have been assigned at the moment when the caller was cancelled.
            self.release(turn)
            raise
        finally:
            self._leave(turn)
        return turn

    def release(self, turn: Turn) -> None:
        """Return the slot; the next request gets it."""
        self._queue.release(turn)
        self._give()

    def stop(self) -> None:
        """Refuse all waiting and all future requests."""
        self._stopped = True
        for turn in list(self._waiting):
            if not turn.given.done():
                turn.given.set_exception(_stopped())

    def _enter(self, flow: Flow) -> Turn:
        if self._stopped:
            raise _stopped()
        count = self._by_namespace.get(flow.namespace, 0)
        if count >= self._places - len(self._waiting):
            raise FullError(f"{count} requests of namespace {flow.namespace} wait already; try again later")
        turn = Turn(flow)
        self._waiting[turn] = None
        self._by_namespace[flow.namespace] = count + 1
        self._queue.push(turn)
        self._give()
        return turn

    def _leave(self, turn: Turn) -> None:
        del self._waiting[turn]
        remaining = self._by_namespace.pop(turn.flow.namespace) - 1
        if remaining:
            self._by_namespace[turn.flow.namespace] = remaining

    def _give(self) -> None:
        while (turn := self._queue.pop()) is not None:
            if not turn.given.done():
                turn.given.set_result(None)
            else:  # its caller was cancelled
                self._queue.release(turn)


def _stopped() -> StoppedError:
    return StoppedError("this loader ends; ask again, another one answers")
