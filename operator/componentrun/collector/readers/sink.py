"""Passes the lines of one container to the run's journal, and makes its follower wait while the journal is full.

The last lines of a container are held until it is known that no further line joins them: at the next line that does
not, at the end of the response, or when a segment is due and no line arrived for a while.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.collector.events.budget import MemoryBudget
from componentrun.collector.events.journal import container_key
from componentrun.collector.readers.grouping import Grouper
from componentrun.collector.runs.lifecycle import LifecycleEvent
from componentrun.core.redact.lines import LineRedactor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.events.journal import Journal
    from componentrun.collector.metrics import Metrics
    from componentrun.collector.readers.api.position import Position
    from componentrun.collector.readers.grouping import Block, Group
    from componentrun.collector.readers.line import Line
    from componentrun.collector.runs.facts import PodFacts
    from componentrun.core.redact.masks import Masks
    from componentrun.core.redact.redactor import Redactor

__all__ = ["ContainerSink", "Inbox"]


class Inbox:
    """The journal of a run, with the sinks and the worker that wait for it.

    Attributes:
        filled: is set when the first event or line arrives, and when the journal is full.
        first_at: when the first of the pending events arrived.
    """

    def __init__(
        self, journal: Journal, filled: asyncio.Event, metrics: Metrics, memory: MemoryBudget | None = None
    ) -> None:
        """Wrap this journal, which gets its share of the memory budget."""
        self._memory = memory or MemoryBudget()
        self.journal, self.filled, self.metrics = journal, filled, metrics
        self.first_at = 0.0
        self._room = asyncio.Event()
        self._holders: set[ContainerSink] = set()

    @property
    def waiting(self) -> bool:
        """Whether there are pending events or held lines."""
        return bool(self._holders) or not self.journal.empty

    def added(self) -> None:
        """Note that something was added to the journal, or is held for it."""
        self.journal.room = self._memory.enter(self)
        if not self.first_at:
            self.first_at = time.monotonic()
            self.filled.set()
        if self.journal.full:
            self._room.clear()
            self.filled.set()

    def held(self, sink: ContainerSink) -> None:
        """Note that a sink holds lines."""
        self._holders.add(sink)
        self.added()

    def released(self, sink: ContainerSink) -> None:
        """Note that a sink holds no lines."""
        self._holders.discard(sink)

    def settle(self, *, quiet_for: float = 0.0) -> None:
        """Turn held lines into events if nothing arrived after them for this many seconds."""
        for sink in tuple(self._holders):
            sink.settle(quiet_for=quiet_for)

    def emptied(self) -> None:
        """Note that all pending events were taken."""
        self.first_at = time.monotonic() if self._holders else 0.0
        self._room.set()
        if not self._holders:
            self._memory.leave(self)

    def close(self) -> None:
        """Release the memory of this run."""
        self._memory.leave(self)

    async def room(self) -> None:
        """Wait until the journal is not full."""
        while self.journal.full:
            await self._room.wait()

    def problem(self, key: str, message: str) -> None:
        """Add an event about something that could not be delivered."""
        self.metrics.gaps.inc()
        self.journal.problem(LifecycleEvent(key, time.time_ns(), "warn", message))
        self.added()


def source_of(container: str) -> str:
    """The source in an event: GELF messages come from the component."""
    return f"{names.COMPONENT}/{names.GELF}" if container == names.GELF else container


def _kind_of(container: str) -> str:
    """The container as metrics name it, so that there are few series: all processors are one kind."""
    if container in names.CONTAINERS:
        return container
    return "processor" if names.is_program(container) else "step"


class ContainerSink:
    """See `follower.Sink`."""

    def __init__(
        self, inbox: Inbox, pod: PodFacts, container: str, redactor: Redactor, masks: Masks | None = None
    ) -> None:
        """Take lines of one container. `masks` are those of the pod of a build; a run's are in its journal."""
        is_build = pod.build is not None
        self._inbox, self._source = inbox, names.BUILD if is_build else source_of(container)
        self._key, self._attempt = container_key(pod.uid, container), pod.attempt
        self._step = container if is_build else ""
        self._lines = inbox.metrics.lines.labels(names.BUILD if is_build else _kind_of(container))
        self._limited = is_build or names.is_program(container) or container == names.GELF
        if self._limited and not is_build:
            masks = inbox.journal.masks
        self._plain_redactor = redactor
        self._redactor = LineRedactor(redactor, masks, inbox.journal.key_lines(self._key))
        self._grouper = Grouper()
        self._heard = 0.0

    @property
    def position(self) -> Position:
        """How far the log was read, not counting held lines."""
        return self._inbox.journal.position(self._key)

    def take(self, lines: Sequence[Line]) -> bool:
        """Take the next lines. False: the journal is full until `room` returns."""
        if self._limited and self._inbox.journal.is_at_limits(lines, self._grouper.size, self._step):
            # The limit has to be found to the line.
            for line in lines:
                released = self._grouper.take(line)
                if released is not None:
                    self._release(*released)
        else:
            groups, behind = self._grouper.take_all(lines)
            if groups:
                self._release(groups, behind)
        self._lines.inc(len(lines))
        self._heard = time.monotonic()
        self._inbox.held(self)
        return not self._inbox.journal.full

    def settle(self, *, quiet_for: float = 0.0) -> None:
        """Turn the held lines into events if no further ones arrived for this many seconds."""
        if self._grouper.holds and time.monotonic() - self._heard >= quiet_for:
            self._release(*self._grouper.flush())
        if not self._grouper.holds:
            self._inbox.released(self)

    async def room(self) -> None:
        """Wait until the journal is not full."""
        await self._inbox.room()

    def lost(self, key: str, message: str) -> None:
        """Add an event about missing lines."""
        self.settle()
        self._inbox.problem(
            key, self._plain_redactor.text(message)
        )  # it may quote text that was received instead of a line

    def _release(self, groups: Sequence[Group | Block], lines: Sequence[Line]) -> None:
        if self._step:
            self._inbox.journal.take_build(self._key, groups, lines, self._redactor, step=self._step)
            return
        self._inbox.journal.take(
            self._key, groups, lines, self._redactor, source=self._source, attempt=self._attempt, limited=self._limited
        )
