"""Where a run's events go: opens its Storage, finds where the last collector stopped, writes segments.

A segment is created only if there is none with its number. So two collectors that follow the same run (during an
update, or by mistake) can't mix their events: one of them finds its segment taken, forgets what it holds and resumes
behind it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.collector.events.journal import Journal
from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError
from componentrun.storage.events.events import About
from componentrun.storage.events.runs import EventRun, enter_ended, enter_open
from componentrun.storage.events.segments import SegmentTakenError, append_lines, last_segment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from componentrun.collector.events.journal import Limits
    from componentrun.collector.events.segment import ReadySegment
    from componentrun.collector.events.stores import Stores
    from componentrun.collector.forward.subscription import Subscription
    from componentrun.collector.metrics import Metrics
    from componentrun.collector.runs.state import RunState
    from componentrun.process.logs import RunLogger
    from componentrun.storage.store.connection import Store

__all__ = ["EventWriter", "SupersededError", "UndeliverableError"]

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_PATIENCE: Final = 20.0
"""Seconds after a run's end that a Storage which refuses is given to be mended."""
_COMPLAINTS_EVERY: Final = 60.0

Value = TypeVar("Value")


class SupersededError(PlatformError):
    """Another collector wrote the next segment, or the run is in another Storage: begin again from what is there."""


class UndeliverableError(PlatformError):
    """The run is over, and its Storage does not take its events: it is missing, or it refuses."""


class EventWriter:
    """One run's segments in its Storage."""

    def __init__(self, state: RunState, stores: Stores, metrics: Metrics, log: RunLogger, limits: Limits) -> None:
        """Write for the run whose state this is, which may have so many events."""
        self._limits = limits
        self._state, self._stores, self._metrics, self._log = state, stores, metrics, log
        self._storage: str | None = None
        self._bound = False
        self._began = time.monotonic()
        self._complained = (0.0, "")
        self._about = About()
        """What the events in Storage come to."""
        self._entered = False
        """Whether the run is in the index of events."""

    async def journal(self) -> Journal:
        """A journal that goes on behind the run's last segment.

        Raises:
            UndeliverableError: see there.
        """

        async def read(store: Store) -> Journal:
            run = self._state.run
            last = await last_segment(store, run.uid)
            if last is None:
                return Journal(run, self._limits)
            # It was entered before its first segment was written.
            self._about, self._entered = last.about, True
            return Journal.resume(run, last.next_seq, last.checkpoint, self._limits)

        return await self._insist(read, "find the last segment")

    async def write(self, cut: ReadySegment) -> None:
        """Write a segment. Once this returned, it and its checkpoint are in Storage.

        Raises:
            SupersededError: see there.
            UndeliverableError: see there.
        """
        run = self._state.run
        counts, lines = cut.counts, (cut.count, cut.lines())
        about = self._about.following(run.name, cut.ends, datetime.now(UTC), counts)
        subscriptions: tuple[Subscription, ...] = ()

        async def append(store: Store) -> None:
            nonlocal subscriptions
            if not self._entered:
                await enter_open(store, self._event_run())
                self._entered = True
            subscriptions = self._stores.subscriptions(run.namespace, store)
            for subscription in subscriptions:
                await subscription.enter(run.uid, run.name, cut.first_seq)
            try:
                await append_lines(store, run.uid, cut.first_seq, lines, cut.checkpoint, about)
            except SegmentTakenError:
                for subscription in subscriptions:
                    subscription.overtaken(run.uid, cut.first_seq)
                raise

        await self._insist(append, "write a segment")
        self._about = about
        for subscription in subscriptions:
            wanted = cut.said_by(subscription.wants)
            subscription.offer(
                run.uid, (cut.first_seq, cut.last_seq), wanted, finished=bool(cut.checkpoint["finished"])
            )
        self._metrics.segments.inc()
        for kind, count in counts.items():
            self._metrics.events.labels(kind).inc(count)
        if cut.oldest:
            self._metrics.lag.observe(max(time.time() - cut.oldest / 1e9, 0.0))

    async def close(self) -> str:
        """Say in the index that the run's events are complete; what is wrong, in a sentence. May be repeated."""

        async def enter(store: Store) -> None:
            await enter_ended(store, self._event_run(), self._about)

        try:
            await self._insist(enter, "enter the run in the index of events")
        except UndeliverableError as error:
            return f"the run is missing from the index of events: {error.message}"
        return ""

    def _event_run(self) -> EventRun:
        run = self._state.run
        return EventRun(run.uid, run.component, run.configuration)

    async def _insist(self, action: Callable[[Store], Awaitable[Value]], what: str) -> Value:
        pause = _FIRST_PAUSE
        while True:
            try:
                return await action(await self._store())
            except SegmentTakenError as error:
                raise SupersededError(error.message) from error
            except SupersededError:
                raise
            except ComponentRunError as error:
                if self._is_hopeless(error):
                    raise UndeliverableError(error.message, error.reason) from error
                self._complain(f"can't {what}, trying again: {error.message}")
                self._stores.forget(self._state.run.namespace, self._storage)
            await self._state.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _complain(self, message: str) -> None:
        """Once for each kind of trouble and time: a store that is away is away for all runs."""
        now = time.monotonic()
        if message != self._complained[1] or now - self._complained[0] > _COMPLAINTS_EVERY:
            self._complained = (now, message)
            self._log.warning("%s", message)

    async def _store(self) -> Store:
        """The run's store: always the same one, whatever is the namespace's default later.

        Raises:
            SupersededError: the run waited while another Storage became the default, and has begun there.
        """
        run = self._state.run
        if not self._bound:
            self._storage = run.storage
        elif run.status.storage not in {None, self._storage}:
            raise SupersededError(f"it began in Storage `{run.status.storage}`, and waited in `{self._storage}`")
        # Its Storage is the one that the run found: what was opened for earlier runs may be another one.
        since = 0.0 if self._bound else self._began
        store = await self._stores.get(run.namespace, self._storage, since)
        self._storage, self._bound = store.settings.name, True
        return store

    def _is_hopeless(self, error: ComponentRunError) -> bool:
        over_for = self._state.over_for
        if over_for is None or isinstance(error, TransientError):
            return False
        return error.reason == Reason.STORAGE_NOT_FOUND or over_for > _PATIENCE
