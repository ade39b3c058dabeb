"""Writes the results of actions to a run's status, and decides whether a failed action is retried."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from componentrun.controller.storages.gate import StoreDownError
from componentrun.controller.watching.caches import Key
from componentrun.core.lifecycle import status as core_status
from componentrun.core.queue.quota import read_quota
from componentrun.core.queue.texts import queued
from componentrun.errors import PlatformError, Reason
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, Phase
    from componentrun.controller.reconcile.hiding import StatusRedactor
    from componentrun.controller.reconcile.publish import Publisher
    from componentrun.controller.reconcile.queues import Queues
    from componentrun.controller.reconcile.runmemory import RunMemories
    from componentrun.controller.reconcile.statuswriter import StatusWriter
    from componentrun.core.limits import Limits
    from componentrun.errors import ComponentRunError
    from componentrun.process.kubernetes.errors import QuotaExceededError

__all__ = ["ResultWriter", "RetryError"]

_log = logging.getLogger(__name__)

_REJECTED: Final = Reason.POD_REJECTED


class RetryError(Exception):
    """The failure is recorded in the status; try again after a pause."""


class ResultWriter:
    """Writes the results of actions, with the Kubernetes Events that they cause."""

    def __init__(
        self,
        writer: StatusWriter,
        publisher: Publisher,
        redactor: StatusRedactor,
        memories: RunMemories,
        queues: Queues,
        limits: Limits,
        clock: Callable[[], datetime],
    ) -> None:
        """`clock` returns the time that decisions are based on."""
        self._writer = writer
        self._publisher = publisher
        self._redactor = redactor
        self._memories = memories
        self._queues = queues
        self._limits = limits
        self._clock = clock

    async def write(self, run: ComponentRun, status: ComponentRunStatus) -> ComponentRun:
        """Write a status that results from an action, and its Kubernetes Events."""
        written = await self._writer.write(run, await self._redactor.status(run, status))
        self._publisher.status_written(run, written)
        event = core_status.lifecycle_event(run.status, written.status)
        if event is not None:
            await self._writer.tell(written, event)
        return written

    async def failed(self, run: ComponentRun, status: ComponentRunStatus, error: ComponentRunError) -> ComponentRun:
        """Write the status after an error. Returns the run if it has ended.

        Raises:
            StoreDownError: the error, if it is one: the run waits for its store.
            RetryError: the action is retried.
        """
        run = await self.write(run, status)
        if core_status.is_terminal(run.status):
            return run
        if isinstance(error, StoreDownError):
            raise error
        RunLogger(_log, run.metadata.namespace, run.metadata.name).warning("%s; it will be tried again", error.message)
        raise RetryError(error.message) from error

    async def quota_exceeded(self, run: ComponentRun, error: QuotaExceededError) -> ComponentRun:
        """Handle an exhausted quota: the run waits without a time limit, unless its pod exceeds the whole quota."""
        now = self._clock()
        self._memories.of(run).failing_since = None
        quota = read_quota(error.message)
        if quota is not None and quota.too_small:
            refusal = PlatformError(f"{quota} is too small for its pod: ask for less, or have it raised", _REJECTED)
            return await self.failed(run, core_status.start_failed(run, refusal, limits=self._limits, now=now), error)
        key = Key(run.metadata.namespace, run.metadata.name)
        usage = str(quota) if quota is not None else error.message.rstrip(".")
        self._queues.quota_full(key, usage)
        turn = replace(self._queues.turn(key), waiting_for="ResourceQuota", quota=usage)
        return await self.failed(run, queued(run, turn, now), error)

    def retry_limits(self, run: ComponentRun, phase: Phase, now: datetime) -> Limits:
        """Time limits for the retries in a phase, counted from the first failure.

        Time that the run waited for its turn, for a quota, or for an operator does not count.
        """
        memory = self._memories.of(run)
        failing_since = memory.failing_since = memory.failing_since or now
        begun = next((item.start_time for item in reversed(run.status.phases) if item.phase == phase), now)
        waited, limits = max((failing_since - begun).total_seconds(), 0.0), self._limits
        return replace(limits, start_retry=limits.start_retry + waited, publish_retry=limits.publish_retry + waited)
