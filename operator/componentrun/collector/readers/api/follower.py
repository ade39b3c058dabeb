"""Follows the log of one container to its real end.

Neither the end of a response nor a 404 proves that a container has ended: a kubelet that restarts causes both. So after
each response the log is requested again, until a request that was made after the container had terminated returns
nothing new. If the rest of a log can't be read any more, an event says so.

A silent response does not prove that the container is silent either (see `end`). If the log has a line that was not
delivered, the log is requested again, and `position.Replay` skips what was read before.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from componentrun.collector.readers.api.end import LogEnd
from componentrun.collector.readers.api.lines import SECOND, stamp_of
from componentrun.collector.readers.api.response import Answer, Gap
from componentrun.process.kubernetes.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import aiohttp

    from componentrun.collector.metrics import Metrics
    from componentrun.collector.readers.api.end import Pace
    from componentrun.collector.readers.api.position import Position
    from componentrun.collector.readers.line import Line
    from componentrun.process.kubernetes.client import Kube

__all__ = ["LOG_GONE", "LOG_UNREAD", "POD_GONE", "TURN", "Follower", "Sink", "View"]

POD_GONE: Final = "its pod was deleted before the log was read to its end"
LOG_GONE: Final = "the log is not there any more"
LOG_UNREAD: Final = "the log could not be read to its end"
"""Why lines may be missing at the end."""
TURN: Final = 0.005
"""Seconds that one stream is read before others run."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_POLL_PAUSE: Final = 1.0
_POLLS: Final = 30
"""Number of reads of a log that can't be followed before following is tried again."""
_MUCH: Final = 1000
"""Lines."""
_A_WHILE: Final = 5.0
_SILENCE: Final = 10.0
"""Seconds after a container's end without a byte, after which a stream counts as dead. If the kubelet is only slow, the
next stream gets twice as long."""
_UNREADABLE_TRIES: Final = 4
_FRESH_END: Final = 5.0
"""If the log is deleted within this many seconds after the end of a response, that was the end of the container."""
_CAUSES: Final = {0: "error", 404: "not_found"}
_NO_WATCHER: Final = "failed to create fsnotify watcher"


@dataclass(frozen=True, slots=True)
class View:
    """State of the container as the watch reports it."""

    ended: bool
    """It has terminated and is not restarted."""
    gone: bool
    """Its pod is deleted."""
    never_ran: bool
    """It ended without having been started, so there is no log."""
    restarts: int
    overdue: bool
    """The run ended long enough ago to give up what can't be read now."""


class Sink(Protocol):
    """Receives lines. Turning lines into events and moving the position is one step, see `Journal.take`.

    The last lines may be held for a moment for lines that join them; the position stays before them.
    """

    @property
    def position(self) -> Position:
        """How far the log was read."""

    def take(self, lines: Sequence[Line]) -> bool:
        """Take the next lines, at most `response.BATCH`. False: no more room until `room` returns."""

    def settle(self) -> None:
        """Turn held lines into events, so that the position moves behind everything that was taken."""

    async def room(self) -> None:
        """Wait until there is room."""

    def lost(self, key: str, message: str) -> None:
        """Report missing lines, once for each key."""


