"""Takes the lines of one container into the run's journal, and makes its follower wait while that is full.

The last lines of a container are held until nothing joins them any more: the next line says so, or the end of the
answer, or that nothing came for a while when a segment is due.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.collector.events.budget import MemoryBudget
from componentrun.collector.events.journal import container_key
from componentrun.collector.readers.grouping import Grouper
from componentrun.collector.runs.lifecycle import Told
from componentrun.core.redact.lines import LineRedactor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.events.journal import Journal
    from componentrun.collector.metrics import Metrics
    from componentrun.collector.readers.api.position import Position
    from componentrun.collector.readers.grouping import Block, Group
    from componentrun.collector.readers.line import Line
    from componentrun.collector.runs.facts import PodFacts
    from componentrun.core.redact.redactor import Redactor

__all__ = ["ContainerSink", "Inbox"]


class Inbox:
    """The journal of a run, and who waits for what about it.

    Attributes:
        filled: set when the first event or line has come in, and when there is no more room.
        first_at: when the first of them came in that is not written yet.
    """

    def __init__(
        self, journal: Journal, filled: asyncio.Event, metrics: Metrics, shares: MemoryBudget | None = None
    ) -> None:
        """Around this journal, which may hold its share of what all journals may."""
        self._shares = shares or MemoryBudget()
        self.journal, self.filled, self.metrics = journal, filled, metrics
        self.first_at = 0.0
        self._room = asyncio.Event()
        self._holders: set[ContainerSink] = set()

    @property
    def waiting(self) -> bool:
        """Whether anything came in that is not written yet."""
        return bool(self._holders) or not self.journal.empty

    def added(self) -> None:
        """Something was put into the journal, or is held for it."""
        self.journal.room = self._shares.enter(self)
        if not self.first_at:
            self.first_at = time.monotonic()
            self.filled.set()
        if self.journal.full:
            self._room.clear()
            self.filled.set()

    def held(self, sink: ContainerSink) -> None:
        """The sink has taken lines, and holds some of them."""
        self._holders.add(sink)
        self.added()

    def released(self, sink: ContainerSink) -> None:
        """The sink holds nothing."""
        self._holders.discard(sink)

    def settle(self, *, quiet_for: float = 0.0) -> None:
        """Make events of lines that are held and behind which nothing came for so many seconds."""
        for sink in tuple(self._holders):
            sink.settle(quiet_for=quiet_for)

    def emptied(self) -> None:
        """The journal was cut."""
        self.first_at = time.monotonic() if self._holders else 0.0
        self._room.set()
        if not self._holders:
            self._shares.leave(self)

    def close(self) -> None:
        """Nobody works on the run any more."""
        self._shares.leave(self)

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
        self._inbox, self._source = inbox, source_of(container)
        self._key, self._attempt = container_key(pod.uid, container), pod.attempt
        self._lines = inbox.metrics.lines.labels(container)
        self._limited = container in {names.COMPONENT, names.GELF}
        masks = inbox.journal.masks if self._limited else None
        self._plain_redactor = redactor
        self._redactor = LineRedactor(redactor, masks, inbox.journal.key_lines(self._key))
        self._grouper = Grouper()
        self._heard = 0.0

    @property
    def position(self) -> Position:
        """How far the log was read, but for lines that are held."""
        return self._inbox.journal.position(self._key)

    def take(self, lines: Sequence[Line]) -> bool:
        """The next lines. False: no more room until `room` returns."""
        if self._limited and self._inbox.journal.is_at_limits(lines, self._grouper.size):
            # Which line is the last that a run may print matters to the line.
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
        """Make events of the lines that are held, if there came no others for so many seconds."""
        if self._grouper.holds and time.monotonic() - self._heard >= quiet_for:
            self._release(*self._grouper.flush())
        if not self._grouper.holds:
            self._inbox.released(self)

    async def room(self) -> None:
        """Wait until there is room."""
        await self._inbox.room()

    def lost(self, key: str, message: str) -> None:
        """Lines are missing, or may be."""
        self.settle()
        self._inbox.problem(key, self._plain_redactor.text(message))  # it may quote what stands where a line should

    def _release(self, groups: Sequence[Group | Block], lines: Sequence[Line]) -> None:
        self._inbox.journal.take(
            self._key, groups, lines, self._redactor, source=self._source, attempt=self._attempt, limited=self._limited
        )
