"""Which containers' logs are read: finds their folders, and looks after them while they are read.

A name in a request becomes a part of a path, so it must be one that Kubernetes gives; a folder that is a link is not
followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.errors import ComponentRunError
from componentrun.nodelogs.container import ContainerLog
from componentrun.process.settings import DNS_LABEL

if TYPE_CHECKING:
    from componentrun.nodelogs.container import Answer
    from componentrun.nodelogs.metrics import Metrics

__all__ = ["Folders", "Where"]

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 0.1
_TEND_EVERY: Final = 5
"""Times of that: a folder nobody waits for is looked at so often, to hold files that are rotated away."""
_ENOUGH: Final = 64 * 1024
_GATHER: Final = 0.25
"""Seconds that less than `_ENOUGH` bytes wait for more: a request costs more than the lines of so short a time."""
_READ_KEPT: Final = 60.0
_UNREAD_KEPT: Final = 600.0
"""Seconds that the files of a container are held when nobody asks for them; less where all was read."""
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES: Final = {
    "namespace": DNS_LABEL,
    "pod": re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"),
    "uid": re.compile(r"[0-9a-f][0-9a-f-]{7,63}"),
    "container": DNS_LABEL,
}


class Where(NamedTuple):
    """One container, in the words of its folder's path."""

    namespace: str
    pod: str
    uid: str
    container: str

    def wrong(self) -> str:
        """The first part that no Kubernetes object can have as its name, or nothing."""
        return next((part for part, value in self._asdict().items() if _NAMES[part].fullmatch(value) is None), "")


class _Tended:
    """A container that is read, and how far."""

    def __init__(self, files: ContainerLog) -> None:
        self.log = files
        self.place = ("", 0)
        self.waiting = 0
        self.news = asyncio.Event()


class Folders:
    """The folder with the logs of all pods."""

    def __init__(self, folder: str, metrics: Metrics) -> None:
        """Nothing is opened yet."""
        self._folder, self._metrics = folder, metrics
        self._tended: dict[Where, _Tended] = {}

    def unready(self) -> str:
        """Why logs can't be read, or nothing."""
        try:
            next(Path(self._folder).iterdir(), None)
        except OSError as error:
            return f"can't read {self._folder}: {error.strerror}; is the node's folder mounted there?"
        return ""

    def close(self) -> None:
        """Give everything back."""
        for where in list(self._tended):
            self._drop(where)

    async def answer(self, where: Where, place: tuple[str, int], wait: float) -> Answer:
        """What there is behind this place (file, offset), waiting for it so many seconds at most.

        Raises:
            FileNotFoundError: the node has no such log, or nothing at and behind that place.
            OSError, NoLogError: it can't be read.
        """
        tended = self._tended.get(where)
        if tended is None:
            folder = self._open(where)
            try:
                found = ContainerLog(folder)
            except BaseException:
                os.close(folder)
                raise
            tended = self._tended[where] = _Tended(found)
            self._metrics.containers.set(len(self._tended))
        else:
            tended.log.look()
        asked_at = time.monotonic()
        tended.place, tended.waiting = place, tended.waiting + 1
        try:
            return await self._wait(tended, place, asked_at, wait)
        except KeyError as error:
            raise FileNotFoundError(f"{place[0]} is gone") from error
        finally:
            tended.waiting -= 1

    async def tend(self) -> None:
        """Look after what is read, until cancelled."""
        turn = 0
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            turn += 1
            for where, tended in list(self._tended.items()):
                if tended.waiting:
                    if self._looked(where, tended) and tended.log.has(*tended.place):
                        tended.news.set()
                elif turn % _TEND_EVERY == 0 and self._looked(where, tended) and self._is_over(tended):
                    self._drop(where)

    async def _wait(self, tended: _Tended, place: tuple[str, int], asked_at: float, wait: float) -> Answer:
        while True:
            # A second reader of the same container hides its place from the first one's waiting, not from this.
            tended.news.clear()
            answer = tended.log.answer(*place)
            waited = time.monotonic() - asked_at
            if waited >= wait or answer.removed or len(answer.data) >= _ENOUGH:
                return answer
            if answer.data:
                if waited >= _GATHER:
                    return answer
                await asyncio.sleep(min(_GATHER, wait) - waited)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait - waited, 1.0)):
                    await tended.news.wait()

    def _looked(self, where: Where, tended: _Tended) -> bool:
        """Look; a folder that can't be looked at is complained about where somebody asks for it."""
        try:
            tended.log.look()
        except (OSError, ComponentRunError) as error:
            log.debug("%s: %s", "/".join(where), error)
            tended.news.set()
            return False
        return True

    def _is_over(self, tended: _Tended) -> bool:
        idle = time.monotonic() - tended.log.asked_at
        return idle > (_READ_KEPT if tended.log.read_to_its_end(*tended.place) else _UNREAD_KEPT)

    def _drop(self, where: Where) -> None:
        self._tended.pop(where).log.close()
        self._metrics.containers.set(len(self._tended))

    def _open(self, where: Where) -> int:
        """A descriptor of the container's folder."""
        root = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            pod = os.open(f"{where.namespace}_{where.pod}_{where.uid}", _DIRECTORY, dir_fd=root)
            try:
                return os.open(where.container, _DIRECTORY, dir_fd=pod)
            finally:
                os.close(pod)
        finally:
            os.close(root)
