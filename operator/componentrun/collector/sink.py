"""Takes the lines of one container into the run's journal, and makes its follower wait while that is full."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.collector.journal import container_key
from componentrun.collector.lifecycle import Told

if TYPE_CHECKING:
    from componentrun.collector.facts import PodFacts
    from componentrun.collector.journal import Journal
    from componentrun.collector.lines import Line
    from componentrun.collector.metrics import Metrics
    from componentrun.collector.position import Position
    from componentrun.core.redactor import Redactor

__all__ = ["ContainerSink", "Inbox"]


class Inbox:
    """The journal of a run, and who waits for what about it.

    Attributes:
        filled: set when the first event has come in, and when there is no more room.
        first_at: when the first event came in that is not written yet.
    """

    def __init__(self, journal: Journal, filled: asyncio.Event, metrics: Metrics) -> None:
        """Around this journal."""
        self.journal, self.filled, self.metrics = journal, filled, metrics
        self.first_at = 0.0
        self._room = asyncio.Event()

    def added(self) -> None:
        """Something was put into the journal."""
        if not self.first_at:
            self.first_at = time.monotonic()
            self.filled.set()
        if self.journal.full:
            self._room.clear()
            self.filled.set()

    def emptied(self) -> None:
        """The journal was cut."""
        self.first_at = 0.0
        self._room.set()

    async def room(self) -> None:
        """Wait until the journal is not full."""
        while self.journal.full:
            await self._room.wait()

    def problem(self, key: str, message: str) -> None:
        """Something could not be delivered."""
        self.metrics.gaps.inc()
        self.journal.problem(Told(key, time.time_ns(), "warn", message))
        self.added()


def source_of(container: str) -> str:
    """Where an event says that it comes from: what came over GELF was said by the component."""
    return f"{names.COMPONENT}/{names.GELF}" if container == names.GELF else container


class ContainerSink:
    """See `follower.Sink`."""

    def __init__(self, inbox: Inbox, pod: PodFacts, container: str, redactor: Redactor) -> None:
        """For one container."""
        self._inbox, self._source, self._redactor = inbox, source_of(container), redactor
        self._key, self._attempt = container_key(pod.uid, container), pod.attempt
        self._lines = inbox.metrics.lines.labels(container)

    @property
    def position(self) -> Position:
        """How far the log was read."""
        return self._inbox.journal.position(self._key)

    def take(self, line: Line) -> bool:
        """The next line. False: no more room until `room` returns."""
        journal = self._inbox.journal
        journal.line(self._key, self._source, line, self._redactor, attempt=self._attempt)
        self._lines.inc()
        self._inbox.added()
        return not journal.full

    async def room(self) -> None:
        """Wait until there is room."""
        await self._inbox.room()

    def lost(self, key: str, message: str) -> None:
        """Lines are missing, or may be."""
        self._inbox.problem(key, message)
