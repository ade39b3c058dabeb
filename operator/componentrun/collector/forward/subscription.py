"""One receiver of one Storage: takes what is to be sent, has it sent, and marks in Storage how far it got.

Events of one run are sent in their order, those of several runs side by side in a request (`delivery`). What the
receiver does not accept is written down in Storage. Nothing here is waited for by whoever writes events, but for the
mark.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from componentrun.collector.forward.backlog import Backlog, Taken
from componentrun.collector.forward.delivery import Delivery
from componentrun.collector.forward.message import Message, size_of
from componentrun.collector.forward.receivers import WANTS
from componentrun.core.podstatus.results import counted
from componentrun.errors import ComponentRunError, TransientError
from componentrun.storage.events.deadletters import add_dead_letters
from componentrun.storage.events.reader import EventReader
from componentrun.storage.events.unsent import marked_runs, read_mark, remove_mark, write_mark
from componentrun.storage.store.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from componentrun.collector.forward.backlog import Room
    from componentrun.collector.forward.delivery import DeadLetter
    from componentrun.collector.forward.receivers import Kind, Receiver
    from componentrun.collector.metrics import Metrics, SinkOutcome
    from componentrun.storage.events.events import Event
    from componentrun.storage.store.connection import Store

__all__ = ["Subscription"]

log = logging.getLogger(__name__)

_MOST_RUNS: Final = 20_000
"""That are known at a time; further ones are found in Storage later."""
_MOST_BYTES: Final = 512 * 1024
_LINGER: Final = 0.1
"""Seconds that the first event after a silence waits for others."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
_MARK_EVERY: Final = 30.0
_COMPLAINTS_EVERY: Final = 300.0


