"""Requests the last line of a container's log, to find out whether the whole log was read.

A silent log stream proves nothing: the container may print nothing, the kubelet may follow a rotated file (Kubernetes
issue 126564), or the connection may be dead. If the last line of the log was read, the stream is complete. The kubelet
reads that line from the end of the file, so the request is cheap.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final

from componentrun.collector.readers.api.lines import Splitter, parse
from componentrun.process.kubernetes.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.collector.readers.api.position import Position
    from componentrun.process.kubernetes.client import Kube

__all__ = ["LogEnd", "Pace"]

log = logging.getLogger(__name__)

_LOOKS_PER_SECOND: Final = 10.0
_SILENCE: Final = (45.0, 75.0)
"""Range of seconds without a byte before the last line is requested. The time is random, so that containers that
started together are not checked together."""
_GRACE: Final = 10.0
"""Seconds that a stream has to deliver a line that a check has found: the kubelet reads a file for a stream from its
beginning, which is slower than reading its last line. Doubled after each stream that did not deliver it."""
_LOOK_SECONDS: Final = 10.0


class Pace:
    """Rate limit for checks of silent containers, of which there may be thousands."""

    def __init__(self, per_second: float = _LOOKS_PER_SECOND) -> None:
        """Allow this many checks per second in total."""
        self._between = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until the next check is allowed."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._between
        await asyncio.sleep(at - now)


class LogEnd:
    """The end of one container's log, while a stream of it is open."""

    def __init__(
        self, kube: Kube, where: tuple[str, str, str], position: Callable[[], Position], pace: Pace | None
    ) -> None:
        """Prepare checks of this container's log.

        Args:
            kube: client of the API server.
            where: namespace, pod, container.
            position: returns how far the log was read.
            pace: rate limit for checks; None: no shared limit.
        """
        self._kube, self._where, self._position, self._pace = kube, where, position, pace or Pace()
        self._asked = asyncio.Event()
        self._read_at = float("-inf")
        """Start of the last check that found everything read."""
        self._grace = _GRACE

    def was_read(self, since: float) -> bool:
        """Whether a check that began after this time found everything read. If not, a check is started."""
        if self._read_at > since:
            return True
        self._asked.set()
        return False

    async def stale(self, idle_since: Callable[[], float | None]) -> None:
        """Return when the log has lines that the stream did not deliver in time.

        Args:
            idle_since: returns since when the stream is silent; None while received lines wait to be processed.
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
        """Wait until a check is requested, or until the stream has been silent for a while."""
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
            # The log is empty, or was just rotated. A line without its end is checked when it is complete.
            return None if splitter.tail() is not None else False
        line = parse(lines[-1])
        return None if line is None else not self._position().has_read(line)
