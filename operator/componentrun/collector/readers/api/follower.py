"""Follows the log of one container to its real end.

Neither the end of an answer nor a 404 proves that a container has ended: a kubelet that restarts does both. So after
each answer the log is asked for again, until a request that was made after the container had terminated brings
nothing new. What can't be had any more becomes an event that says so; nothing is given up silently.

Nor does a silent answer prove that the container is silent: see `logend`. Where its log has a line that did not come,
the log is asked for anew; `position.Replay` takes off what was read before.
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
"""Seconds that one stream is read in a row."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_POLL_PAUSE: Final = 1.0
_POLLS: Final = 30
"""So many times a log that can't be followed is read in steps before following is tried again."""
_MUCH: Final = 1000
"""Lines."""
_A_WHILE: Final = 5.0
_SILENCE: Final = 10.0
"""Seconds after a container's end without a byte, after which a stream counts as dead. If the kubelet is only slow, the
next stream gets twice as long."""
_UNREADABLE_TRIES: Final = 4
_FRESH_END: Final = 5.0
"""Seconds between the end of an answer and the news that the log is gone: within it, that end was the container's."""
_CAUSES: Final = {0: "error", 404: "not_found"}
_NO_WATCHER: Final = "failed to create fsnotify watcher"


@dataclass(frozen=True, slots=True)
class View:
    """What the watch says about the container now."""

    ended: bool
    """It has terminated for good."""
    gone: bool
    """Its pod is deleted."""
    never_ran: bool
    """It ended without having been started, so that there is no log."""
    restarts: int
    overdue: bool
    """The run has ended long enough ago: what can't be read now is given up."""


class Sink(Protocol):
    """Where lines go. Making an event of lines and moving the position is one step, see `Journal.take`.

    The last lines may be held for a moment, for those that belong to them; then the position lies before them.
    """

    @property
    def position(self) -> Position:
        """How far the log was read."""

    def take(self, lines: Sequence[Line]) -> bool:
        """The next lines, at most `answer.BATCH`. False: no more room until `room` returns."""

    def settle(self) -> None:
        """Nothing comes behind the last lines for now: the position moves behind all that was taken."""

    async def room(self) -> None:
        """Wait until there is room."""

    def lost(self, key: str, message: str) -> None:
        """Lines are missing, or may be; said once for each key."""


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
            kube: where its log is.
            where: namespace, pod, container.
            view: tells what the watch knows about it.
            sink: where lines go.
            metrics: are told what happens.
            late: there may be much to read before there is something to follow. A file that is rotated while a follow
                reads it for the first time is followed for ever, so what is there is read without following first.
            ends_lines: the container is known to end each of its lines with a newline.
            pace: when a silent log may be looked at.
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
        """When the last answer came to its own end; None: it did not."""
        self._asked_ended = False
        """That answer was asked for when the container had terminated."""
        self._news = asyncio.Event()
        self._polls = 0
        self._unreadable = 0
        self._trouble = ""
        self.heard = time.monotonic()
        """When the last byte came, or a stream that had been open for a while came to its end."""

    @property
    def open(self) -> bool:
        """Whether a stream is open and all received lines were passed on."""
        return self._response is not None and not self._giving

    def has_read_all(self, since: float) -> bool:
        """See `choice.LogFollower`."""
        return self.open and self._log_end.was_read(max(since, self.heard))

    def tick(self, ended_for: float) -> None:
        """Called now and then: closes a stream that is silent though its container has terminated."""
        silent = time.monotonic() - max(self.heard, self._opened)
        if self._response is not None and self.open and min(ended_for, silent) > self._patience:
            self._patience *= 2
            self._response.close()

    def nudge(self) -> None:
        """Something has changed about the container: look again at once."""
        self._news.set()

    async def run(self) -> None:
        """Read to the end. Returns when there is nothing more to come, for whatever reason."""
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
        """Wait, but not longer than until something is new."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    def _finished(self, view: View, fresh: int, cause: str) -> bool:
        """Whether that was the last answer."""
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
        """Make one request: the number of new lines, and why it ended ('': as it does when a container ends)."""
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
                    # What was taken is behind the position before anything is asked from there again.
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
                    # Data that is there is given without a pause: let the other streams have their turn.
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
        """The answer was read to its end, or as far as it is of use."""
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
        # One that brings nothing at all does not take back what an earlier one held: the file may be gone by now.
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
        """Nothing comes behind this line, so nobody waits for room."""
        self._sink.take([line])
        self._sink.settle()

    def _note(self, answer: Answer) -> None:
        """Say what the answer has shown to be missing, before the line behind it is taken."""
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
        """A line from the past: the node's clock was set back, or the kubelet lost its place after a rotation."""
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
        """The log is gone. An answer that ended well just before was complete, but for a last line without newline.

        The runtime writes such a line when everything else is done, and a busy one does it after the kubelet has ended
        its answer. Only an answer that holds it, or one that was asked for after the container had terminated, proves
        that nothing is missing.
        """
        if self._ended_well is None or time.monotonic() - self._ended_well > _FRESH_END:
            self._give_up(why)
        elif self._tail is not None:
            self._take_last(self._tail)
        elif not (self._asked_ended or self._ends_lines):
            self._give_up(
                "its pod was deleted right behind the end of the log, and a last line without a newline comes later"
            )

    def _give_up(self, why: str) -> None:
        position = self._sink.position
        behind = f" behind {stamp_of(position.newest)}" if position.newest else ""
        self._sink.lost(
            f"end {self._where[1]}/{self._where[2]}",
            f"lines of {self._title}{behind} may be missing: {why}" + (f" ({self._trouble})" if self._trouble else ""),
        )
