"""Keeps a state and a worker for each run with undelivered events, from the watches."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.collector.events.writer import SupersededError
from componentrun.collector.runs.facts import PodFacts, build_pod_facts, has_waited_for, pod_facts, run_facts
from componentrun.collector.runs.state import RunState
from componentrun.collector.runs.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from componentrun.collector.runs.facts import RunFacts
    from componentrun.collector.runs.worker import Services
    from componentrun.process.kubernetes.eventerrors import EventErrors

__all__ = ["BuildPodTarget", "PodTarget", "Registry", "RunTarget"]

log = logging.getLogger(__name__)

_PAUSE_AFTER_DEFECT: Final = 5.0
_PAUSE_AFTER_LOSS: Final = (0.5, 2.0)
"""Range of random pauses after another collector wrote a segment, so that two collectors do not stay in step."""


class Registry:
    """All runs that this process collects."""

    def __init__(self, services: Services) -> None:
        """Workers get these services."""
        self._services = services
        self._states: dict[str, RunState] = {}
        self._workers: dict[str, Worker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pods: dict[str, PodFacts] = {}
        self._pods_of: dict[str, dict[str, PodFacts]] = {}
        """Pods by the uid of the run in their label."""
        self._pods_of_builds: dict[str, PodFacts] = {}
        self._stopping = False

    def run_changed(self, run: RunFacts) -> None:
        """Update a run."""
        state = self._states.get(run.uid)
        if state is not None:
            state.run_changed(run)
            self._attach_builds(state)
        elif not run.delivered and not self._stopping and self._is_ours(run.uid):
            self._begin(run)

    def run_deleted(self, uid: str) -> None:
        """Record that a run's object was deleted."""
        if uid in self._states:
            self._states[uid].run_deleted()

    def pod_changed(self, pod: PodFacts) -> None:
        """Update a pod of a run."""
        self._forget_pod(pod.uid)
        self._pods[pod.uid] = self._pods_of.setdefault(pod.run_uid, {})[pod.uid] = pod
        state = self._states.get(pod.run_uid)
        if state is not None and _belongs(pod, state.run):
            state.pod_changed(pod)

    def pod_deleted(self, uid: str) -> None:
        """Record that a pod was deleted."""
        pod = self._forget_pod(uid)
        state = self._states.get(pod.run_uid) if pod is not None else None
        if pod is not None and state is not None and _belongs(pod, state.run):
            state.pod_deleted(uid)

    def build_pod_changed(self, pod: PodFacts) -> None:
        """Update the pod of a build."""
        self._pods_of_builds[pod.uid] = pod
        for state in self._states.values():
            if pod.uid in state.pods or has_waited_for(state.run, pod):
                state.pod_changed(pod)

    def build_pod_deleted(self, uid: str) -> None:
        """Record that the pod of a build was deleted."""
        self._pods_of_builds.pop(uid, None)
        for state in self._states.values():
            if uid in state.pods:
                state.pod_deleted(uid)

    def _attach_builds(self, state: RunState) -> None:
        """Give a run the pods of the build that it waits for, or has waited for."""
        if state.run.status.build is None:
            return
        for pod in self._pods_of_builds.values():
            if pod.uid not in state.pods and has_waited_for(state.run, pod):
                state.pod_changed(pod)

    def _forget_pod(self, uid: str) -> PodFacts | None:
        pod = self._pods.pop(uid, None)
        if pod is not None:
            pods = self._pods_of[pod.run_uid]
            del pods[uid]
            if not pods:
                del self._pods_of[pod.run_uid]
        return pod

    async def stop(self) -> None:
        """Write pending events, then stop all workers."""
        self._stopping = True
        for worker in self._workers.values():
            worker.stop()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _is_ours(self, uid: str) -> bool:
        return self._services.settings.is_ours(uid)

    def _begin(self, run: RunFacts) -> None:
        state = RunState(run)
        for pod in self._pods_of.get(run.uid, {}).values():
            if _belongs(pod, run):
                state.pod_changed(pod)
        self._attach_builds(state)
        self._states[run.uid] = state
        task = asyncio.create_task(self._supervise(state), name=f"run {run.namespace}/{run.name}")
        task.add_done_callback(lambda _: self._forget(run.uid))
        self._tasks[run.uid] = task
        self._services.metrics.runs.set(len(self._states))

    def _forget(self, uid: str) -> None:
        self._states.pop(uid, None)
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        self._services.metrics.runs.set(len(self._states))

    async def _supervise(self, state: RunState) -> None:
        """Collect a run until it is delivered. After an error, start again from its last segment."""
        while not self._stopping:
            worker = self._workers[state.run.uid] = Worker(state, self._services)
            try:
                await worker.work()
            except SupersededError as error:
                log.warning("%s/%s: starting again: %s", state.run.namespace, state.run.name, error.message)
                await asyncio.sleep(random.uniform(*_PAUSE_AFTER_LOSS))  # noqa: S311 - spreads, keeps no secret
            except Exception:
                # A defect at one run must not affect the others. It is logged, and the run is retried.
                log.exception("%s/%s: collecting this run failed, starting again", state.run.namespace, state.run.name)
                await asyncio.sleep(_PAUSE_AFTER_DEFECT)
            else:
                return


