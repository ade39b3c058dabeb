"""Sends events to a receiver until each is accepted or has become a dead letter.

A batch that the receiver refuses, or fails on repeatedly, is halved until the events that it can't process are found.
These become dead letters; all others are delivered, in order within a run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from componentrun.collector.forward.triage import Triage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from componentrun.collector.forward.message import Message
    from componentrun.collector.forward.receivers import Receiver
    from componentrun.collector.forward.sender import Answer
    from componentrun.collector.metrics import SinkOutcome

__all__ = ["DeadLetter", "Delivery", "DeliveryContext"]

PATIENCE: Final = timedelta(hours=24)
"""Events older than this are not sent any more."""
_TRIES_TOGETHER: Final = 4
"""Number of failed requests with several events before the batch is halved."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that the receiver will never accept."""

    message: Message
    outcome: SinkOutcome
    """`refused`: the receiver refused the event. `failed`: it fails on this event and accepts others."""
    answer: str
    """The receiver's last answer, as text."""
    tries: int
    """Number of requests with this event alone."""


class DeliveryContext(Protocol):
    """What a delivery needs from its owner: the receiver, other events, and metrics."""

    async def current_receiver(self) -> Receiver:
        """The current receiver; waits while none is configured."""

    async def others(self, besides: Collection[str]) -> Sequence[Message]:
        """The next event of each run that is not being sent and whose id is not in `besides`."""

    def count(self, outcome: SinkOutcome, number: int) -> None:
        """Count events with this outcome."""

    def delayed(self, seconds: float) -> None:
        """Record how long after its time an event was accepted."""

    def failing(self, why: str) -> None:
        """Report that a request failed and will be retried."""


class Delivery:
    """The requests to one receiver, one at a time."""

    def __init__(self, context: DeliveryContext) -> None:
        """Start without any state."""
        self._context = context
        self._triage = Triage()
        self._batches: deque[list[Message]] = deque()
        self._dead_letters: list[DeadLetter] = []
        self._accepted_early: set[str] = set()
        """Ids of events that were accepted out of order, for a comparison."""
        self._comparisons = 0
        self._tries = 0
        self._pause = _FIRST_PAUSE

    async def deliver(self, messages: list[Message]) -> list[DeadLetter]:
        """Deliver all events. Returns those that the receiver does not accept."""
        ids = {message.event.id for message in messages}
        self._batches = deque([[message for message in messages if message.event.id not in self._accepted_early]])
        self._accepted_early -= ids
        self._dead_letters, self._comparisons = [], 0
        self._recovered()
        self._triage.forget()
        while self._batches:
            batch = self._without_expired(self._batches.popleft())
            if batch:
                await self._send(batch)
        return self._dead_letters

    async def _send(self, batch: list[Message]) -> None:
        answer = await self._post(batch)
        if answer.accepted:
            return
        if answer.refused and len(batch) > 1:
            self._halve(batch)
        elif answer.refused:
            self._triage.accepted()  # the receiver is not down
            self._add_dead_letter(batch[0], "refused", answer)
        elif not answer.about_content:
            await self._wait(batch, answer)
        elif len(batch) > 1:
            self._tries += 1
            if self._dead_letters or self._tries >= _TRIES_TOGETHER:
                self._halve(batch)
            else:
                await self._wait(batch, answer)
        else:
            await self._single_event_failed(batch, answer)

    async def _single_event_failed(self, batch: list[Message], answer: Answer) -> None:
        """Decide about an event on which the receiver failed alone."""
        (message,) = batch
        verdict = self._triage.failed(message)
        if verdict == "poisonous":
            self._add_dead_letter(message, "failed", answer)
            self._recovered()
        elif verdict == "compare" and await self._accepts_another(message):
            self._batches.appendleft(batch)  # retry at once: only if it fails after that, it is poisonous
        else:
            await self._wait(batch, answer)

    async def _accepts_another(self, message: Message) -> bool:
        """Whether the receiver accepts another event; a different one at each call."""
        candidates = await self._candidates(message)
        if not candidates:
            return False
        chosen = candidates[self._comparisons % len(candidates)]
        self._comparisons += 1
        answer = await self._post([chosen])
        if answer.accepted:
            count = sum(map(len, self._batches))
            self._batches = deque([item for item in batch if item is not chosen] for batch in self._batches)
            if sum(map(len, self._batches)) == count:
                self._accepted_early.add(chosen.event.id)
        elif answer.refused:
            self._triage.accepted()  # it will be refused again in its own turn
        return answer.accepted or answer.refused

    async def _candidates(self, message: Message) -> list[Message]:
        """The next event of each run. The event's own run comes last, because its order would change."""
        first: dict[str, Message] = {}
        for batch in self._batches:
            for item in batch:
                first.setdefault(item.event.run, item)
        for item in await self._context.others(self._accepted_early):
            first.setdefault(item.event.run, item)
        return sorted(first.values(), key=lambda item: item.event.run == message.event.run)

    async def _post(self, messages: Sequence[Message]) -> Answer:
        receiver = await self._context.current_receiver()
        answer = await receiver.sender.post(*receiver.request(messages, time.time()))
        if answer.accepted:
            self._triage.accepted()
            self._recovered()
            rejected = min(receiver.rejected(answer.body), len(messages))
            self._context.count("refused", rejected)
            self._context.count("delivered", len(messages) - rejected)
            oldest = min(datetime.fromisoformat(message.event.time) for message in messages)
            self._context.delayed(max((datetime.now(UTC) - oldest).total_seconds(), 0.0))
        return answer

    def _recovered(self) -> None:
        self._tries, self._pause = 0, _FIRST_PAUSE

    async def _wait(self, batch: list[Message], answer: Answer) -> None:
        """Retry the batch after a pause."""
        self._batches.appendleft(batch)
        self._context.failing(answer.error)
        await asyncio.sleep(max(answer.after, self._pause * random.uniform(0.5, 1.0)))  # noqa: S311 - spreads, keeps no secret
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _halve(self, batch: list[Message]) -> None:
        half = len(batch) // 2
        self._batches.extendleft((batch[half:], batch[:half]))

    def _add_dead_letter(self, message: Message, outcome: SinkOutcome, answer: Answer) -> None:
        self._context.count(outcome, 1)
        self._dead_letters.append(DeadLetter(message, outcome, answer.error, max(self._triage.tries(message), 1)))

    def _without_expired(self, messages: list[Message]) -> list[Message]:
        oldest = (datetime.now(UTC) - PATIENCE).isoformat()
        fresh = [message for message in messages if message.event.time >= oldest]
        self._context.count("expired", len(messages) - len(fresh))
        return fresh
