"""The containers whose logs are read: finds their folders and watches them while they are read.

A name in a request becomes part of a path, so it must be a valid Kubernetes name. Links to folders are not followed.
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
"""Every how many rounds a folder without a waiting request is checked, to hold files before they are rotated away."""
_ENOUGH: Final = 64 * 1024
_GATHER: Final = 0.25
"""Seconds that fewer than `_ENOUGH` bytes are held back for more, because requests are expensive."""
_READ_KEPT: Final = 60.0
_UNREAD_KEPT: Final = 600.0
"""Seconds that the files of a container are held without a request; `_READ_KEPT` if all of them were read."""
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES: Final = {
    "namespace": DNS_LABEL,
    "pod": re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"),
    "uid": re.compile(r"[0-9a-f][0-9a-f-]{7,63}"),
    "container": DNS_LABEL,
}


class Where(NamedTuple):
    """One container, by the parts of its folder's path."""

    namespace: str
    pod: str
    uid: str
    container: str

    def wrong(self) -> str:
        """The first part that is not a valid Kubernetes name, or an empty text."""
        return next((part for part, value in self._asdict().items() if _NAMES[part].fullmatch(value) is None), "")


class _Entry:
    """A container that is read, and the position."""

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
        self._entries: dict[Where, _Entry] = {}

    def unready(self) -> str:
        """Why logs can't be read, or an empty text."""
        try:
            next(Path(self._folder).iterdir(), None)
        except OSError as error:
            return f"can't read {self._folder}: {error.strerror}; is the node's folder mounted there?"
        return ""

    def close(self) -> None:
        """Close everything."""
        for where in list(self._entries):
            self._drop(where)

    async def answer(self, where: Where, place: tuple[str, int], wait: float) -> Answer:
        """Return the content after this position (file, offset); wait for it at most `wait` seconds.

        Raises:
            FileNotFoundError: the node has no such log, or nothing at or after this position.
            OSError, NoLogError: it can't be read.
        """
        entry = self._entries.get(where)
        if entry is None:
            folder = self._open(where)
            try:
                container_log = ContainerLog(folder)
            except BaseException:
                os.close(folder)
                raise
            entry = self._entries[where] = _Entry(container_log)
            self._metrics.containers.set(len(self._entries))
        else:
            entry.log.look()
        start = time.monotonic()
        entry.place, entry.waiting = place, entry.waiting + 1
        try:
            return await self._wait(entry, place, start, wait)
        except KeyError as error:
            raise FileNotFoundError(f"{place[0]} is gone") from error
        finally:
            entry.waiting -= 1

    async def tend(self) -> None:
        """Watch the folders that are read, until cancelled."""
        round_number = 0
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            round_number += 1
            for where, entry in list(self._entries.items()):
                if entry.waiting:
                    if self._looked(where, entry) and entry.log.has(*entry.place):
                        entry.news.set()
                elif round_number % _TEND_EVERY == 0 and self._looked(where, entry) and self._is_over(entry):
                    self._drop(where)

    async def _wait(self, entry: _Entry, place: tuple[str, int], start: float, wait: float) -> Answer:
        while True:
            # Checked here, because a second reader of the same container overwrites the position that `tend` checks.
            entry.news.clear()
            answer = entry.log.answer(*place)
            elapsed = time.monotonic() - start
            if elapsed >= wait or answer.removed or len(answer.data) >= _ENOUGH:
                return answer
            if answer.data:
                if elapsed >= _GATHER:
                    return answer
                await asyncio.sleep(min(_GATHER, wait) - elapsed)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait - elapsed, 1.0)):
                    await entry.news.wait()

    def _looked(self, where: Where, entry: _Entry) -> bool:
        """Update a container; an error is reported by the next request for it."""
        try:
            entry.log.look()
        except (OSError, ComponentRunError) as error:
            log.debug("%s: %s", "/".join(where), error)
            entry.news.set()
            return False
        return True

    def _is_over(self, entry: _Entry) -> bool:
        idle = time.monotonic() - entry.log.asked_at
        return idle > (_READ_KEPT if entry.log.read_to_its_end(*entry.place) else _UNREAD_KEPT)

    def _drop(self, where: Where) -> None:
        self._entries.pop(where).log.close()
        self._metrics.containers.set(len(self._entries))

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
