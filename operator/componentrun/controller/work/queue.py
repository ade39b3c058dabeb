"""A work queue like that of client-go, with fair queueing: `fairqueue` decides which key is next.

A key that is added twice before it is taken is processed once, and no key is processed twice at the same time. A key
can also be added after a delay. Each key has at most one delayed addition: an earlier one replaces a later one, and
taking the key drops it, because its worker schedules the next one.
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
    """A cancellable scheduled call."""

    def cancel(self) -> None:
        """Cancel the call."""


class Clock(Protocol):
    """A clock with scheduled calls, such as an asyncio loop."""

    def time(self) -> float:
        """Seconds since an arbitrary moment."""

    def call_at(self, when: float, callback: Callable[[Key], object], key: Key, /) -> Timer:
        """Call `callback` with the key once, at or after that time."""


class QueueObserver(Protocol):
    """Receives events of the queue, for metrics."""

    def added(self) -> None:
        """Called when a key is added, even if it is already waiting."""

    def depth(self, waiting: int) -> None:
        """Called when the number of waiting keys has changed."""

    def taken(self, waited: float) -> None:
        """Called when a key is taken, with the seconds that it waited."""

    def done(self, worked: float) -> None:
        """Called when a key is done, with the seconds that its processing took."""

    def retried(self) -> None:
        """Called when a key has failed and will be retried."""


class ShutDownError(Exception):
    """The queue was shut down."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delay of a key after failures: doubles from `first` to `longest` seconds.

    Each delay is shortened at random by up to the fraction `jitter`, so that keys that failed together are not retried
    at the same time.
    """

    first: float = 0.25
    longest: float = 30.0
    jitter: float = 0.3

    def delay(self, failures: int, random: Random) -> float:
        """Seconds to wait after this number of consecutive failures (1 for the first)."""
        full = min(self.first * 2.0 ** min(failures - 1, _LARGEST_EXPONENT), self.longest)
        return full * (1.0 - self.jitter * random.random())


class WorkQueue(Generic[Key]):
    """See the module. Not thread-safe: call it only from the event loop's thread."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        backoff: Backoff | None = None,
        observer: QueueObserver | None = None,
        flow_of: Callable[[Key], Flow] = one_flow,
        workers: int | None = None,
    ) -> None:
        """Create an empty queue.

        Args:
            clock: clock to use; None: the running loop.
            backoff: delays of keys that failed.
            observer: for metrics.
            flow_of: returns the flow of a key; flows are served in turn.
            workers: maximum number of keys in process, not counting detached ones; None: no limit.
        """
        self._clock: Clock = clock if clock is not None else asyncio.get_running_loop()
        self._backoff = backoff or Backoff()
        self._observer = observer
        self._random = Random()  # noqa: S311 - spreads retries, keeps no secret
        self._waiting: FairQueue[Key] = FairQueue(flow_of, workers)
        self._since: dict[Key, float] = {}  # waiting keys, with the time when they were added
        self._taken: dict[Key, float] = {}  # keys in process, with the time when they were taken
        self._timers: dict[Key, tuple[float, Timer]] = {}
        self._failures: dict[Key, int] = {}
        self._takers: deque[asyncio.Future[None]] = deque()
        self._detached: set[Key] = set()
        self._open = True
        self.on_added_while_detached: Callable[[Key], object] = lambda _: None
        """Called with each key that is added while it is detached: its operation may have become unnecessary."""

    def __len__(self) -> int:
        """Number of waiting keys."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether no key waits or is in process; delayed additions do not count."""
        return not self._since and not self._taken

    @property
    def closed(self) -> bool:
        """Whether the queue was shut down."""
        return not self._open

    def add(self, key: Key) -> None:
        """Add a key. A key in process is processed again afterwards."""
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
        """Add a key after this delay in seconds, unless it is already due earlier."""
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
        """Add a failed key after a delay that grows with its failures. Returns the delay."""
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._observer is not None:
            self._observer.retried()
        delay = self._backoff.delay(self._failures[key], self._random)
        self.add_after(key, delay)
        return delay

    def failures(self, key: Key) -> int:
        """Number of consecutive failures of this key."""
        return self._failures.get(key, 0)

    def forget(self, key: Key) -> None:
        """Reset the failures of a key."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Take the next key, as soon as a worker is free for it. Call `done` with the key afterwards.

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
        """Give back the worker of a key whose processing continues but waits for something else.

        The key counts as in process until `done`.
        """
        self._waiting.release(key)
        self._detached.add(key)
        self._wake_taker()

    def done(self, key: Key) -> None:
        """Report that the processing of this key has ended, successfully or not."""
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
        """Stop giving out keys. Waiting callers of `get` receive ShutDownError."""
        self._open = False
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._takers:
            self._wake_taker()

    async def _wait(self) -> None:
        """Wait until a key may be taken or the queue is shut down."""
        taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._takers.append(taker)
        try:
            await taker
        except asyncio.CancelledError:
            # The taker was cancelled after it had been chosen, so the next taker gets the key.
            if taker.done() and not taker.cancelled() and self._waiting:
                self._wake_taker()
            raise

    def _wake_taker(self) -> None:
        """Wake one waiter of `get`. It continues to wait if no worker is free for any key."""
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
