"""A work queue like that of client-go, with fair queueing: `fairqueue` decides which key is next.

What is put in twice before it is taken comes out once, and nobody works on a key that somebody else is working on.
A key may also be put in for later. There is at most one such wake-up for a key: an earlier one replaces a later one,
and taking the key drops it, because whoever works on the key says anew when to look again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from componentrun.process.fairqueue import FairQueue, one_flow

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from componentrun.process.fairqueue import Flow

__all__ = ["Backoff", "Clock", "QueueObserver", "ShutDownError", "Timer", "WorkQueue"]

Key = TypeVar("Key", bound="Hashable")

_LARGEST_EXPONENT: Final = 30


class Timer(Protocol):
    """A call that was asked for and can be taken back."""

    def cancel(self) -> None:
        """Don't call."""


class Clock(Protocol):
    """Time, and calls at a time; an asyncio loop is one."""

    def time(self) -> float:
        """Seconds since some moment."""

    def call_at(self, when: float, callback: Callable[[Key], object], key: Key, /) -> Timer:
        """Call back with the key, once, at or after that time."""


class QueueObserver(Protocol):
    """Told what happens, for metrics."""

    def added(self) -> None:
        """A key was asked to be worked on (also where it was waiting already)."""

    def depth(self, waiting: int) -> None:
        """So many keys wait."""

    def taken(self, waited: float) -> None:
        """A key was taken after it had waited this many seconds."""

    def done(self, worked: float) -> None:
        """Work on a key took this many seconds."""

    def retried(self) -> None:
        """A key failed and will come again."""


class ShutDownError(Exception):
    """The queue was shut down; there is nothing more to take."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a key waits after it failed: doubling from `first` to `longest` seconds.

    Each time it is shortened at random by up to `jitter` of itself, so that what failed together does not come back
    together.
    """

    first: float = 0.25
    longest: float = 30.0
    jitter: float = 0.3

    def delay(self, failures: int, random: Random) -> float:
        """Seconds to wait after this many failures in a row (1 for the first)."""
        full = min(self.first * 2.0 ** min(failures - 1, _LARGEST_EXPONENT), self.longest)
        return full * (1.0 - self.jitter * random.random())


class WorkQueue(Generic[Key]):
    """See the module. Not thread-safe: all calls come from the loop's thread."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        backoff: Backoff | None = None,
        observer: QueueObserver | None = None,
        flow_of: Callable[[Key], Flow] = one_flow,
        workers: int | None = None,
    ) -> None:
        """Make an empty queue.

        Args:
            clock: None: the running loop.
            backoff: how long keys wait that failed.
            observer: for metrics.
            flow_of: returns the flow of a key; flows are served in turn.
            workers: maximum number of keys in process, not counting detached ones; None: no limit.
        """
        self._clock: Clock = clock if clock is not None else asyncio.get_running_loop()
        self._backoff = backoff or Backoff()
        self._observer = observer
        self._random = Random()  # noqa: S311 - spreads retries, keeps no secret
        self._waiting: FairQueue[Key] = FairQueue(flow_of, workers)
        self._since: dict[Key, float] = {}  # keys that are to be worked on, and since when
        self._taken: dict[Key, float] = {}  # keys that are being worked on, and since when
        self._timers: dict[Key, tuple[float, Timer]] = {}
        self._failures: dict[Key, int] = {}
        self._takers: deque[asyncio.Future[None]] = deque()
        self._detached: set[Key] = set()
        self._open = True
        self.on_added_while_detached: Callable[[Key], object] = lambda _: None
        """Called with a key that is added while it is detached: its work may have become unnecessary."""

    def __len__(self) -> int:
        """How many keys wait to be taken."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being worked on; wake-ups of later don't count."""
        return not self._since and not self._taken

    @property
    def closed(self) -> bool:
        """Whether it was shut down."""
        return not self._open

    def add(self, key: Key) -> None:
        """Have this key worked on, once, after whoever works on it now is done."""
        if self._observer is not None:
            self._observer.added()
        if not self._open or key in self._since:
            return
        self._since[key] = self._clock.time()
        if key not in self._taken:
            self._enqueue(key)
        elif key in self._detached:
            self.on_added_while_detached(key)

    def add_after(self, key: Key, delay: float) -> None:
        """Have this key worked on in so many seconds, unless it is due before that anyway."""
        if delay <= 0:
            self.add(key)
            return
        when = self._clock.time() + delay
        planned = self._timers.get(key)
        if not self._open or (planned is not None and planned[0] <= when):
            return
        if planned is not None:
            planned[1].cancel()
        self._timers[key] = (when, self._clock.call_at(when, self._wake, key))

    def retry(self, key: Key) -> float:
        """Work on this key failed: have it worked on again, the later the more often it failed. Returns the delay."""
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._observer is not None:
            self._observer.retried()
        delay = self._backoff.delay(self._failures[key], self._random)
        self.add_after(key, delay)
        return delay

    def failures(self, key: Key) -> int:
        """How often in a row work on this key failed."""
        return self._failures.get(key, 0)

    def forget(self, key: Key) -> None:
        """Work on this key succeeded: its failures don't count any more."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Take the key whose turn it is, as soon as there is a worker for it. Call `done` with it afterwards.

        Raises:
            ShutDownError: the queue was shut down.
        """
        while self._open:
            key = self._waiting.pop()
            if key is not None:
                self._take(key)
                return key
            await self._wait()
        raise ShutDownError

    def detach(self, key: Key) -> None:
        """Give back the worker of a key whose processing continues, but waits for something else.

        The key counts as being processed until `done`.
        """
        self._waiting.release(key)
        self._detached.add(key)
        self._wake_taker()

    def done(self, key: Key) -> None:
        """Work on this key has ended, one way or the other."""
        started = self._taken.pop(key)
        self._waiting.release(key)
        self._detached.discard(key)
        if self._observer is not None:
            self._observer.done(self._clock.time() - started)
        if key in self._since:
            self._enqueue(key)
        else:
            self._wake_taker()

    def shut_down(self) -> None:
        """Give out no more keys; whoever waits for one gets ShutDownError."""
        self._open = False
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._takers:
            self._wake_taker()

    async def _wait(self) -> None:
        """Until a key is there, or the queue is shut down."""
        taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._takers.append(taker)
        try:
            await taker
        except asyncio.CancelledError:
            # Cancelled after it was chosen: the key it was chosen for goes to the next one.
            if taker.done() and not taker.cancelled() and self._waiting:
                self._wake_taker()
            raise

    def _wake_taker(self) -> None:
        """Wake one waiter of `get`. It continues to wait if no key may have a worker."""
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _take(self, key: Key) -> None:
        now = self._clock.time()
        since = self._since.pop(key)
        self._taken[key] = now
        planned = self._timers.pop(key, None)
        if planned is not None:
            planned[1].cancel()
        if self._observer is not None:
            self._observer.taken(now - since)
            self._observer.depth(len(self._waiting))

    def _enqueue(self, key: Key) -> None:
        self._waiting.push(key)
        if self._observer is not None:
            self._observer.depth(len(self._waiting))
        self._wake_taker()

    def _wake(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)
