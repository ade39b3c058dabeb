"""Looks at the last line of a container's log, to find out whether everything before it was read.

A follow that is silent proves nothing: the container may have nothing to say, the kubelet may follow a file that was
rotated away (kubernetes issue 126564), or the connection may be dead. The last line of the log, asked for by itself,
says which: it was read, or it was not. The kubelet reads it from the end of the file, so this costs little.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final

from componentrun.collector.lines import Splitter, parse
from componentrun.process.kubeerrors import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.collector.position import Position
    from componentrun.process.kube import Kube

__all__ = ["LogEnd", "Pace"]

log = logging.getLogger(__name__)

_LOOKS_PER_SECOND: Final = 10.0
_SILENCE: Final = (45.0, 75.0)
"""Seconds without a byte behind which the last line is looked at: a random time, so that containers that were started
together are not looked at together."""
_GRACE: Final = 10.0
"""Seconds that a stream has to bring what a look has found: a kubelet that reads a file from its beginning for a stream
is slower than one that reads its last line. Twice as long after each stream that did not bring it."""
_LOOK_SECONDS: Final = 10.0


class Pace:
    """Spreads the looks at silent containers, of which there may be thousands."""

    def __init__(self, per_second: float = _LOOKS_PER_SECOND) -> None:
        """All containers together are looked at at most so often."""
        self._between = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._between
        await asyncio.sleep(at - now)


class LogEnd:
    """The end of one container's log, while a stream of it is open."""

    def __init__(
        self, kube: Kube, where: tuple[str, str, str], position: Callable[[], Position], pace: Pace | None
    ) -> None:
        """Look at this container's log.

        Args:
            kube: where its log is.
            where: namespace, pod, container.
            position: how far it was read.
            pace: when silent containers are looked at; None: at any time.
        """
        self._kube, self._where, self._position, self._pace = kube, where, position, pace or Pace()
        self._asked = asyncio.Event()
        self._read_at = float("-inf")
        """When a look began that found everything read."""
        self._grace = _GRACE

    def was_read(self, since: float) -> bool:
        """Whether a look that began after this time found that everything was read. If not, a look begins."""
        if self._read_at > since:
            return True
        self._asked.set()
        return False

    async def stale(self, idle_since: Callable[[], float | None]) -> None:
        """Return when the stream has been found to miss lines that the log has.

        Args:
            idle_since: since when nothing has come; None: lines that came wait for room.
        """
        while True:
            await self._due(idle_since)
            self._asked.clear()
            before = idle_since()
            if before is None:
                continue
            began = time.monotonic()
            unread = await self._has_unread_line()
            if unread is None or idle_since() != before:
                continue
            if not unread:
                self._read_at, self._grace = began, _GRACE
            elif began - before >= self._grace:
                self._grace *= 2
                return

    async def _due(self, idle_since: Callable[[], float | None]) -> None:
        """Wait until somebody asks, or until nothing has come for a while."""
        looked = time.monotonic()
        patience = random.uniform(*_SILENCE)  # noqa: S311 - spreads, keeps no secret
        while True:
            now = time.monotonic()
            idle = idle_since()
            rest = patience - (now - max(looked, now if idle is None else idle))
            if rest <= 0:
                await self._pace.turn()
                return
            try:
                async with asyncio.timeout(rest):
                    await self._asked.wait()
            except TimeoutError:
                continue
            return

    async def _has_unread_line(self) -> bool | None:
        """Whether the last line of the log is one that was not read; None: not known."""
        splitter, lines = Splitter(), []
        try:
            async with (
                asyncio.timeout(_LOOK_SECONDS),
                self._kube.log(*self._where, since=None, follow=False, tail=1) as response,
            ):
                async for chunk in response.content.iter_any():
                    lines += splitter.feed(chunk)
        except (KubeError, TimeoutError) as error:
            log.debug("can't look at the last line of %s/%s, container %s: %s", *self._where, error)
            return None
        if not lines:
            # Nothing is there yet, or behind a rotation; a line without its end is looked at when it has one.
            return None if splitter.tail() is not None else False
        line = parse(lines[-1])
        return None if line is None else not self._position().has_read(line)