class Follower:
    """Reads one container's log."""

    def __init__(
        self,
        kube: Kube,
        where: tuple[str, str, str],
        view: Callable[[], View],
        sink: Sink,
        metrics: Metrics,
        *,
        late: bool = False,
        ends_lines: bool = False,
        pace: Pace | None = None,
    ) -> None:
        """Follow a container.

        Args:
            kube: client of the API server.
            where: namespace, pod, container.
            view: returns the state of the container.
            sink: receives lines.
            metrics: are updated.
            late: the log may be long already. The kubelet never leaves a file that is rotated during the first read of
                a follow request, so what exists is read without following first.
            ends_lines: whether the container ends each of its lines with a newline.
            pace: rate limit for checks of silent logs.
        """
        self._ends_lines = ends_lines
        self._late = late
        self._kube, self._where, self._view, self._sink, self._metrics = kube, where, view, sink, metrics
        self._title = f"container `{where[2]}` of pod `{where[1]}`"
        self._response: aiohttp.ClientResponse | None = None
        self._opened = 0.0
        self._patience = _SILENCE
        self._log_end = LogEnd(kube, where, lambda: self._sink.position, pace)
        self._giving = False
        """Whether received lines are being passed to the sink, which may have no room for them."""
        self._stale = False
        """Whether the stream was closed because it lacks lines of the log."""
        self._restarts: int | None = None
        self._tail: Line | None = None
        """Unfinished line at the end of the last answer, delivered if nothing can come behind it."""
        self._ended_well: float | None = None
        """When the last response ended normally; None if it did not."""
        self._asked_ended = False
        """Whether that response was requested after the container had terminated."""
        self._news = asyncio.Event()
        self._polls = 0
        self._unreadable = 0
        self._trouble = ""
        self.heard = time.monotonic()
        """When the last byte arrived, or a stream that had been open for a while ended."""

    @property
    def open(self) -> bool:
        """Whether a stream is open and all received lines were passed on."""
        return self._response is not None and not self._giving

    def has_read_all(self, since: float) -> bool:
        """See `choice.LogFollower`."""
        return self.open and self._log_end.was_read(max(since, self.heard))

    def tick(self, ended_for: float) -> None:
        """Close a stream that is silent although its container has terminated. Called periodically."""
        silent = time.monotonic() - max(self.heard, self._opened)
        if self._response is not None and self.open and min(ended_for, silent) > self._patience:
            self._patience *= 2
            self._response.close()

    def nudge(self) -> None:
        """Check the state of the container again."""
        self._news.set()

    async def run(self) -> None:
        """Read the log to its end. Returns when no further lines can arrive, for whatever reason."""
        pause = _FIRST_PAUSE
        while True:
            view = self._view()
            if view.gone:
                self._conclude(POD_GONE)
                return
            self._news.clear()
            fresh, cause = await self._ask(view)
            if cause == "silent":
                self._metrics.reconnects.labels(cause).inc()
                continue
            if self._finished(view, fresh, cause):
                return
            if self._late and not cause:
                self._late = fresh > _MUCH
                continue
            self._metrics.reconnects.labels(cause or "eof").inc()
            pause = _FIRST_PAUSE if fresh else min(pause * 2, _LONGEST_PAUSE)
            if self._polls:
                await asyncio.sleep(_POLL_PAUSE)
            elif not fresh:
                await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Wait for this time, or until there is news."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    def _finished(self, view: View, fresh: int, cause: str) -> bool:
        """Whether that was the last response."""
        if not cause and view.ended and not fresh:
            return True
        if cause == "unreadable" and view.never_ran:
            return True
        if cause == "unreadable" and view.ended:
            self._unreadable += 1
            if self._unreadable >= _UNREADABLE_TRIES:
                self._conclude(LOG_GONE)
                return True
        if view.overdue and not fresh and (cause or not view.ended):
            self._give_up(LOG_UNREAD)
            return True
        return False

    async def _ask(self, view: View) -> tuple[int, str]:
        """Make one request. Returns the number of new lines, and why it ended (empty: normally)."""
        position = self._sink.position
        same_file = self._restarts in {None, view.restarts}
        self._restarts = view.restarts
        answer = Answer(position, same_file=same_file)
        since = stamp_of(position.floor)[:19] + "Z" if position.floor else None
        follow = not view.ended and self._polls == 0 and not self._late
        self._polls, self._stale = max(self._polls - 1, 0), False
        try:
            async with self._kube.log(*self._where, since=since, follow=follow) as response:
                self._response, self._opened = response, time.monotonic()
                self._metrics.streams.inc()
                watching = asyncio.create_task(self._close_stale(response))
                try:
                    await self._read(response, answer)
                finally:
                    if watching.done():
                        watching.result()
                    watching.cancel()
                    self._metrics.streams.dec()
                    self._response = None
                    # The position has to be behind everything that was taken before the next request.
                    self._sink.settle()
        except KubeError as error:
            self._trouble = error.message
            if not error.status:  # it was cut off while it was read
                self._ended_well, self._tail = None, None
            if self._stale:
                return answer.fresh, "silent"
            return answer.fresh, _CAUSES.get(error.status, "refused")
        return await self._end(view, answer)

    async def _read(self, response: aiohttp.ClientResponse, answer: Answer) -> None:
        turn = time.monotonic()
        async for chunk in response.content.iter_any():
            self._giving = True
            self._metrics.bytes.inc(len(chunk))
            for lines in answer.feed(chunk):
                self._note(answer)
                if not self._sink.take(lines):
                    await self._sink.room()
                if time.monotonic() - turn > TURN:
                    # Buffered data arrives without a pause: let the other streams run.
                    await asyncio.sleep(0)
                    turn = time.monotonic()
            self._giving, self.heard = False, time.monotonic()
            if answer.over:
                return

    async def _close_stale(self, response: aiohttp.ClientResponse) -> None:
        """Close the stream when it is found to lack lines of the log."""
        await self._log_end.stale(lambda: None if self._giving else max(self.heard, self._opened))
        self._stale = True
        response.close()

    async def _end(self, view: View, answer: Answer) -> tuple[int, str]:
        """Evaluate a response that was read to its end, or as far as it is useful."""
        fresh = answer.fresh
        tail = answer.last()
        if time.monotonic() - self._opened > _A_WHILE:
            self.heard = time.monotonic()
        if fresh or tail is not None:
            self._ended_well, self._tail = None, None
        if answer.jumped is not None:
            self._jumped(answer.jumped)
            return fresh, "jump"
        if answer.problem:
            self._trouble = answer.problem
            if answer.problem.startswith(_NO_WATCHER):
                self._polls = _POLLS
                return fresh, "no_watcher"
            return fresh, "unreadable"
        self._ended_well, self._unreadable, self._asked_ended = time.monotonic(), 0, view.ended
        # An empty response does not invalidate the tail of an earlier one: the file may be deleted by now.
        self._tail = tail if tail is not None else self._tail
        if view.ended and self._tail is not None:
            fresh += 1
            self._take_tail(answer)
        return fresh, ""

    def _take_tail(self, answer: Answer) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            self._note(answer)
            self._take_last(tail)

    def _take_last(self, line: Line) -> None:
        """Take the last line, without waiting for room."""
        self._sink.take([line])
        self._sink.settle()

    def _note(self, answer: Answer) -> None:
        """Report missing lines that the response has revealed, before the line after them is taken."""
        if answer.gap is None:
            return
        gap, answer.gap = answer.gap, None
        if self._tail is not None:
            # The runtime cuts the line that it is writing when the file is rotated: the rest is in another file.
            tail, self._tail = self._tail, None
            gap = replace(gap, after=tail.time)
            self._take_last(tail)
        self._say_gap(gap, "the log file was rotated while it was not being read")

    def _jumped(self, to: int) -> None:
        """Handle a line from the past: the node's clock was set back, or the kubelet lost its position."""
        position = self._sink.position
        if position.newest > time.time_ns() + SECOND:
            # What was printed before lay in the future, so it was the clock, and nothing is lost.
            position.rebase(to)
            return
        gap = Gap(position.newest, position.newest)
        self._say_gap(gap, "the log file was rotated while reading it was late")

    def _say_gap(self, gap: Gap, why: str) -> None:
        self._sink.lost(
            f"gap {self._where[1]}/{self._where[2]} {gap.after}",
            f"lines of {self._title} may be missing between {stamp_of(gap.after)} and {stamp_of(gap.before)}: {why}",
        )

    def _conclude(self, why: str) -> None:
        """Handle a deleted log. A response that ended just before was complete, except for a last line without newline.

        The runtime writes such a line at the very end, sometimes after the kubelet has ended its response. Only a
        response that contains it, or one that was requested after the container had terminated, proves that nothing is
        missing.
        """
        if self._ended_well is None or time.monotonic() - self._ended_well > _FRESH_END:
            self._give_up(why)
        elif self._tail is not None:
            self._take_last(self._tail)
        elif not (self._asked_ended or self._ends_lines):
            self._give_up(
                "its pod was deleted right after the end of the log, and a last line without a newline is written later"
            )

    def _give_up(self, why: str) -> None:
        position = self._sink.position
        after = f" after {stamp_of(position.newest)}" if position.newest else ""
        self._sink.lost(
            f"end {self._where[1]}/{self._where[2]}",
            f"lines of {self._title}{after} may be missing: {why}" + (f" ({self._trouble})" if self._trouble else ""),
        )
