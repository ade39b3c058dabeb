"""Reconciles a run: observes its state, gets a plan from `core.lifecycle.plan`, and carries out the plan's actions.

No decisions are made here. Actions stop at the first error. Every action may be repeated, so after an error or a
restart a new plan is made.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.controller.images.building import BuildPendingError
from componentrun.controller.reconcile.hiding import StatusRedactor
from componentrun.controller.reconcile.planning import Planner
from componentrun.controller.reconcile.podreader import PodReader
from componentrun.controller.reconcile.removal import Remover
from componentrun.controller.reconcile.resultwriter import ResultWriter, RetryError
from componentrun.controller.reconcile.runmemory import RunMemories
from componentrun.controller.watching.caches import Key
from componentrun.core.lifecycle import status as core_status
from componentrun.core.lifecycle.actions import (
    DeletePod,
    DeleteRun,
    GiveGrants,
    KubernetesEvent,
    Publish,
    StartAttempt,
    WriteStatus,
)
from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError, UnsupportedError
from componentrun.process.kubernetes.errors import ConflictError, NotFoundError, QuotaExceededError
from componentrun.process.kubernetes.resources import RUNS
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.reconcile.publish import Publisher
    from componentrun.controller.reconcile.queues import Queues
    from componentrun.controller.reconcile.start import Starter
    from componentrun.controller.reconcile.statuswriter import StatusWriter
    from componentrun.controller.reconcile.unreadpods import UnreadPods
    from componentrun.controller.storages.references import References
    from componentrun.controller.watching.caches import Caches
    from componentrun.core.lifecycle.actions import Action
    from componentrun.core.limits import Limits
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Reconciler"]

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 0.001
_NOT_AT_ONCE: Final = 0.05
_KNOWN_SECONDS: Final = 60
"""Seconds after which a pod that starts normally has mounted its Secret, so that no request is needed for it."""
_KILL_SECONDS: Final = 2
"""Grace period in seconds of a pod whose run is given up."""


class Reconciler:
    """Reconciles runs, one at a time for each key."""

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        queues: Queues,
        references: References,
        starter: Starter,
        publisher: Publisher,
        writer: StatusWriter,
        limits: Limits,
        clock: Callable[[], datetime],
        unread: UnreadPods,
    ) -> None:
        """`clock` returns the time that decisions are based on."""
        self._kube = kube
        self._caches = caches
        self._queues = queues
        self._references = references
        self._starter = starter
        self._publisher = publisher
        self._writer = writer
        self._limits = limits
        self._clock = clock
        self._unread = unread
        self._remover = Remover(kube, caches, limits)
        self._pods = PodReader(kube, caches)
        self._planner = Planner(caches, queues, self._pods, unread, self._is_granted, limits, clock)
        self._redactor = StatusRedactor(kube)
        self._memories = RunMemories()
        self._results = ResultWriter(writer, publisher, self._redactor, self._memories, queues, limits, clock)
        self.active = True
        """Whether this operator is active; a standby only maintains its caches."""

    async def reconcile(self, key: Key) -> float | None:
        """Reconcile a run. Returns the seconds until the next reconcile, unless an event causes an earlier one.

        Raises:
            ConflictError: the run has changed; reconcile again at once.
            RequeuedError: the run waits for its Storage and will be added to the queue again.
            RetryError, TransientError: reconcile again after a pause.
            ComponentRunError: an error that retries are unlikely to fix.
        """
        existed = self._caches.runs.document(key) is not None
        wake = await self._reconcile(key)
        # If a request did not find the run, it is already removed from the cache, and its DELETED event queues nothing.
        is_deleted = existed and self._caches.runs.document(key) is None
        return _AT_ONCE if is_deleted else wake

    async def _reconcile(self, key: Key) -> float | None:
        if key.namespace in self._caches.unlisted:
            return None
        try:
            run = self._caches.runs.get(key)
        except UnsupportedError as error:
            await self._leave(key, error)
            return None
        await self._writer.settle(key, run)
        if run is None:
            return await self._without_run(key)
        if not self.active:
            if core_status.is_terminal(run.status):
                self._caches.pods.forget(key, only_gone=True)
            return None
        try:
            return await self._bring_further(key, run)
        except ConflictError:
            await self.refresh(key)
            raise
        except NotFoundError:
            await self.refresh(key)
            known = self._caches.runs.get(key)
            if known is not None and known.metadata.uid == run.metadata.uid:
                raise
            _logger(run).info("deleted meanwhile")
            return None if known is None else _AT_ONCE

    async def _without_run(self, key: Key) -> float | None:
        """Clean up after a run that does not exist or belongs to another operator."""
        if self.active:
            await self._pods.confirm(key, "")
            await self._remover.sweep(key)
        self._memories.forget(key)
        self._publisher.forget(key)
        self._unread.note(key, ())
        self._caches.pods.forget(key, only_gone=True)
        return None

    async def _bring_further(self, key: Key, run: ComponentRun) -> float | None:
        """Plan and act. Returns the seconds until the next reconcile."""
        was_over = core_status.is_terminal(run.status)
        last = run.status.attempts[-1].number if run.status.attempts else 0
        await self._pods.confirm(key, run.metadata.uid, before_attempt=sys.maxsize if was_over else last)
        await self._remover.sweep(key, but=run.metadata.uid)  # pods of an earlier run of the same name
        known = await self._with_references(key, run)
        if known is None:
            return _AT_ONCE
        run = known
        plan = await self._planner.plan(key, run)
        if plan is None:
            return _AT_ONCE
        self._unread.note(key, plan.unread_pods)
        self._queues.claim(key, starts=any(isinstance(action, StartAttempt) for action in plan.actions))
        for action in await self._redactor.actions(run, plan.actions):
            run = await self._carry_out(run, action)
        ended = core_status.is_terminal(run.status) and not was_over
        if core_status.is_terminal(run.status):
            self._memories.ended(key)
            if was_over:  # requests have confirmed that its pods are gone
                self._caches.pods.forget(key, only_gone=True)
        if ended or plan.wake_at is None:
            # Plan again: cleanup has its own deadlines, and the operator's own writes trigger no reconcile.
            return _AT_ONCE if ended else None
        # If a deadline has passed and nothing was to be done, an immediate plan would loop.
        soonest = _AT_ONCE if plan.actions else _NOT_AT_ONCE
        return max((plan.wake_at - self._clock()).total_seconds(), soonest)

    async def _with_references(self, key: Key, run: ComponentRun) -> ComponentRun | None:
        """The run, after its Component and Storage are in the caches; None if it was deleted.

        Raises:
            RetryError: its Component or Storage has unsupported values; it waits outside the queue and is retried.
        """
        if run.status.attempts or core_status.is_terminal(run.status):
            return run
        known = self._caches.runs.get(key) if await self._references.look_up(run) else run
        if known is None:
            return None
        try:
            self._references.check(known)
        except UnsupportedError as error:
            await self._leave(key, error)
            raise RetryError(error.message) from error
        return known

    async def refresh(self, key: Key) -> None:
        """Read the run from the API server, because the cached version is outdated."""
        uid = self._caches.runs.uid(key)  # another run of this name may be created, and seen, before the answer arrives
        try:
            self._caches.runs.seen(await self._kube.get(RUNS, *key))
        except NotFoundError:
            self._caches.runs.gone(key, uid)

    async def give_up(self, key: Key, error: Exception) -> None:
        """End a run whose reconciles keep failing, so that users do not wait for it forever."""
        await self.refresh(key)
        try:
            run = self._caches.runs.get(key)
        except UnsupportedError as unsupported:
            await self._leave(key, unsupported)
            return
        if run is None or core_status.is_terminal(run.status):
            return
        told = error.message if isinstance(error, ComponentRunError) else f"{type(error).__name__}: {error}"
        final = PlatformError(f"the operator gave up on the run: {told}", Reason.INTERNAL)
        await self._results.write(run, core_status.start_failed(run, final, limits=self._limits, now=self._clock()))
        self._memories.ended(key)
        if (pod := self._caches.pods.current(key, run.metadata.uid)) is not None and not pod.confirmed:
            await self._remover.delete(key, DeletePod(pod.name, pod.uid, _KILL_SECONDS))

    async def _leave(self, key: Key, error: UnsupportedError) -> None:
        """Leave a run unchanged if it, its Component or its Storage has unsupported values. Report that in its status.

        Raises:
            ConflictError: the run has changed, or was replaced; reconcile again at once.
        """
        if not self.active or self._caches.runs.has_ended(key):
            return
        self._queues.claim(key, starts=False)
        try:
            await self._writer.write_unsupported(key, error.message)
        except ConflictError:
            await self.refresh(key)
            raise
        except NotFoundError:
            await self.refresh(key)

    async def _carry_out(self, run: ComponentRun, action: Action) -> ComponentRun:
        match action:
            case WriteStatus():
                written = await self._writer.write(run, action.status)
                self._publisher.status_written(run, written)
                return written
            case StartAttempt():
                return await self._start(run, action)
            case GiveGrants():
                return await self._give(run, action)
            case Publish():
                return await self._publish(run, action)
            case DeletePod():
                await self._remover.delete(Key(run.metadata.namespace, run.metadata.name), action)
            case DeleteRun():
                await self._delete_run(run)
            case KubernetesEvent():
                await self._writer.tell(run, action)
        return run

    async def _start(self, run: ComponentRun, action: StartAttempt) -> ComponentRun:
        try:
            started = await self._starter.start(run, action.number)
        except BuildPendingError as pending:
            self._memories.of(run).failing_since = None
            return await self._results.write(
                run, core_status.building(run, pending.build, pending.message, self._clock())
            )
        except QuotaExceededError as error:
            return await self._results.quota_exceeded(run, error)
        except ComponentRunError as error:
            patience = self._results.retry_limits(run, "Queued", now := self._clock())
            status = core_status.start_failed(run, error, limits=patience, now=now)
            return await self._results.failed(run, status, error)
        self._memories.of(run).failing_since = None
        run = await self._results.write(run, started.status)
        try:
            await self._starter.give(run, started)
        except ComponentRunError as error:
            return await self._not_given(run, error)
        return self._given(run, started.pod_uid)

    async def _give(self, run: ComponentRun, action: GiveGrants) -> ComponentRun:
        """Create the pod's Secret if it is not known to exist. The attempt is already recorded in the status."""
        uid = run.status.attempts[-1].pod_uid or ""
        try:
            if not await self._starter.has_given(run, action.number, uid):
                started = await self._starter.start(run, action.number)
                if started.pod_uid == uid:
                    await self._starter.give(run, started)
                else:  # the pod was deleted just now; its replacement must never run
                    pod = DeletePod(names.pod_name(run.metadata.name, action.number), started.pod_uid, _KILL_SECONDS)
                    await self._remover.delete(Key(run.metadata.namespace, run.metadata.name), pod)
        except ComponentRunError as error:
            return await self._not_given(run, error)
        return self._given(run, uid)

    def _given(self, run: ComponentRun, pod_uid: str) -> ComponentRun:
        self._memories.of(run).granted = pod_uid, self._clock()
        return run

    def _is_granted(self, run: ComponentRun, pod_uid: str) -> bool:
        """Whether the pod is known to have its Secret. The Secret may have been deleted while the pod waits."""
        uid, since = self._memories.of(run).granted or ("", self._clock())
        return uid == pod_uid and (self._clock() - since).total_seconds() < _KNOWN_SECONDS

    async def _not_given(self, run: ComponentRun, error: ComponentRunError) -> ComponentRun:
        """Handle a failure to create the pod's Secret: retry, or end the run."""
        if isinstance(error, TransientError):
            status = core_status.held_up(run, error, self._clock())
        else:
            status = core_status.start_failed(run, error, limits=self._limits, now=self._clock())
        return await self._results.failed(run, status, error)

    async def _publish(self, run: ComponentRun, action: Publish) -> ComponentRun:
        if not self._publisher.has_entered(run):
            # Another operator may still be running, and conclude that it published nothing. After this write, the API
            # server rejects its status, which is based on an older version.
            run = await self._results.write(run, core_status.publishing_again(run, self._clock()))
        try:
            status = await self._publisher.publish(run, action.attempt, write_always_only=action.write_always_only)
        except ComponentRunError as error:
            begun, now = self._publisher.may_have_begun(run, error), self._clock()
            limits = self._results.retry_limits(run, "Publishing", now)
            status = core_status.publish_failed(run, error, limits=limits, now=now, begun=begun)
            if core_status.is_terminal(status) and (doubt := await self._doubt(run, action.attempt, error)) is not None:
                status = core_status.publish_uncertain(run, doubt, now=now)
            return await self._results.failed(run, status, error)
        self._memories.of(run).failing_since = None
        run = await self._results.write(run, status)
        if core_status.is_terminal(run.status):
            return run
        return await self._publish(run, replace(action, write_always_only=True))

    async def _doubt(self, run: ComponentRun, attempt: int, error: ComponentRunError) -> ComponentRunError | None:
        """The reason why an attempt may be published, now or later; None if the run may end as failed.

        Published tables stay published. If an error that retries can't fix prevents the rest, the run ends.
        """
        try:
            certain = await self._publisher.is_certain(run, attempt)
        except ComponentRunError as doubt:
            return doubt
        if certain or not isinstance(error, TransientError):
            return None
        return TransientError("a part of its output is published", Reason.PUBLISHING)

    async def _delete_run(self, run: ComponentRun) -> None:
        key = Key(run.metadata.namespace, run.metadata.name)
        try:
            # The ttl may have been raised in a version that the watch has not delivered yet.
            await self._kube.delete(RUNS, *key, run.metadata.uid, version=run.metadata.resource_version)
        except (NotFoundError, ConflictError):
            await self.refresh(key)
        else:
            _logger(run).info("deleted, as its ttlAfterFinished is over")


def _logger(run: ComponentRun) -> RunLogger:
    return RunLogger(_log, run.metadata.namespace, run.metadata.name)
