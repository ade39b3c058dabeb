"""How many requests are carried out at a time, and whose turn it is: namespaces in turn, and their Storages in turn.

A namespace whose store hangs holds as many slots as are free at most (`process.fairqueue`), and as many places in the
queue as are free. So one gets at most half of either, and another one always finds room.
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
"""Checks of catalogs at a time. They have slots of their own: one of a catalog that hangs takes a minute."""


class FullError(TransientError):
    """Too many requests of the namespace wait."""


class StoppedError(TransientError):
    """No request is begun any more."""


class Turn:
    """A request that waits for a slot, or holds one."""

    def __init__(self, flow: Flow) -> None:
        """It waits."""
        self.flow = flow
        self.given: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Slots:
    """Slots of one kind of requests. Not thread-safe: use it from the event loop's thread only."""

    def __init__(self, slots: int, places: int) -> None:
        """Create slots that are all free.

        Args:
            slots: maximum number of requests that are carried out at a time.
            places: maximum number of requests that wait.
        """
        self._queue: FairQueue[Turn] = FairQueue(lambda turn: turn.flow, slots)
        self._places = places
        self._waiting: dict[Turn, None] = {}
        self._by_namespace: dict[str, int] = {}
        self._stopped = False

    async def take(self, flow: Flow) -> Turn:
        """Wait for a slot. It has to be released.

        Raises:
            FullError: too many requests of the namespace wait.
            StoppedError: see `stop`.
        """
        turn = self._enter(flow)
        try:
            await turn.given
        except BaseException:
            # The slot may have been given in the moment in which the caller went away.
            self.release(turn)
            raise
        finally:
            self._leave(turn)
        return turn

    def release(self, turn: Turn) -> None:
        """Give the slot back; the next request gets it."""
        self._queue.release(turn)
        self._give()

    def stop(self) -> None:
        """Turn away all that wait, and all that come."""
        self._stopped = True
        for turn in list(self._waiting):
            if not turn.given.done():
                turn.given.set_exception(_stopped())

    def _enter(self, flow: Flow) -> Turn:
        if self._stopped:
            raise _stopped()
        held = self._by_namespace.get(flow.namespace, 0)
        if held >= self._places - len(self._waiting):
            raise FullError(f"{held} requests of namespace {flow.namespace} wait already; try again later")
        turn = Turn(flow)
        self._waiting[turn] = None
        self._by_namespace[flow.namespace] = held + 1
        self._queue.push(turn)
        self._give()
        return turn

    def _leave(self, turn: Turn) -> None:
        del self._waiting[turn]
        left = self._by_namespace.pop(turn.flow.namespace) - 1
        if left:
            self._by_namespace[turn.flow.namespace] = left

    def _give(self) -> None:
        while (turn := self._queue.pop()) is not None:
            if not turn.given.done():
                turn.given.set_result(None)
            else:  # its caller is gone
                self._queue.release(turn)


def _stopped() -> StoppedError:
    return StoppedError("this loader ends; ask again, another one answers")
