"""Makes plans from the caches. If a plan requires a pod to be read first, reads it and plans again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from componentrun.core.lifecycle import plan as core_plan
from componentrun.core.lifecycle.actions import LookAtPod
from componentrun.core.lifecycle.observed import Observed
from componentrun.core.lifecycle.phases import short_seconds
from componentrun.core.pod.identity import PodIdentity

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.reconcile.podreader import PodReader
    from componentrun.controller.reconcile.queues import Queues
    from componentrun.controller.reconcile.unreadpods import UnreadPods
    from componentrun.controller.watching.caches import Caches, Key
    from componentrun.core.lifecycle.actions import Plan
    from componentrun.core.limits import Limits

__all__ = ["Planner"]


class Planner:
    """Makes plans."""

    def __init__(
        self,
        caches: Caches,
        queues: Queues,
        pods: PodReader,
        unread: UnreadPods,
        is_granted: Callable[[ComponentRun, str], bool],
        limits: Limits,
        clock: Callable[[], datetime],
    ) -> None:
        """`is_granted` returns whether the pod of a run with this uid is known to have its Secret."""
        self._caches = caches
        self._queues = queues
        self._pods = pods
        self._unread = unread
        self._is_granted = is_granted
        self._limits = limits
        self._clock = clock
        self._acting_since: datetime | None = None

    async def plan(self, key: Key, run: ComponentRun) -> Plan | None:
        """The plan for a run; None if the run changed while its pod was being read.

        Raises:
            KubeError: its pod could not be read, because the API server refused or does not respond.
        """
        made = core_plan.plan(self._observe(key, run))
        look = next((action for action in made.actions if isinstance(action, LookAtPod)), None)
        if look is None:
            return made
        before = self._caches.runs.document(key)
        await self._read_pod(key, run, look)
        if self._caches.runs.document(key) is not before:
            return None
        return core_plan.plan(replace(self._observe(key, run), pod_was_read=True))

    def _observe(self, key: Key, run: ComponentRun) -> Observed:
        """The current state of the run and its pods, from the caches."""
        status = run.status
        # Between two attempts, the pod of the next attempt may already exist.
        recorded = status.attempts[-1].pod_uid if status.attempts and status.next_attempt_time is None else None
        pod = self._caches.pods.current(key, run.metadata.uid, recorded or "")
        now = self._clock()
        self._acting_since = self._acting_since or now
        return Observed(
            run,
            pod,
            now,
            self._limits,
            earlier=self._caches.pods.earlier(key, run.metadata.uid, pod),
            turn=self._queues.turn(key),
            over_unread_limit=self._unread.over_limit(key),
            granted=pod is not None and self._is_granted(run, pod.uid),
            short_seconds=short_seconds(self._caches.runs.in_progress),
            acting_since=self._acting_since,
        )

    async def _read_pod(self, key: Key, run: ComponentRun, look: LookAtPod) -> None:
        """Read the pod that the plan requests, by name."""
        numbers = {attempt.pod_uid: attempt.number for attempt in run.status.attempts}
        pod = self._caches.pods.current(key, run.metadata.uid, look.uid)
        number = numbers.get(look.uid) or (pod.attempt if pod is not None else 0)
        await self._pods.read(key, look.name, look.uid, PodIdentity(key.name, run.metadata.uid, number))
