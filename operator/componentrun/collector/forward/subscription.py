"""One receiver of one Storage: reads from Storage what is to be sent, has it sent, and marks how far it got.

Events of one run are sent in order, those of several runs together in a request (`delivery`). What the receiver does
not accept is recorded in Storage. Writing events waits for the mark alone, never for the receiver.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

from componentrun.collector.forward.backlog import Backlog, Batch, Selection
from componentrun.collector.forward.delivery import Delivery
from componentrun.collector.forward.message import Message
from componentrun.collector.forward.receivers import WANTS
from componentrun.core.podstatus.results import counted
from componentrun.errors import ComponentRunError, TransientError
from componentrun.storage.events.deadletters import add_dead_letters
from componentrun.storage.events.forwardmarks import marked_runs, read_mark, remove_marks, write_mark
from componentrun.storage.events.reader import EventReader
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from componentrun.collector.forward.delivery import DeadLetter
    from componentrun.collector.forward.receivers import Kind, Receiver
    from componentrun.collector.metrics import Metrics, SinkOutcome
    from componentrun.storage.events.events import Event
    from componentrun.storage.store.connection import Store

__all__ = ["Subscription"]

log = logging.getLogger(__name__)

_MAX_RUNS: Final = 20_000
"""Runs that are known at a time; further ones are found by their marks later."""
_MAX_RUNS_IN_REQUEST: Final = 16
"""Maximum number of runs that are read concurrently for one request."""
_MAX_BYTES: Final = 512 * 1024
"""Bytes of events in one request. While it is put together, one segment of each of its runs is in memory besides."""
_MAX_COMPARED: Final = 10_000
"""Events of one run that are searched for one to compare with."""
_LINGER: Final = 0.1
"""Seconds that the first event after a silence waits for others."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
_MARK_EVERY: Final = 30.0
_COMPLAINTS_EVERY: Final = 300.0


