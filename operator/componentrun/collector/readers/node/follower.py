"""Follows the log of one container to its real end, from the files of its node.

It requests what follows its cursor again and again; the server answers when there is something new. The log was read to
its end when the container has terminated, and a request that was made after that returns nothing. If the pod is
deleted, the node deletes the log once the runtime has written all of it, and the server keeps what was not read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.collector.readers.api.follower import LOG_GONE, LOG_UNREAD, POD_GONE, TURN
from componentrun.collector.readers.api.lines import SECOND, nanoseconds_of, stamp_of
from componentrun.collector.readers.node.lines import CriReader
from componentrun.collector.readers.node.servers import NodeLogError
from componentrun.wire.logserver import order_of, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.collector.metrics import Metrics
    from componentrun.collector.readers.api.follower import Sink, View
    from componentrun.collector.readers.line import Line
    from componentrun.collector.readers.node.position import FilePosition
    from componentrun.collector.readers.node.servers import NodeLogs, Part

__all__ = ["FileFollower", "Source"]

log = logging.getLogger(__name__)

_WAIT: Final = 20.0
_LAST_WAIT: Final = 0.5
"""Seconds without new lines after the end of a container: the runtime writes a last unfinished line after it reports
that the container has ended."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_COMPLAIN_AFTER: Final = 10.0
_COMPLAIN_EVERY: Final = 60.0
_TRIES: Final = 4
_EARLY: Final = 2 * SECOND
"""A file that begins this soon after the container's start has its first lines. The start is known to the second."""


class _Came(NamedTuple):
    """Outcome of a request."""

    fresh: bool = False
    """It returned bytes."""
    removed: bool = False
    """The node has deleted the log."""
    cause: str = ""
    """Why there is no complete response."""


_LOOK_AGAIN: Final = _Came(fresh=True)


class Source:
    """One container on one node."""

    def __init__(self, logs: NodeLogs, node: str, where: tuple[str, str, str, str], started: int) -> None:
        """See `NodeLogs.read`; `started`: when the container was, in nanoseconds; 0: not known."""
        self.logs, self.node, self.where, self.started = logs, node, where, started
        self.title = f"container `{where[3]}` of pod `{where[1]}`"