class Subscription:
    """See the module.

    Attributes:
        receiver: whom to send to; None: nobody for now, because the Storage does not say it well.
        store: the Storage.
        wants: whether the receiver gets events of a source.
    """

    def __init__(self, namespace: str, storage: str, kind: Kind, store: Store, room: Room, metrics: Metrics) -> None:
        """Nothing is sent before `run`."""
        self.store = store
        self.receiver: Receiver | None = None
        self._namespace, self._title, self._kind = namespace, f"{namespace}/{storage}", kind
        self._name = f"{namespace}/{storage}/{kind}"
        self._room, self._metrics, self.wants = room.share(), metrics, WANTS[kind]
        self._delivery = Delivery(self)
        self._sending: list[Taken] = []
        self._runs: dict[str, Backlog] = {}
        self._ready: dict[str, Backlog] = {}
        self._news = asyncio.Event()
        self._complained = 0.0
        self._marked_at = time.monotonic()

    async def enter(self, run: str, name: str, first_seq: int) -> None:
        """The run's events from this number on are about to be written. To be called before each segment.

        Raises:
            ComponentRunError: the Storage did not take the mark.
        """
        if run in self._runs or self._room.closed:
            return
        sent = await read_mark(self.store, self._name, run)
        if sent is None:
            await write_mark(self.store, self._name, run, first_seq - 1)
        if len(self._runs) < _MOST_RUNS and run not in self._runs and not self._room.closed:
            backlog = Backlog(run, self._room, sent=first_seq - 1 if sent is None else sent, written=first_seq - 1)
            if sent is None or sent == first_seq - 1:
                backlog.held = deque()
            backlog.name = name
            self._runs[run] = backlog

    def offer(self, run: str, numbers: tuple[int, int], wanted: Sequence[Event], *, finished: bool) -> None:
        """Events were written.

        Args:
            run: whose, by its uid.
            numbers: of the first and the last one.
            wanted: those of them whose sources are wanted.
            finished: whether they are the run's last.
        """
        backlog = self._runs.get(run)
        if backlog is not None:
            backlog.offer(numbers, wanted, finished=finished)
            self._look_at(backlog)

    def overtaken(self, run: str, seq: int) -> None:
        """Another collector has written the run's event of this number, and may end before it has sent it.

        It is looked for in Storage, also where that was read before it and is being sent now.
        """
        backlog = self._runs.get(run)
        if backlog is not None:
            backlog.overtaken(seq)
            self._look_at(backlog)

    async def adopt(self, is_ours: Callable[[str], bool]) -> None:
        """Find runs in Storage that others have not sent to the end.

        Raises:
            ComponentRunError: the Storage did not tell.
        """
        async for run in marked_runs(self.store, self._name):
            if len(self._runs) >= _MOST_RUNS or self._room.closed:
                return
            if run not in self._runs and is_ours(run):
                self._runs[run] = Backlog(run, self._room)
                self._look_at(self._runs[run])

    def wake(self) -> None:
        """The receiver was changed."""
        self._news.set()

    async def run(self) -> None:
        """Send, until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            await self._wait()
            try:
                self._sending = parts = await self._gather()
                await self._keep(
                    await self._delivery.deliver([item for part in parts for item in self._messages(part)])
                )
                await self._settle(parts)
            except ComponentRunError as error:
                self._complain(f"events wait in Storage: {error.message}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE

    async def close(self) -> None:
        """Mark how far it got, give back all room, and close the connection. Not while it runs."""
        runs, self._runs = list(self._runs.values()), {}
        self._ready.clear()
        self._room.close()
        try:
            for backlog in runs:
                await self._mark(backlog)
        finally:
            if self.receiver is not None:
                await self.receiver.sender.close()

    async def _wait(self) -> None:
        while not self._ready or self.receiver is None:
            self._news.clear()
            await self._news.wait()
            await asyncio.sleep(_LINGER)

    def _look_at(self, backlog: Backlog) -> None:
        if backlog.waiting:
            self._ready[backlog.run] = backlog
            self._news.set()

    async def _gather(self) -> list[Taken]:
        """What the next request holds, of as many runs as it has room for."""
        parts: list[Taken] = []
        most, size = (await self.current_receiver()).most, _MOST_BYTES
        for backlog in list(self._ready.values()):
            if most <= 0 or size <= 0:
                break
            try:
                part = backlog.take(most, size) if backlog.held is not None else await self._read(backlog, most, size)
            except TransientError:
                raise
            except ComponentRunError as error:
                await self._leave(backlog, error)
                continue
            if part is not None:
                parts.append(part)
                most, size = most - len(part.events), size - sum(map(size_of, part.events))
        return parts

    async def _leave(self, backlog: Backlog, error: ComponentRunError) -> None:
        """A run that can't be read must keep no other one back. Its mark is found again when marks are looked for."""
        await self._mark(backlog)
        self._forget(backlog)
        log.error("Storage %s, %s: events of run %s wait: %s", self._title, self._kind, backlog.run, error.message)

    async def _sent_of(self, backlog: Backlog) -> int | None:
        """Up to which number a run's events were sent. None: all were, and it is forgotten."""
        if backlog.sent is None:
            backlog.sent = await read_mark(self.store, self._name, backlog.run)
        if backlog.sent is None:
            self._forget(backlog)
        return backlog.sent

    async def _read(self, backlog: Backlog, most: int, size: int) -> Taken | None:
        """The next events of a run, from Storage. None: all were sent."""
        seen, written = await self._sent_of(backlog), backlog.written
        if seen is None:
            return None
        chosen: list[Event] = []
        try:
            async for segment in EventReader(self.store, backlog.run, seen).read_segments():
                backlog.name = segment.about.name or backlog.name
                for event in segment.events:
                    if event.seq > seen and self.wants(event.source):
                        size -= size_of(event)
                        if len(chosen) == most or (chosen and size < 0):
                            return Taken(backlog, tuple(chosen), seen)
                        chosen.append(event)
                    seen = max(seen, event.seq)
                backlog.finished = backlog.finished or bool(segment.checkpoint.get("finished"))
        except MissingError:
            backlog.swept(seen)
        except ComponentRunError:
            if not chosen:
                raise
            return Taken(backlog, tuple(chosen), seen)
        if seen < written:
            backlog.swept(seen)
        return Taken(backlog, tuple(chosen), seen, to_the_end=True)

    def _messages(self, part: Taken) -> list[Message]:
        name = part.backlog.name or part.backlog.run
        return [Message(event, self._namespace, name) for event in part.events]

    async def _keep(self, letters: Sequence[DeadLetter]) -> None:
        """Write down what the receiver does not accept, before it is marked as done."""
        by_run = sorted(letters, key=lambda letter: letter.message.event.run)
        for run, found in groupby(by_run, key=lambda letter: letter.message.event.run):
            await add_dead_letters(self.store, self._name, run, [_document(letter) for letter in found])
        if letters:
            first = letters[0]
            log.error(
                "Storage %s, %s: %s left out as dead letters, the first one %s: %s",
                self._title, self._kind, counted(len(letters), "event"), first.message.event.id, first.answer,
            )  # fmt: skip

    # --- what a delivery asks and reports

    async def current_receiver(self) -> Receiver:
        """Where to send to; waits while nothing is configured."""
        while self.receiver is None:
            self._news.clear()
            await self._news.wait()
        return self.receiver

    def others(self, besides: Collection[str]) -> list[Message]:
        """Of each run the next event that is not being sent, as far as it is held, and whose id is none of these."""
        upto = {part.backlog.run: part.upto for part in self._sending}
        found = []
        for backlog in self._ready.values():
            behind = upto.get(backlog.run, 0)
            held = (event for event in backlog.held or () if event.seq > behind and event.id not in besides)
            if (event := next(held, None)) is not None:
                found.append(Message(event, self._namespace, backlog.name or backlog.run))
        return found

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

    async def _settle(self, parts: Sequence[Taken]) -> None:
        """The parts were sent, or left out. Who was looked at comes last the next time."""
        done = []
        for part in parts:
            backlog = part.backlog
            backlog.advance(part.upto)
            if part.to_the_end:
                backlog.caught_up(part.upto)
            self._ready.pop(backlog.run, None)
            if backlog.done:
                self._forget(backlog)
                done.append(backlog)
            else:
                self._look_at(backlog)
        # Where that fails, somebody will find the marks, and that there is nothing to send.
        for backlog in done:
            await remove_mark(self.store, self._name, backlog.run)
        if time.monotonic() - self._marked_at > _MARK_EVERY:
            self._marked_at = time.monotonic()
            for backlog in list(self._runs.values()):
                await self._mark(backlog)

    async def _mark(self, backlog: Backlog) -> None:
        if backlog.sent is not None and backlog.sent > backlog.saved:
            await write_mark(self.store, self._name, backlog.run, backlog.sent)
            backlog.saved = backlog.sent

    def _forget(self, backlog: Backlog) -> None:
        backlog.release()
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
