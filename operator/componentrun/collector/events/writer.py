"""Writes the segments of a run to its Storage, continuing where the last collector stopped.

A segment is created only if there is none with its number. So two collectors that follow the same run (during an
update, or by mistake) can't mix their events: one of them finds its segment taken, drops its pending events and resumes
after that segment. `collector.events.merger` describes how that holds although segments are merged and deleted.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.collector.events import merger
from componentrun.collector.events.journal import Journal
from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError
from componentrun.storage.events.events import About, EventRun
from componentrun.storage.events.runs import enter_ended, enter_open
from componentrun.storage.events.segments import SegmentTakenError, append_lines, list_events, read_last

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from componentrun.collector.events.budget import MemoryBudget
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
"""Seconds after a run's end during which a Storage that refuses requests is retried."""
_COMPLAINTS_EVERY: Final = 60.0

Value = TypeVar("Value")


class SupersededError(PlatformError):
    """Another collector wrote the next segment, or the run is in another Storage: resume from what is stored."""


class UndeliverableError(PlatformError):
    """The run is over, and its Storage does not exist or refuses its events."""


class EventWriter:
    """Writes the segments of one run."""

    def __init__(
        self,
        state: RunState,
        stores: Stores,
        metrics: Metrics,
        log: RunLogger,
        limits: Limits,
        merging: merger.MergeGate | None = None,
        memory: MemoryBudget | None = None,
    ) -> None:
        """Write for the run with this state and these limits.

        `merging` limits how many runs are merged at once, and `memory` has room for segments until they are merged.
        """
        self._limits = limits
        self._merger = merger.RunMerger(state.run.uid, merging or merger.MergeGate(), memory)
        self._merging: asyncio.Task[None] | None = None
        self._alone_at: float | None = None
        """When a write began that showed that no other collector follows the run; None: not in this session."""
        self._state, self._stores, self._metrics, self._log = state, stores, metrics, log
        self._storage: str | None = None
        self._bound = False
        self._began = time.monotonic()
        self._complained = (0.0, "")
        self._about = About()
        """Summary of the events in Storage."""
        self._entered = False
        """Whether the run was added to the index of events."""

    async def journal(self) -> Journal:
        """A journal that continues after the run's last segment.

        Raises:
            UndeliverableError: the run is over, and its Storage can't be used.
        """

        async def read(store: Store) -> Journal:
            run = self._state.run
            last, found = await read_last(store, run.uid)
            self._merger.listed(found)
            self._alone_at = None
            if last is None:
                return Journal(run, self._limits)
            # It was entered before its first segment was written.
            self._about, self._entered = last.about, True
            return Journal.resume(run, last.next_seq, last.checkpoint, self._limits)

        return await self._insist(read, "find the last segment")

    async def write(self, segment: ReadySegment) -> None:
        """Write a segment. Once this returned, it and its checkpoint are in Storage.

        Raises:
            SupersededError: another collector wrote a segment with this number.
            UndeliverableError: the run is over, and its Storage can't be used.
        """
        run = self._state.run
        counts, lines = segment.counts, (segment.count, segment.lines())
        about = self._about.following(run.name, segment.ends, datetime.now(UTC), counts)
        subscriptions: tuple[Subscription, ...] = ()

        async def append(store: Store) -> None:
            nonlocal subscriptions
            if not self._entered:
                await enter_open(store, self._event_run())
                self._entered = True
            subscriptions = self._stores.subscriptions(run.namespace, store)
            for subscription in subscriptions:
                await subscription.enter(run.uid, run.name, segment.first_seq)
            try:
                await self._append(store, segment, lines, about)
            except SegmentTakenError:
                for subscription in subscriptions:
                    subscription.overtaken(run.uid, segment.first_seq)
                raise

        await self._insist(append, "write a segment")
        self._about = about
        self._merge_if_due()
        for subscription in subscriptions:
            subscription.segment_written(
                run.uid,
                segment.first_seq,
                segment.last_seq,
                is_wanted=segment.has_event_of(subscription.wants),
                is_finished=bool(segment.checkpoint["finished"]),
            )
        self._metrics.segments.inc()
        for kind, count in counts.items():
            self._metrics.events.labels(kind).inc(count)
        if segment.oldest:
            self._metrics.lag.observe(max(time.time() - segment.oldest / 1e9, 0.0))

    async def _append(self, store: Store, segment: ReadySegment, lines: tuple[int, bytes], about: About) -> None:
        """Write a segment, and make sure that its number was not merged by another collector."""
        began, first = merger.clock(), segment.first_seq
        data = await append_lines(store, self._event_run(), first, lines, segment.checkpoint, about)
        if self._alone_at is None or merger.clock() - self._alone_at >= merger.LEASE_SECONDS:
            uid = self._state.run.uid
            if (await list_events(store, uid, first - 1)).merged_upto >= first:
                await store.delete([store.layout.segment(uid, first)])
                raise SegmentTakenError(f"run {uid} has merged events from {first} on: a second collector follows it")
        self._alone_at = began
        self._merger.written(first, data)

    def _merge_if_due(self) -> None:
        """Start to merge the segments of a run with many of them; the run is collected meanwhile."""
        if self._merger.is_due and (self._merging is None or self._merging.done()):
            self._merging = asyncio.create_task(self._merge_in_background())

    async def _merge_in_background(self) -> None:
        try:
            await self._merger.merge(await self._store())
        except ComponentRunError as error:
            self._complain(f"can't merge segments, retrying later: {error.message}")

    async def stop(self) -> None:
        """End work in the background, and release memory."""
        # First, so that it also happens if this task is cancelled while it waits.
        self._merger.release()
        if self._merging is not None:
            self._merging.cancel()
            await asyncio.gather(self._merging, return_exceptions=True)

    async def close(self) -> str:
        """Merge the run's segments, and record in the index that its events are complete.

        Idempotent. Returns an error message, or nothing.
        """
        if self._merging is not None:
            await self._merging
        try:
            await self._insist(self._merger.merge, "merge the segments")
        except UndeliverableError as error:
            self._log.warning("the segments can't be merged, and stay as they are: %s", error.message)

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
                self._complain(f"can't {what}, retrying: {error.message}")
                self._stores.forget(self._state.run.namespace, self._storage)
            await self._state.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _complain(self, message: str) -> None:
        """Log a message, and repeats of it only once a minute: an unavailable store affects all runs."""
        now = time.monotonic()
        if message != self._complained[1] or now - self._complained[0] > _COMPLAINTS_EVERY:
            self._complained = (now, message)
            self._log.warning("%s", message)

    async def _store(self) -> Store:
        """The run's store: always the same one, even if the namespace's default changes.

        Raises:
            SupersededError: the run was queued while another Storage became the default, and uses that one.
        """
        run = self._state.run
        if not self._bound:
            self._storage = run.storage
        elif run.status.storage not in {None, self._storage}:
            raise SupersededError(
                f"the run uses Storage `{run.status.storage}`, and its first events are in `{self._storage}`"
            )
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