class FileFollower:
    """Reads one container's log, as `api.follower.Follower` does over the API."""

    def __init__(
        self, source: Source, view: Callable[[], View], sink: Sink, position: FilePosition, metrics: Metrics
    ) -> None:
        """Follow a container from this position on."""
        self._source, self._view, self._sink, self._metrics = source, view, sink, metrics
        self._position = position
        self._reader = CriReader(position.cursor)
        self._news = asyncio.Event()
        self._tries = 0
        self._odd = 0
        self._trouble, self._troubled_since, self._complained_at = "", 0.0, 0.0
        self.open = False
        """Whether a request is open, and all lines before it were read."""
        self.heard = time.monotonic()
        """When the last byte arrived."""
        self._empty_since = float("-inf")
        """Start of the last request that returned nothing."""
        self._asked = False
        """Set when a check for completeness is requested."""

    def tick(self, ended_for: float) -> None:
        """Do nothing: no request is silent for long."""

    def has_read_all(self, since: float) -> bool:
        """See `choice.LogFollower`."""
        if self._empty_since > max(since, self.heard):
            return True
        self._asked = True
        self._news.set()
        return False

    def nudge(self) -> None:
        """Make a new request, because the container has changed."""
        self._news.set()

    async def run(self) -> None:
        """Read the log to its end. Returns when no further lines can arrive, for whatever reason."""
        pause = _FIRST_PAUSE
        while True:
            view = self._view()
            self._news.clear()
            came = await self._ask(view)
            over = self._over(view, came)
            if over is not None:
                self._take_last(self._reader.rest())
                if over:
                    self._give_up(over)
                return
            if not came.cause:
                pause, self._tries, self._troubled_since = _FIRST_PAUSE, 0, 0.0
                continue
            self._metrics.reconnects.labels(came.cause).inc()
            self._complain()
            await asyncio.sleep(pause)  # not shortened by news: once a container has ended, that comes every second
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _ask(self, view: View) -> _Came:
        """Make one request."""
        last = view.ended or view.gone or self._asked
        self._asked, began = False, time.monotonic()
        asking = asyncio.create_task(self._read(_LAST_WAIT if last else _WAIT))
        news = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait([asking, news], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done() and self.open and not last:
                return _LOOK_AGAIN  # it only waits, and the next request asks whether that was the end
            came = await asking
        except NodeLogError as error:
            self._trouble = error.message
            return _Came(cause=error.cause)
        finally:
            for task in (asking, news):
                task.cancel()
            await asyncio.gather(asking, news, return_exceptions=True)
        self._empty_since = self._empty_since if came.fresh else began
        return came

    async def _read(self, wait: float) -> _Came:
        source, cursor = self._source, (self._reader.file, self._reader.asked)
        self._metrics.streams.inc()
        self.open = True
        try:
            async with source.logs.read(source.node, source.where, cursor, wait) as part:
                self.open = False
                return _Came(fresh=await self._take_part(part), removed=part.removed)
        finally:
            self.open = False
            self._metrics.streams.dec()

    async def _take_part(self, part: Part) -> bool:
        """Take the lines of a response. Returns whether there were any bytes."""
        self._note_gap(part)
        if part.file:
            self._take_last(self._reader.begin(part.file, part.offset))
        fresh, turn = False, time.monotonic()
        async for chunk in part.chunks():
            fresh = True
            self._metrics.bytes.inc(len(chunk))
            for lines in self._reader.feed(chunk):
                if not self._sink.take(lines):
                    await self._sink.room()
                if time.monotonic() - turn > TURN:
                    # Buffered data arrives without a pause: let the other streams run.
                    await asyncio.sleep(0)
                    turn = time.monotonic()
            self.heard = time.monotonic()
        self._note_odd()
        return fresh

    def _take_last(self, lines: Sequence[Line]) -> None:
        """Take lines that nothing joins, in one step, as they end at the same cursor."""
        if lines:
            self._sink.take(lines)
            self._sink.settle()

    def _over(self, view: View, came: _Came) -> str | None:
        """None if further requests are needed; empty if everything was read; else why the rest can't be read."""
        if not came.cause:
            if not came.fresh and (came.removed or view.ended):
                return ""
        elif came.cause == "not_found":
            self._tries += 1
            if view.never_ran:
                return ""
            if view.gone:
                return POD_GONE
            if view.ended and self._tries >= _TRIES:
                return LOG_GONE
        if view.overdue and not came.fresh:
            return LOG_UNREAD
        return None

    # --- what is missing

    def _note_gap(self, part: Part) -> None:
        """Report missing lines that a response reveals, before its first line is taken."""
        before, reader = self._position.newest, self._reader
        begins = order_of(part.file)
        if part.missing is not None:
            much = f"at least {part.missing:,} bytes" if part.missing else "how much is not known"
            self._lost(f"log files were deleted on the node before they were read ({much})", part)
        elif reader.file and begins[0] > order_of(reader.file)[0] + 1:
            self._lost("it was started again several times, and the node keeps the logs of the last two starts", part)
        elif not reader.file and not before and part.file and self._came_late(part):
            self._lost("the log was not read before its first file was deleted on the node", part)

    def _came_late(self, part: Part) -> bool:
        """Whether the log may have begun before the first file that exists."""
        if start_of(part.file):
            return True
        begins = nanoseconds_of(part.file.partition("-")[2].encode())
        return bool(part.later and self._source.started and begins and begins > self._source.started + _EARLY)

    def _note_odd(self) -> None:
        odd, self._odd = self._reader.odd - self._odd, self._reader.odd
        if odd:
            self._sink.lost(
                f"odd {self._key} {self._reader.file}",
                f"lines of {self._source.title} are missing: the container runtime wrote {odd} in another format",
            )

    def _lost(self, why: str, part: Part) -> None:
        newest, begins = self._position.newest, nanoseconds_of(part.file.partition("-")[2].encode())
        after = f" after {stamp_of(newest)}" if newest else ""
        before = f" before {stamp_of(begins)}" if begins and part.file != self._reader.file else ""
        self._sink.lost(
            f"gap {self._key} {self._reader.file} {self._reader.asked}",
            f"lines of {self._source.title}{after}{before} may be missing: {why}",
        )

    def _give_up(self, why: str) -> None:
        newest = self._position.newest
        after = f" after {stamp_of(newest)}" if newest else ""
        trouble = f" ({self._trouble})" if self._trouble else ""
        self._sink.lost(f"end {self._key}", f"lines of {self._source.title}{after} may be missing: {why}{trouble}")

    @property
    def _key(self) -> str:
        return f"{self._source.where[1]}/{self._source.where[3]}"

    def _complain(self) -> None:
        """Log errors that last: nothing is lost as long as the node keeps the log."""
        now = time.monotonic()
        self._troubled_since = self._troubled_since or now
        if now - self._troubled_since > _COMPLAIN_AFTER and now - self._complained_at > _COMPLAIN_EVERY:
            self._complained_at = now
            log.warning(
                "the log of %s could not be read for %.0f s, retrying: %s",
                self._source.title, now - self._troubled_since, self._trouble,
            )  # fmt: skip
