"""From what was seen to what is done: caches -> `core.lifecycle.plan` -> actions, in order, up to the first error.

Nothing is decided here. Every action may be repeated, so after any error, and after a restart, the same is asked again.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.controller.reconcile.hiding import StatusRedactor
from componentrun.controller.reconcile.planning import Planner
from componentrun.controller.reconcile.podreader import PodReader
from componentrun.controller.reconcile.removal import Remover
from componentrun.controller.reconcile.runmemory import RunMemories
from componentrun.controller.storages.gate import StoreDownError
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
from componentrun.core.queue.quota import read_quota
from componentrun.core.queue.texts import queued
from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError, UnsupportedError
from componentrun.process.kubernetes.errors import ConflictError, NotFoundError, QuotaExceededError
from componentrun.process.kubernetes.resources import RUNS
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, Phase
    from componentrun.controller.reconcile.publish import Publisher
    from componentrun.controller.reconcile.queues import Queues
    from componentrun.controller.reconcile.start import Starter
    from componentrun.controller.reconcile.statuswriter import StatusWriter
    from componentrun.controller.reconcile.unreadpods import UnreadPods
    from componentrun.controller.storages.references import References
    from componentrun.controller.watching.caches import Caches
    from componentrun.core.lifecycle.actions import Action
    from componentrun.core.lifecycle.observed import Limits
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Reconciler", "RetryError"]

_log = logging.getLogger(__name__)

_REJECTED: Final = Reason.POD_REJECTED
_AT_ONCE: Final = 0.001
_NOT_AT_ONCE: Final = 0.05
_KNOWN_SECONDS: Final = 60
"""A pod that starts as it should has mounted its Secret by then, and is not asked about."""
_KILL_SECONDS: Final = 2
"""Grace of a pod whose run had to be given up."""


class RetryError(Exception):
    """The status says what happened; try again after a pause."""


class Reconciler:
    """Brings one run a step further."""

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
        """The clock gives the time that decisions are made by."""
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
        self._hider = StatusRedactor(kube)
        self._memories = RunMemories()
        self.active = True
        """Whether this operator acts; one that stands by only keeps its caches tidy."""

    async def reconcile(self, key: Key) -> float | None:
        """Do what is to be done about a run now; seconds until it should be looked at again if nothing happens before.

        Raises:
            ConflictError: the run has changed; look again at once.
            RequeuedError: it waits for its Storage; look again when it is added.
            RetryError, TransientError: look again after a pause.
            ComponentRunError: something that more tries will hardly change.
        """
        existed = self._caches.runs.document(key) is not None
        wake = await self._reconcile(key)
        # A run that was found to be deleted is not in the cache any more, so the event of its deletion adds no key.
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
            if self._caches.runs.get(key) is not None:
                raise
            _logger(run).info("deleted meanwhile")
            return None

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
        """Plan and act; seconds until the next look."""
        was_over = core_status.is_terminal(run.status)
        last = run.status.attempts[-1].number if run.status.attempts else 0
        await self._pods.confirm(key, run.metadata.uid, before_attempt=sys.maxsize if was_over else last)
        await self._remover.sweep(key, but=run.metadata.uid)  # of an earlier run of the name
        known = await self._with_references(key, run)
        if known is None:
            return _AT_ONCE
        run = known
        plan = await self._planner.plan(key, run)
        if plan is None:
            return _AT_ONCE
        self._unread.note(key, plan.unread_pods)
        self._queues.claim(key, starts=any(isinstance(action, StartAttempt) for action in plan.actions))
        for action in await self._hider.actions(run, plan.actions):
            run = await self._carry_out(run, action)
        ended = core_status.is_terminal(run.status) and not was_over
        if core_status.is_terminal(run.status):
            self._memories.ended(key)
            if was_over:  # and so it is known which of its pods are gone
                self._caches.pods.forget(key, only_gone=True)
        if ended or plan.wake_at is None:
            # Once more: clean-up has deadlines of its own, and the operator's own writes trigger no reconcile.
            return _AT_ONCE if ended else None
        # Where nothing was done and the time has come all the same, asking again at once would only turn in circles.
        soonest = _AT_ONCE if plan.actions else _NOT_AT_ONCE
        return max((plan.wake_at - self._clock()).total_seconds(), soonest)

    async def _with_references(self, key: Key, run: ComponentRun) -> ComponentRun | None:
        """The run, once the caches hold its Component and Storage; None if it was deleted.

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
        """Read the run anew: what is cached has turned out to be old."""
        try:
            self._caches.runs.seen(await self._kube.get(RUNS, *key))
        except NotFoundError:
            self._caches.runs.drop(key)

    async def give_up(self, key: Key, error: Exception) -> None:
        """End a run that can't be brought further, so that nobody waits for it for ever."""
        await self.refresh(key)
        try:
            run = self._caches.runs.get(key)
        except UnsupportedError as unsupported:
            await self._leave(key, unsupported)
            return
        if run is None or core_status.is_terminal(run.status):
            return
        told = error.message if isinstance(error, ComponentRunError) else f"{type(error).__name__}: {error}"
        final = PlatformError(f"the operator gave it up: {told}", Reason.INTERNAL)
        await self._write(run, core_status.start_failed(run, final, limits=self._limits, now=self._clock()))
        self._memories.ended(key)
        if (pod := self._caches.pods.current(key, run.metadata.uid)) is not None and not pod.confirmed:
            await self._remover.delete(key, DeletePod(pod.name, pod.uid, _KILL_SECONDS))

    async def _leave(self, key: Key, error: UnsupportedError) -> None:
        """Leave a run alone that has, or whose Component or Storage has, unsupported values; its status reports it.

        Raises:
            ConflictError: it has changed, or is another one by now; look again at once.
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
        except QuotaExceededError as error:
            return await self._no_room(run, error)
        except ComponentRunError as error:
            patience = self._patience(run, "Queued", now := self._clock())
            status = core_status.start_failed(run, error, limits=patience, now=now)
            return await self._failed(run, status, error)
        self._memories.of(run).failing_since = None
        run = await self._write(run, started.status)
        try:
            await self._starter.give(run, started)
        except ComponentRunError as error:
            return await self._not_given(run, error)
        return self._given(run, started.pod_uid)

    async def _give(self, run: ComponentRun, action: GiveGrants) -> ComponentRun:
        """The attempt is written down, and nobody knows here whether its pod has its Secret."""
        uid = run.status.attempts[-1].pod_uid or ""
        try:
            if not await self._starter.has_given(run, action.number, uid):
                started = await self._starter.start(run, action.number)
                if started.pod_uid == uid:
                    await self._starter.give(run, started)
                else:  # ours was deleted just now: the one in its place never runs
                    pod = DeletePod(names.pod_name(run.metadata.name, action.number), started.pod_uid, _KILL_SECONDS)
                    await self._remover.delete(Key(run.metadata.namespace, run.metadata.name), pod)
        except ComponentRunError as error:
            return await self._not_given(run, error)
        return self._given(run, uid)

    def _given(self, run: ComponentRun, pod_uid: str) -> ComponentRun:
        self._memories.of(run).granted = pod_uid, self._clock()
        return run

    def _is_granted(self, run: ComponentRun, pod_uid: str) -> bool:
        """Whether the pod is known to have its Secret. That of one that waits for long may have been deleted since."""
        uid, since = self._memories.of(run).granted or ("", self._clock())
        return uid == pod_uid and (self._clock() - since).total_seconds() < _KNOWN_SECONDS

    async def _not_given(self, run: ComponentRun, error: ComponentRunError) -> ComponentRun:
        """A pod has to do without its Secret: for now, or for ever, which ends the run."""
        if isinstance(error, TransientError):
            status = core_status.held_up(run, error, self._clock())
        else:
            status = core_status.start_failed(run, error, limits=self._limits, now=self._clock())
        return await self._failed(run, status, error)

    async def _no_room(self, run: ComponentRun, error: QuotaExceededError) -> ComponentRun:
        """A quota is used up: the run waits, for as long as it takes, unless the quota has no room for it at all."""
        now = self._clock()
        self._memories.of(run).failing_since = None
        quota = read_quota(error.message)
        if quota is not None and quota.too_small:
            refusal = PlatformError(f"{quota} is too small for its pod: ask for less, or have it raised", _REJECTED)
            return await self._failed(run, core_status.start_failed(run, refusal, limits=self._limits, now=now), error)
        key = Key(run.metadata.namespace, run.metadata.name)
        said = str(quota) if quota is not None else error.message.rstrip(".")
        self._queues.quota_full(key, said)
        turn = replace(self._queues.turn(key), waiting_for="ResourceQuota", quota=said)
        return await self._failed(run, queued(run, turn, now), error)

    def _patience(self, run: ComponentRun, phase: Phase, now: datetime) -> Limits:
        """How long what is done in a phase is tried, from the first time that it failed.

        What a run waited for its turn, for a quota, or for an operator that was away, does not count.
        """
        memory = self._memories.of(run)
        failing_since = memory.failing_since = memory.failing_since or now
        begun = next((item.start_time for item in reversed(run.status.phases) if item.phase == phase), now)
        waited, limits = max((failing_since - begun).total_seconds(), 0.0), self._limits
        return replace(limits, start_retry=limits.start_retry + waited, publish_retry=limits.publish_retry + waited)

    async def _publish(self, run: ComponentRun, action: Publish) -> ComponentRun:
        if not self._publisher.has_entered(run):
            # The operator that brought it here may still run and know that it published nothing. From now on, what it
            # concludes from that is refused.
            run = await self._write(run, core_status.publishing_again(run, self._clock()))
        try:
            status = await self._publisher.publish(run, action.attempt, write_always_only=action.write_always_only)
        except ComponentRunError as error:
            begun, now = self._publisher.may_have_begun(run, error), self._clock()
            limits = self._patience(run, "Publishing", now)
            status = core_status.publish_failed(run, error, limits=limits, now=now, begun=begun)
            if core_status.is_terminal(status) and (doubt := await self._doubt(run, action.attempt, error)) is not None:
                status = core_status.publish_uncertain(run, doubt, now=now)
            return await self._failed(run, status, error)
        self._memories.of(run).failing_since = None
        run = await self._write(run, status)
        if core_status.is_terminal(run.status):
            return run
        return await self._publish(run, replace(action, write_always_only=True))

    async def _doubt(self, run: ComponentRun, attempt: int, error: ComponentRunError) -> ComponentRunError | None:
        """Why it is not certain that an attempt stays as it is; None: it is.

        What is published stays published. If something that does not pass keeps the rest from it, the run ends.
        """
        try:
            certain = await self._publisher.is_certain(run, attempt)
        except ComponentRunError as doubt:
            return doubt
        if certain or not isinstance(error, TransientError):
            return None
        return TransientError("a part of its output is published", Reason.PUBLISHING)

    async def _failed(self, run: ComponentRun, status: ComponentRunStatus, error: ComponentRunError) -> ComponentRun:
        """Write what an error made of the run; it is tried again unless that is the end."""
        run = await self._write(run, status)
        if core_status.is_terminal(run.status):
            return run
        if isinstance(error, StoreDownError):
            raise error
        _logger(run).warning("%s; it will be tried again", error.message)
        raise RetryError(error.message) from error

    async def _write(self, run: ComponentRun, status: ComponentRunStatus) -> ComponentRun:
        """Write a status that the plan did not know yet, and tell `kubectl describe` about it."""
        written = await self._writer.write(run, await self._hider.status(run, status))
        self._publisher.status_written(run, written)
        event = core_status.lifecycle_event(run.status, written.status)
        if event is not None:
            await self._writer.tell(written, event)
        return written

    async def _delete_run(self, run: ComponentRun) -> None:
        key = Key(run.metadata.namespace, run.metadata.name)
        try:
            # Its time to live may have been raised while the watch was behind.
            await self._kube.delete(RUNS, *key, run.metadata.uid, version=run.metadata.resource_version)
        except (NotFoundError, ConflictError):
            await self.refresh(key)
        else:
            _logger(run).info("deleted, as its ttlAfterFinished is over")


def _logger(run: ComponentRun) -> RunLogger:
    return RunLogger(_log, run.metadata.namespace, run.metadata.name)