def _belongs(pod: PodFacts, run: RunFacts) -> bool:
    """Whether the pod belongs to the run: anyone can set its labels, but not its namespace.

    A pod with another name is a copy that somebody made for debugging.
    """
    copied = pod.attempt is not None and pod.name != names.pod_name(run.name, pod.attempt)
    return (pod.run_uid, pod.namespace) == (run.uid, run.namespace) and not copied


class RunTarget:
    """Target of the watch of runs."""

    def __init__(self, registry: Registry) -> None:
        """Update this registry."""
        self._registry = registry

    def changed(self, raw: Mapping[str, Any]) -> None:
        """Update a run."""
        try:
            run = run_facts(raw)
        except ValueError as error:
            metadata = raw.get("metadata") or {}
            log.error("can't read run %s/%s: %s", metadata.get("namespace"), metadata.get("name"), error)  # noqa: TRY400 - where it was read says nothing
            return
        self._registry.run_changed(run)

    listed = changed

    def deleted(self, uid: str, last: Mapping[str, Any]) -> None:
        """A run is gone."""
        self.changed(last)
        self._registry.run_deleted(uid)

    def vanished(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Runs are gone, and their end was missed."""
        for uid in uids:
            with errors.of(uid, uid):
                self._registry.run_deleted(uid)


class BuildPodTarget:
    """Hears about pods of builds."""

    def __init__(self, registry: Registry) -> None:
        """Update this registry."""
        self._registry = registry

    def changed(self, raw: Mapping[str, Any]) -> None:
        """A pod as it is now."""
        self._registry.build_pod_changed(build_pod_facts(raw))

    listed = changed

    def deleted(self, uid: str, last: Mapping[str, Any]) -> None:
        """Record that a pod was deleted."""
        self.changed(last)
        self._registry.build_pod_deleted(uid)

    def vanished(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Pods are gone, and their end was missed."""
        for uid in uids:
            with errors.of(uid, uid):
                self._registry.build_pod_deleted(uid)


class PodTarget:
    """Hears about pods of runs."""

    def __init__(self, registry: Registry) -> None:
        """Update this registry."""
        self._registry = registry

    def changed(self, raw: Mapping[str, Any]) -> None:
        """A pod as it is now."""
        self._registry.pod_changed(pod_facts(raw))

    listed = changed

    def deleted(self, uid: str, last: Mapping[str, Any]) -> None:
        """Record that a pod was deleted."""
        self.changed(last)  # exit codes come with it
        self._registry.pod_deleted(uid)

    def vanished(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Pods are gone, and their end was missed."""
        for uid in uids:
            with errors.of(uid, uid):
                self._registry.pod_deleted(uid)
