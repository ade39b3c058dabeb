"""Kopf, which watches Components and Storages: it is run for as long as the operator works."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import kopf

from componentrun.controller.handlers import make_settings
from componentrun.process.kubeerrors import KubeError
from componentrun.process.launch import listen_to_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.controller.resync import Resync

__all__ = ["STOP_SECONDS", "KopfWatch"]

_log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 1.0
_HELD_SECONDS: Final = 60.0
"""Watches that lasted this long were fine; the next pause is a short one again."""
_LONGEST_PAUSE_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
"""For watches that are told to end."""
_IDENTITY: Final[Any] = socket.gethostname()
"""kopf would ask for a user name, and the container's uid has none."""


class KopfWatch:
    """Runs kopf; starts it again where it ends, which it does after errors that it finds unrecoverable."""

    def __init__(
        self,
        make_registry: Callable[[], kopf.OperatorRegistry],
        namespaces: Sequence[str],
        resync: Resync,
        stopping: asyncio.Event,
    ) -> None:
        """Nothing is started.

        Args:
            make_registry: makes kopf's handlers, anew for each start.
            namespaces: to watch; empty: all.
            resync: lists what may have been missed while kopf was not there.
            stopping: set by the signals that end the process, which kopf takes for itself at each start.
        """
        self._make_registry, self._namespaces = make_registry, namespaces
        self._resync, self._stopping = resync, stopping
        self.working = False
        """Whether kopf watches."""

    async def run(self) -> None:
        """Watch, until it is cancelled."""
        pause = _AGAIN_SECONDS
        while True:
            began = time.monotonic()
            try:
                await self._once()
                _log.error("the watches ended; starting them again")
            except Exception as error:  # noqa: BLE001 - kopf ends with whatever its watches ended with
                foreseen = type(error).__module__.startswith("kopf")
                _log.error("the watches failed, starting them again: %r", error, exc_info=None if foreseen else error)
            finally:
                self.working = False
            lasted = time.monotonic() - began
            pause = _AGAIN_SECONDS if lasted > _HELD_SECONDS else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)
            with contextlib.suppress(KubeError):  # the next listing tells; the watches list, too
                await self._resync.everything()

    async def _once(self) -> None:
        """Run kopf until one of its tasks ends, and raise what it ended with.

        Its tasks are waited for here and not by `kopf.run_tasks`, which takes every task of the loop for its own.
        """
        ready = asyncio.Event()
        where: dict[str, Any] = {"namespaces": self._namespaces} if self._namespaces else {"clusterwide": True}
        tasks = await kopf.spawn_tasks(
            registry=self._make_registry(),
            settings=make_settings(),
            standalone=True,
            identity=_IDENTITY,
            ready_flag=ready,
            **where,
        )
        listen_to_signals(self._stopping)  # kopf took them
        getting_ready = asyncio.create_task(ready.wait(), name="kopf is ready")
        try:
            await asyncio.wait({*tasks, getting_ready}, return_when=asyncio.FIRST_COMPLETED)
            self.working = ready.is_set()
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (getting_ready, *tasks):
                task.cancel()
            await asyncio.wait({getting_ready, *tasks}, timeout=STOP_SECONDS)
        for task in done:
            task.result()
