"""The builds that one run has waited for: whether all of their lines are in, and the report of it.

The watch gives a run the pods of its build while they are there. Before the run is reported, its build's pods are
listed once: the watch may be behind, or this collector may have been started after the end of the build. The operator
deletes the pod after the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.collector.runs import report
from componentrun.collector.runs.facts import build_pod_facts, has_waited_for
from componentrun.process.kubernetes.errors import KubeError, NotFoundError
from componentrun.process.kubernetes.resources import BUILDS, PODS, RUNS

if TYPE_CHECKING:
    from componentrun.collector.readers.sink import Inbox
    from componentrun.collector.runs.facts import PodFacts
    from componentrun.collector.runs.followers import RunFollowers
    from componentrun.collector.runs.state import RunState
    from componentrun.collector.settings import Settings
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.logs import RunLogger

__all__ = ["BuildsOfRun"]


class BuildsOfRun:
    """The builds of one run."""

    def __init__(self, state: RunState, kube: Kube, settings: Settings, log: RunLogger) -> None:
        """Ask for nothing yet."""
        self._state, self._kube, self._settings, self._log = state, kube, settings, log
        self._known: set[str] = set()
        """Names of the builds whose pods are all known."""
        events = state.run.status.events
        self._reported = set(() if events is None else events.builds)

    @property
    def _name(self) -> str | None:
        """Name of the build that the run waits for, or has waited for last. None: of none, or nothing is built."""
        build = self._state.run.status.build
        return None if build is None or self._settings.builds_namespace is None else build.name

    @property
    def _waits(self) -> bool:
        """Whether the run still waits for its build."""
        return self._state.run.status.phase == "Building" and not self._state.over

    @property
    def is_unreported(self) -> bool:
        """Whether the run has waited for a build that is not reported."""
        return self._name is not None and not self._waits and self._name not in self._reported

    async def known(self, inbox: Inbox, followers: RunFollowers) -> bool:
        """Whether all pods of the build are known that the run waited for last. It must not wait any more."""
        name = self._name
        if name is None or name in self._known | self._reported:
            return True
        try:
            found = await self._list(name)
            self._compare(name, found, followers)
            if not self._pods(name) and await self._had_pods(name):
                self._miss(name, inbox, "its pod was deleted before its log was read")
        except KubeError as error:
            self._log.warning("can't look for the pods of build %s: %s", name, error.message)
            if (self._state.over_for or 0.0) <= self._settings.drain_seconds:
                return False
            self._miss(name, inbox, error.message)
        self._known.add(name)
        return True

    async def report(self, count: int, inbox: Inbox, followers: RunFollowers) -> None:
        """Report which pods of builds the operator may delete while the run continues.

        Args:
            count: number of events in Storage.
            inbox: of the run; nothing may be pending in it.
            followers: of the run.
        """
        name = self._name
        if name is None or not self.is_unreported or not await self.known(inbox, followers):
            return
        followers.follow()  # what was listed may not be followed yet
        pods = [pod for pod in self._state.pods.values() if pod.build is not None]
        if inbox.waiting or not all(followers.done_with(pod.uid) for pod in pods):
            return
        run = self._state.run
        builds = sorted(self._reported | {pod.build[1] for pod in pods if pod.build is not None} | {name})
        body = report.for_this(run, {"events": {"count": count, "builds": builds}})
        try:
            await self._kube.patch(RUNS, run.namespace, run.name, body, "status")
        except KubeError as error:
            self._log.warning("can't report that the events of builds are delivered: %s", error.message)
        else:
            self._reported.update(builds)

    def _pods(self, name: str) -> list[PodFacts]:
        """The pods of a build that this run has waited for."""
        build = (self._state.run.namespace, name)
        return [pod for pod in self._state.pods.values() if pod.build == build]

    async def _list(self, name: str) -> dict[str, PodFacts]:
        """The pods of a build that exist, by uid."""
        selector = (
            f"{names.PODS_OF_BUILDS},{names.BUILD_LABEL}={name},"
            f"{names.BUILD_NAMESPACE_LABEL}={self._state.run.namespace}"
        )
        raw: list[dict[str, Any]] = []
        async for page in self._kube.pages(PODS, self._settings.builds_namespace, selector):
            raw += page.items
        return {pod.uid: pod for pod in map(build_pod_facts, raw)}

    def _compare(self, name: str, found: dict[str, PodFacts], followers: RunFollowers) -> None:
        """Update the run's pods of a build."""
        for pod in self._pods(name):
            if pod.uid not in found and pod.uid not in self._state.gone:
                self._state.pod_deleted(pod.uid)
        for uid, pod in found.items():
            if uid in self._state.pods or has_waited_for(self._state.run, pod):
                self._state.pod_changed(pod)
                if self._state.over and pod.may_start and not pod.deleting:
                    followers.leave(uid)  # it goes on for other runs

    async def _had_pods(self, name: str) -> bool:
        """Whether a pod was created for a build. It is not known of a build that was deleted."""
        try:
            build = await self._kube.get(BUILDS, self._state.run.namespace, name)
        except NotFoundError:
            return True
        return bool((build.get("status") or {}).get("attempts"))

    def _miss(self, name: str, inbox: Inbox, why: str) -> None:
        inbox.problem(f"build {name}", f"lines of build `{name}` may be missing: {why}")
