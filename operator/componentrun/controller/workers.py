"""The workers: they take keys from the queue, have them reconciled, and say when to look again.

The one place that catches every exception: a defect must neither stop the operator nor leave a run without an end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

from componentrun.controller.reconciler import RetryError
from componentrun.controller.workqueue import ShutDownError, WorkQueue
from componentrun.errors import TransientError
from componentrun.process.kubeerrors import ConflictError
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from componentrun.controller.caches import Key
    from componentrun.controller.metrics import Metrics

__all__ = ["MOST_FAILURES", "Workers"]

_log = logging.getLogger(__name__)

MOST_FAILURES: Final = 10
"""Unexpected errors in a row after which a run is given up."""


class _Reconciles(Protocol):
    async def reconcile(self, key: Key) -> float | None: ...

    async def give_up(self, key: Key, error: Exception) -> None: ...


class Workers:
    """A number of tasks that work on one queue."""

    def __init__(self, queue: WorkQueue[Key], reconciler: _Reconciles, metrics: Metrics) -> None:
        """Nothing is started yet."""
        self._queue = queue
        self._reconciler = reconciler
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._defects: dict[Key, int] = {}

    @property
    def running(self) -> bool:
        """Whether all of them work, or wait for work."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def start(self, count: int) -> None:
        """Start so many workers."""
        self._tasks = [asyncio.create_task(self._work(), name=f"worker {number}") for number in range(count)]

    async def watch(self) -> None:
        """Until a worker ends though nobody stopped it, which none ever should.

        Raises:
            RuntimeError: one did.
        """
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        if not self._queue.closed:
            raise RuntimeError("a worker ended; the operator ends, too, and is started again")

    async def stop(self, seconds: float) -> None:
        """Take no more keys; wait until what is being worked on is done, at most so long."""
        self._queue.shut_down()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            _log.warning(
                "%d workers were stopped in the middle of a run; it is taken up again by the next start", len(late)
            )

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except ShutDownError:
                return
            started = time.monotonic()
            result = "error"
            try:
                result = await self._process(key)
            finally:
                self._queue.done(key)
                self._metrics.reconciled(result, time.monotonic() - started)

    async def _process(self, key: Key) -> str:
        """Reconcile a key and plan its next turn; what to count it as."""
        try:
            wake = await self._reconciler.reconcile(key)
        except ConflictError:
            self._queue.add(key)
            return "requeue"
        except RetryError:
            self._queue.retry(key)
            return "requeue_after"
        except TransientError as error:
            delay = self._queue.retry(key)
            RunLogger(_log, *key).warning("%s; again in %.1f s", error.message, delay)
            return "requeue_after"
        except Exception as error:  # noqa: BLE001 - the top of a worker: see the module
            await self._unexpected(key, error)
            return "error"
        self._queue.forget(key)
        self._defects.pop(key, None)
        if wake is None:
            return "success"
        self._queue.add_after(key, wake)
        return "requeue_after"

    async def _unexpected(self, key: Key, error: Exception) -> None:
        """Tell about a defect, and end the run after too many."""
        self._metrics.panicked()
        self._defects[key] = self._defects.get(key, 0) + 1
        count = self._defects[key]
        RunLogger(_log, *key).error("unexpected error, %d in a row", count, exc_info=error)
        if count < MOST_FAILURES:
            self._queue.retry(key)
            return
        self._defects.pop(key, None)
        try:
            await self._reconciler.give_up(key, error)
        except Exception as second:  # noqa: BLE001 - likewise
            RunLogger(_log, *key).error("could not be given up either", exc_info=second)
            self._queue.retry(key)
        else:
            self._queue.forget(key)
