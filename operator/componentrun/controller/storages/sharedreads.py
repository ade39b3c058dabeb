"""Reads of the API server that runs share if they start at about the same time.

A run has to see its Component and its Storage as they were when it was created: `kubectl apply` may have changed them
right before, and the event may not have arrived. A read that began after that is new enough, whichever run it was for.
So runs that wait share reads, and a run that starts as soon as it is created has its own (decision 0080). If a shared
read lacks what a run refers to, the caller reads again: the run would end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable
    from datetime import datetime

__all__ = ["SharedReads"]

_SHARED: Final = timedelta(seconds=1)
"""How old a read may be."""

Value = TypeVar("Value")


class SharedReads(Generic[Value]):
    """Reads of one kind of object."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Start empty; `clock` returns the API server's time."""
        self._clock = clock
        self._reads: dict[Hashable, _Read[Value]] = {}

    async def read(
        self, key: Hashable, load: Callable[[], Coroutine[None, None, Value]], as_of: datetime | None
    ) -> Value:
        """The result of `load`, or of a recent read of the same key, which may still be in progress.

        Args:
            key: what is read.
            load: reads it.
            as_of: a read that began before this time is too old; None: each is.

        Raises:
            Exception: that of `load`.
        """
        now = self._clock()
        # A read from the future began before the clock was set back: it is not known how old it is.
        self._reads = {k: read for k, read in self._reads.items() if timedelta() <= now - read.began <= _SHARED}
        read = self._reads.get(key)
        if read is None or as_of is None or read.began < as_of or read.has_failed:
            read = self._reads[key] = _Read(now, asyncio.ensure_future(load()))
        # Cancelling one caller must not cancel the read for the others.
        return await asyncio.shield(read.task)


@dataclass(frozen=True, slots=True)
class _Read(Generic[Value]):
    began: datetime
    task: asyncio.Future[Value]

    @property
    def has_failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)
