"""Workers: take keys from the queue, reconcile them, and schedule the next reconcile.

Only this module catches every exception: a defect must neither stop the operator nor leave a run that never ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

from componentrun.controller.reconcile.resultwriter import RetryError
from componentrun.controller.storages.gate import RequeuedError, StoreDownError
from componentrun.controller.work.queue import ShutDownError, WorkQueue
from componentrun.errors import TransientError
from componentrun.process.kubernetes.errors import ConflictError
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from componentrun.controller.metrics import Metrics
    from componentrun.controller.storages.gate import StoreGate
    from componentrun.controller.watching.caches import Key

__all__ = ["MOST_FAILURES", "Workers"]

_log = logging.getLogger(__name__)

MOST_FAILURES: Final = 10
"""Consecutive unexpected errors after which a run is given up."""

_DOWN_SECONDS: Final = 15.0
"""Seconds after which a run whose store does not respond is reconciled, so that it can time out."""


class _Reconciles(Protocol):
    async def reconcile(self, key: Key) -> float | None: ...

    async def give_up(self, key: Key, error: Exception) -> None: ...


class Workers:
    """Processes the keys of one work queue, each in its own task. The queue limits the concurrency."""

    def __init__(self, queue: WorkQueue[Key], reconciler: _Reconciles, metrics: Metrics, gate: StoreGate) -> None:
        """Start nothing yet."""
        self._queue = queue
        self._reconciler = reconciler
        self._metrics = metrics
        self._gate = gate
        self._dispatcher: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._defects: dict[Key, int] = {}

    @property
    def running(self) -> bool:
        """Whether keys are being taken and processed."""
        return self._dispatcher is not None and not self._dispatcher.done()

    def start(self) -> None:
        """Start processing keys."""
        self._dispatcher = asyncio.create_task(self._dispatch(), name="workers")

    async def watch(self) -> None:
        """Wait until processing ends unexpectedly.

        Raises:
            RuntimeError: processing ended although the queue is open.
        """
        if self._dispatcher is not None:
            await asyncio.wait([self._dispatcher])
        if not self._queue.closed:
            raise RuntimeError("a worker ended; the operator exits and is restarted")

    async def stop(self, seconds: float) -> None:
        """Take no more keys. Wait up to `seconds` until the keys in process are done."""
        self._queue.shut_down()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            _log.warning(
                "%d workers were stopped while they reconciled a run, which continues after the next start", len(late)
            )

    async def _dispatch(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except ShutDownError:
                return
            task = asyncio.create_task(self._work(key))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Handle the end of a key's task. An exception is a defect of this module, so processing stops."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._dispatcher is not None:
            _log.error("a worker ended", exc_info=error)
            self._dispatcher.cancel()

    async def _work(self, key: Key) -> None:
        started = time.monotonic()
        result = "error"
        try:
            result = await self._process(key)
        finally:
            self._queue.done(key)
            self._gate.release(key)
            self._metrics.reconciled(result, time.monotonic() - started)

    async def _process(self, key: Key) -> str:
        """Reconcile a key and schedule its next reconcile. Returns the result for metrics."""
        try:
            wake = await self._reconciler.reconcile(key)
        except Exception as error:  # noqa: BLE001 - top level of a worker, see the module
            return await self._failed(key, error)
        self._queue.forget(key)
        self._defects.pop(key, None)
        if wake is None:
            return "success"
        self._queue.add_after(key, wake)
        return "requeue_after"

    async def _failed(self, key: Key, error: Exception) -> str:
        """Schedule the next attempt for a key that failed. Returns the result for metrics."""
        result = "requeue_after"
        match error:
            case RequeuedError():
                result = "requeue"  # the gate adds the key again
            case ConflictError():
                self._queue.add(key)
                result = "requeue"
            case StoreDownError():
                self._queue.add_after(key, _DOWN_SECONDS)
            case RetryError():
                self._queue.retry(key)
            case TransientError():
                delay = self._queue.retry(key)
                RunLogger(_log, *key).warning("%s; again in %.1f s", error.summary, delay)
            case _:
                await self._unexpected(key, error)
                result = "error"
        return result

    async def _unexpected(self, key: Key, error: Exception) -> None:
        """Log and count a defect. End the run after too many of them."""
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