class Subscription:
    """See the module.

    Attributes:
        receiver: whom to send to; None while the Storage's configuration of it can't be used.
        store: the Storage.
        wants: whether the receiver gets events of a source.
    """

    def __init__(self, namespace: str, storage: str, kind: Kind, store: Store, metrics: Metrics) -> None:
        """Nothing is sent before `run`."""
        self.store = store
        self.receiver: Receiver | None = None
        self._namespace, self._title, self._kind = namespace, f"{namespace}/{storage}", kind
        self._name = f"{namespace}/{storage}/{kind}"
        self._metrics, self.wants = metrics, WANTS[kind]
        self._delivery = Delivery(self)
        self._sending: list[Batch] = []
        self._runs: dict[str, Backlog] = {}
        self._ready: dict[str, Backlog] = {}
        self._runs_in_request = _MAX_RUNS_IN_REQUEST
        self._news = asyncio.Event()
        self._closed = False
        self._complained = 0.0
        self._marked_at = time.monotonic()

    async def enter(self, run: str, name: str, first_seq: int) -> None:
        """Mark that the run's events from this number on are about to be written. To be called before each segment.

        Raises:
            ComponentRunError: the Storage did not take the mark.
        """
        if run in self._runs or self._closed:
            return
        marked = await read_mark(self.store, self._name, run)
        before = first_seq - 1
        if marked is None:
            await write_mark(self.store, self._name, run, before)
        if len(self._runs) < _MAX_RUNS and run not in self._runs and not self._closed:
            sent = before if marked is None else marked
            self._runs[run] = Backlog(run, name, sent, is_segment_end=sent == before, written=before, marked=sent)

    def segment_written(self, run: str, first: int, last: int, *, is_wanted: bool, is_finished: bool) -> None:
        """Send a segment of a run that is in Storage now; arguments as of `Backlog.segment_written`."""
        backlog = self._runs.get(run)
        if backlog is not None:
            backlog.segment_written(first, last, is_wanted=is_wanted, is_finished=is_finished)
            self._schedule(backlog)

    def overtaken(self, run: str, seq: int) -> None:
        """Send a segment that another collector has written and may not send, from its event `seq` on."""
        backlog = self._runs.get(run)
        if backlog is not None:
            backlog.in_storage(seq, is_finished=False)
            self._schedule(backlog)

    async def adopt(self, is_ours: Callable[[str], bool]) -> None:
        """Find runs whose events other collectors have not sent to the end.

        Raises:
            ComponentRunError: the Storage can't be listed.
        """
        async for run in marked_runs(self.store, self._name):
            if len(self._runs) >= _MAX_RUNS or self._closed:
                return
            if run not in self._runs and is_ours(run):
                self._runs[run] = Backlog(run)
                self._schedule(self._runs[run])

    def wake(self) -> None:
        """The receiver was changed."""
        self._news.set()

    async def run(self) -> None:
        """Send, until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            await self._wait()
            try:
                self._sending = batches = await self._read_batches()
                messages = [message for batch in batches for message in self._messages(batch)]
                await self._record(await self._delivery.deliver(messages))
                await self._settle(batches)
            except ComponentRunError as error:
                self._complain(f"events wait in Storage: {error.message}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE

    async def close(self) -> None:
        """Mark how far it got, and close the connection. Not while it runs."""
        backlogs, self._runs, self._closed = list(self._runs.values()), {}, True
        self._ready.clear()
        try:
            await self._mark(backlogs)
        finally:
            if self.receiver is not None:
                await self.receiver.sender.close()

    async def _wait(self) -> None:
        while not self._ready or self.receiver is None:
            self._news.clear()
            await self._news.wait()
            await asyncio.sleep(_LINGER)

    def _schedule(self, backlog: Backlog) -> None:
        if backlog.is_pending:
            self._ready[backlog.run] = backlog
            self._news.set()

    async def _read_batches(self) -> list[Batch]:
        """The events of the next request: an equal share for each of some runs.

        While shares are smaller than a segment, requests have fewer runs: a segment is read whole for each share of it.
        """
        backlogs = list(islice(self._ready.values(), self._runs_in_request))
        most = max((await self.current_receiver()).most // len(backlogs), 1)
        size = _MAX_BYTES // len(backlogs)
        read = await gather_bounded(lambda backlog: self._read_or_leave(backlog, most, size), backlogs)
        batches = [batch for batch in read if batch is not None]
        if any(batch.is_part for batch in batches):
            self._runs_in_request = max(self._runs_in_request // 2, 1)
        else:
            self._runs_in_request = min(self._runs_in_request * 2, _MAX_RUNS_IN_REQUEST)
        return batches

    async def _read_or_leave(self, backlog: Backlog, most: int, size: int) -> Batch | None:
        """The next events of a run. One that can't be read is forgotten until marks are looked for again."""
        try:
            return await self._read(backlog, most, size)
        except TransientError:
            raise
        except ComponentRunError as error:
            await self._mark([backlog])
            self._forget(backlog)
            log.error("Storage %s, %s: events of run %s wait: %s", self._title, self._kind, backlog.run, error.message)  # noqa: TRY400 - told in a sentence
            return None

    async def _sent_of(self, backlog: Backlog) -> int | None:
        """Number of the last event of a run that was sent; None: all were, and the run is forgotten."""
        if backlog.sent is None:
            backlog.sent = await read_mark(self.store, self._name, backlog.run)
        if backlog.sent is None:
            self._forget(backlog)
        return backlog.sent

    async def _read(self, backlog: Backlog, most: int, size: int) -> Batch | None:
        """The next events of a run: at most `most`, and, beyond the first one, at most `size` bytes."""
        seen, written = await self._sent_of(backlog), backlog.written
        if seen is None:
            return None
        chosen = Selection(seen, most, size)
        reader = EventReader(self.store, backlog.run, seen, is_segment_end=backlog.is_segment_end, ahead=0)
        try:
            async for segment in reader.read_segments():
                backlog.name = segment.about.name or backlog.name
                backlog.in_storage(segment.next_seq - 1, is_finished=bool(segment.checkpoint.get("finished")))
                if not chosen.add(segment.events, self.wants):
                    is_part = segment.first_seq <= seen + 1
                    return Batch(backlog, tuple(chosen.events), chosen.last, is_segment_end=False, is_part=is_part)
        except MissingError:
            backlog.swept(chosen.last)
        except ComponentRunError:
            if not chosen.events:
                raise
            return Batch(backlog, tuple(chosen.events), chosen.last, is_segment_end=False)
        else:
            if chosen.last < written:
                backlog.swept(chosen.last)
        return Batch(backlog, tuple(chosen.events), chosen.last, is_segment_end=True)

    def _messages(self, batch: Batch) -> list[Message]:
        name = batch.backlog.name or batch.backlog.run
        return [Message(event, self._namespace, name) for event in batch.events]

    async def _record(self, letters: Sequence[DeadLetter]) -> None:
        """Record in Storage what the receiver does not accept, before it is marked as done."""
        by_run = sorted(letters, key=lambda letter: letter.message.event.run)
        for run, found in groupby(by_run, key=lambda letter: letter.message.event.run):
            await add_dead_letters(self.store, self._name, run, [_document(letter) for letter in found])
        if letters:
            first = letters[0]
            log.error(
                "Storage %s, %s: %s left out as dead letters, the first one %s: %s",
                self._title, self._kind, counted(len(letters), "event"), first.message.event.id, first.answer,
            )  # fmt: skip

    # --- what a delivery needs

    async def current_receiver(self) -> Receiver:
        """Where to send to; waits while nothing is configured."""
        while self.receiver is None:
            self._news.clear()
            await self._news.wait()
        return self.receiver

    async def others(self, besides: Collection[str]) -> list[Message]:
        """The next event of some runs that is not being sent and whose id is not in `besides`."""
        sending = {batch.backlog.run: batch.last for batch in self._sending}
        found = []
        for backlog in list(self._ready.values())[:_MAX_RUNS_IN_REQUEST]:
            try:
                event = await self._next_event(backlog.run, sending.get(backlog.run, backlog.sent), besides)
            except ComponentRunError as error:
                self._complain(f"events of run {backlog.run} can't be read for a comparison: {error.message}")
                continue
            if event is not None:
                found.append(Message(event, self._namespace, backlog.name or backlog.run))
        return found

    async def _next_event(self, run: str, after: int | None, besides: Collection[str]) -> Event | None:
        if after is None:
            return None
        async for event in EventReader(self.store, run, after, ahead=0).read():
            if event.id not in besides and self.wants(event.source):
                return event
            if event.seq > after + _MAX_COMPARED:
                return None
        return None

    def count(self, outcome: SinkOutcome, number: int) -> None:
        """So many events came to this."""
        if number:
            self._metrics.sink_events.labels(self._kind, outcome).inc(number)

    def delayed(self, seconds: float) -> None:
        """An event was accepted so long after it happened."""
        self._metrics.sink_delay.labels(self._kind).observe(seconds)

    def failing(self, why: str) -> None:
        """A request failed and is made again."""
        self._metrics.sink_retries.labels(self._kind).inc()
        self._complain(f"trying again: {why}")

    # --- what was sent

    async def _settle(self, batches: Sequence[Batch]) -> None:
        """Note that these were sent, or left out. Their runs come last in the next request."""
        done = []
        for batch in batches:
            backlog = batch.backlog
            backlog.advance(batch)
            self._ready.pop(backlog.run, None)
            if backlog.is_done:
                self._forget(backlog)
                done.append(backlog)
            else:
                self._schedule(backlog)
        # A mark that can't be removed is found again, and that there is nothing left to send.
        await remove_marks(self.store, self._name, [backlog.run for backlog in done])
        if time.monotonic() - self._marked_at > _MARK_EVERY:
            self._marked_at = time.monotonic()
            await self._mark(self._runs.values())

    async def _mark(self, backlogs: Iterable[Backlog]) -> None:
        """Write the marks that have changed."""

        async def write(backlog: Backlog) -> None:
            sent = backlog.sent or 0
            await write_mark(self.store, self._name, backlog.run, sent)
            backlog.marked = sent

        await gather_bounded(write, [backlog for backlog in backlogs if (backlog.sent or 0) > backlog.marked])

    def _forget(self, backlog: Backlog) -> None:
        self._runs.pop(backlog.run, None)
        self._ready.pop(backlog.run, None)

    def _complain(self, message: str) -> None:
        """Once in a while: what is away stays away for a while."""
        now = time.monotonic()
        if not self._complained or now - self._complained > _COMPLAINTS_EVERY:
            self._complained = now
            log.warning("Storage %s, %s: %s", self._title, self._kind, message)


def _document(letter: DeadLetter) -> dict[str, Any]:
    event = letter.message.event
    return {
        "id": event.id, "seq": event.seq, "time": event.time, "outcome": letter.outcome, "answer": letter.answer,
        "tries": letter.tries, "given_up": datetime.now(UTC).isoformat(),
    }  # fmt: skip
