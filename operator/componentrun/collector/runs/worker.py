"""Collects the events of one run, from its life cycle and from the logs of its pods, into segments.

One task writes, and one follows each container. Memory is bounded: one segment that is being written, one that is being
filled, and the buffers of open connections. Reading a container that prints faster is paused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.collector.events.budget import MemoryBudget
from componentrun.collector.events.merger import MergeGate
from componentrun.collector.events.writer import EventWriter, UndeliverableError
from componentrun.collector.readers.api.end import Pace
from componentrun.collector.readers.choice import ReaderChoice
from componentrun.collector.readers.sink import Inbox
from componentrun.collector.runs import lifecycle, report
from componentrun.collector.runs.builds import BuildsOfRun
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.followers import RunFollowers
from componentrun.collector.runs.podphases import with_pod_phases
from componentrun.core.lifecycle.lastwords import failed_container, needs_last_words
from componentrun.process.kubernetes.errors import KubeError, NotFoundError
from componentrun.process.kubernetes.resources import PODS, RUNS
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from componentrun.api.componentrun import Attempt
    from componentrun.collector.events.journal import Journal
    from componentrun.collector.events.stores import Stores
    from componentrun.collector.metrics import Metrics
    from componentrun.collector.readers.node.servers import NodeLogs
    from componentrun.collector.runs.state import RunState
    from componentrun.collector.settings import Settings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Services", "Worker"]

log = logging.getLogger(__name__)

_LINGER: Final = 0.2
"""Seconds that the first event after a silence waits for further ones."""
_PAUSE: Final = 0.1
"""Seconds of silence after which no line joins the previous one."""
_TICK: Final = 1.0
_REPORT_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_STOP_SECONDS: Final = 5.0
"""Seconds for the last segment after SIGTERM."""
_MESSAGE_LIMIT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Services:
    """What all workers share."""

    kube: Kube
    stores: Stores
    metrics: Metrics
    settings: Settings
    nodes: NodeLogs | None = None
    """The log servers of the nodes; None if logs are read over the Kubernetes API."""
    memory: MemoryBudget = field(default_factory=MemoryBudget)
    """Memory for the events of all runs that are pending, or not merged yet."""
    merging: MergeGate = field(default_factory=MergeGate)
    """Limits how many runs are merged at the same time."""
    pace: Pace = field(default_factory=Pace)
    """Limits how often silent logs are checked."""


class Worker:
    """Collects the events of one run until all of them are in Storage."""

    def __init__(self, state: RunState, services: Services) -> None:
        """Collect for the run with this state, which the registry keeps up to date."""
        self._state, self._services = state, services
        self._log = RunLogger(log, state.run.namespace, state.run.name)
        self._writer = EventWriter(
            state,
            services.stores,
            services.metrics,
            self._log,
            services.settings.limits,
            services.merging,
            services.memory,
        )
        self._looked_for: set[str] = set()
        """Uids of pods that do not exist."""
        self._seen_late: set[str] = set()
        """Uids of pods that were read by name after their attempt had ended, as the watch may be behind."""
        self._written_at = 0.0
        self._count = 0
        """Events in Storage."""
        self._reported = run_events.attempts if (run_events := state.run.status.events) is not None else 0
        """Number of the last attempt whose events are reported as stored."""
        self._builds = BuildsOfRun(state, services.kube, services.settings, self._log)
        self._stopping = False

    def stop(self) -> None:
        """Write what is pending and return, although the run continues."""
        self._stopping = True
        self._state.news.set()

    async def work(self) -> None:
        """Collect everything, then report in the run's status that it is delivered.

        Raises:
            SupersededError: another collector works on the run; start again.
        """
        try:
            journal = await self._writer.journal()
            self._count = journal.next_seq - 1
            inbox = Inbox(journal, self._state.news, self._services.metrics, self._services.memory)
            readers = ReaderChoice(self._services.kube, self._services.nodes, self._services.pace)
            followers = RunFollowers(self._state, inbox, readers, self._services.settings)
            try:
                await self._collect(journal, inbox, followers)
            finally:
                await self._writer.stop()
                await followers.stop()
                inbox.close()
        except UndeliverableError as error:
            level = logging.WARNING if self._state.deleted else logging.ERROR
            self._log.log(level, "the events can't be delivered: %s", error.message)
            await self._report(self._count, f"events were not written: {error.message}")

    async def _collect(self, journal: Journal, inbox: Inbox, followers: RunFollowers) -> None:
        while True:
            self._state.news.clear()
            if not await self._knows_masks(inbox, followers):
                if self._stopping:
                    return
                await self._wait(_TICK)
                continue
            self._add_lifecycle_events(inbox, followers)
            followers.follow()
            if self._state.over and not journal.finished and await self._all_in(inbox, followers):
                self._add_result(inbox, followers)
            if self._stopping:
                await self._write_rest(inbox, followers)
                return
            if not inbox.waiting and not self._state.over:
                await self._report_attempts(inbox, followers)
                await self._builds.report(self._count, inbox, followers)
            if inbox.waiting and time.monotonic() >= self._due_at(inbox):
                inbox.settle(quiet_for=_PAUSE)
                await (self._wait(_PAUSE) if journal.empty else self._write(inbox))
            elif journal.finished and journal.empty and await self._all_in(inbox, followers):
                problems = [*journal.problems, await self._writer.close()]
                await self._report(self._count, "; ".join(filter(None, problems)), self._missing_last_words(journal))
                return
            else:
                await self._wait(self._next_look(inbox, followers))

    def _due_at(self, inbox: Inbox) -> float:
        """Time by `time.monotonic` at which the next segment is due."""
        if inbox.journal.full or inbox.journal.finished:
            return 0.0
        return max(inbox.first_at + _LINGER, self._written_at + self._services.settings.collector_segment_seconds)

    def _next_look(self, inbox: Inbox, followers: RunFollowers) -> float | None:
        """Longest time to wait for news, in seconds; None if nothing is due."""
        pauses = []
        if inbox.waiting:
            pauses.append(max(self._due_at(inbox) - time.monotonic(), 0.0))
        if self._state.over or followers.has_ended_follower or self._unreported() or self._builds.is_unreported:
            pauses.append(_TICK)
        return min(pauses, default=None)

    async def _wait(self, seconds: float | None) -> None:
        """Wait for news, at most for this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._state.news.wait()
        except TimeoutError:
            return

    async def _write(self, inbox: Inbox) -> None:
        segment = inbox.journal.take_segment()
        inbox.emptied()
        await self._writer.write(segment)
        self._count = segment.last_seq
        self._written_at = time.monotonic()

    async def _write_rest(self, inbox: Inbox, followers: RunFollowers) -> None:
        """Write what was read before the process ends. The next collector reads again what can't be written."""
        await followers.stop()
        if inbox.journal.empty:
            return
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._write(inbox)
        except TimeoutError:
            self._log.warning("the last segment could not be written in time; its lines will be read again")

    async def _knows_masks(self, inbox: Inbox, followers: RunFollowers) -> bool:
        """Whether the masked values of the checkpoint are known, or can't become known any more.

        No event is added before that, as the status may quote the component as well.
        """
        encrypted = inbox.journal.masks.encrypted
        for attempt in self._state.run.status.attempts if encrypted else ():
            is_missing = attempt.pod_uid in encrypted and attempt.pod_uid not in self._state.pods
            if is_missing and not await self._known(attempt, inbox):
                return False
        return not encrypted or followers.has_tried_masks()

    def _add_lifecycle_events(self, inbox: Inbox, followers: RunFollowers) -> None:
        """Add life-cycle events that were not added yet."""
        run = with_pod_phases(self._state.run, self._state.pods, self._services.kube.clock.now())
        for event in lifecycle.progress(run, with_words=followers.may_show_words):
            if inbox.journal.add_lifecycle(event, followers.redactor):
                inbox.added()

    def _unreported(self) -> list[Attempt]:
        """Replaced attempts whose events are not reported as stored yet."""
        return [item for item in lifecycle.replaced(self._state.run.status) if item.number > self._reported]

    async def _report_attempts(self, inbox: Inbox, followers: RunFollowers) -> None:
        """Report, in order, which pods of earlier attempts the operator may delete while the run continues."""
        reported = self._reported
        for attempt in self._unreported():
            if not await self._known(attempt, inbox) or inbox.waiting:
                break
            if attempt.pod_uid in self._state.pods and not followers.done_with(attempt.pod_uid):
                break
            reported = attempt.number
        if reported == self._reported:
            return
        run = self._state.run
        body = report.for_this(run, {"events": {"count": self._count, "attempts": reported}})
        try:
            await self._services.kube.patch(RUNS, run.namespace, run.name, body, "status")
        except KubeError as error:
            self._log.warning("can't report that an attempt's events are delivered: %s", error.message)
        else:
            self._reported = reported

    async def _known(self, attempt: Attempt, inbox: Inbox) -> bool:
        """Whether the pod of a finished attempt was seen after its end, or is known not to exist."""
        uid = attempt.pod_uid
        if uid and not self._is_known(uid):
            await self._look_for(attempt, inbox)
        return not uid or self._is_known(uid)

    def _is_known(self, uid: str) -> bool:
        pod = self._state.pods.get(uid)
        return uid in self._looked_for or uid in self._seen_late or (pod is not None and pod.ended)

    async def _all_in(self, inbox: Inbox, followers: RunFollowers) -> bool:
        """Whether everything that the pods of the run have printed is in the journal."""
        for attempt in self._state.run.status.attempts:
            if not await self._known(attempt, inbox):
                return False
        return await self._builds.known(inbox, followers) and followers.done()

    async def _look_for(self, attempt: Attempt, inbox: Inbox) -> None:
        """Read a pod by name that the watch has not reported, or not since it ended: the watch may be behind."""
        run, uid = self._state.run, str(attempt.pod_uid)
        try:
            raw = await self._services.kube.get(PODS, run.namespace, attempt.pod)
        except NotFoundError:
            raw = {}
        except KubeError as error:
            self._log.warning("can't look for pod %s: %s", attempt.pod, error.message)
            return
        if raw and raw["metadata"]["uid"] == uid:
            self._state.pod_changed(pod_facts(raw))
            self._seen_late.add(uid)
            return
        self._looked_for.add(uid)
        known = self._state.pods.get(uid)
        if known is not None and any(c.started for c in known.containers if names.is_step(c.name)):
            return  # the follower of its log reports what is missing
        if attempt.node and not inbox.journal.has_done(uid):
            inbox.problem(
                f"pod {uid}", f"lines of pod `{attempt.pod}` may be missing: it was deleted before its logs were read"
            )

    def _add_result(self, inbox: Inbox, followers: RunFollowers) -> None:
        run = self._state.run
        event = lifecycle.result(run, with_words=followers.may_show_words) if run.ended else lifecycle.vanished(run)
        inbox.journal.finish(event, followers.redactor)
        inbox.added()

    def _missing_last_words(self, journal: Journal) -> str | None:
        """The component's last words if the run's status should have some and has none."""
        status = self._state.run.status
        if not status.attempts or not needs_last_words(status):
            return None
        return journal.last_words(status.attempts[-1].pod_uid, failed_container(status))

    async def _report(self, count: int, message: str, words: str | None = None) -> None:
        """Report to the operator that the events are stored, so that it may delete the pod."""
        pause = _REPORT_PAUSE
        shown = message if len(message) <= _MESSAGE_LIMIT else message[:_MESSAGE_LIMIT] + "..."
        while not self._state.deleted:
            run = self._state.run  # as it is now: the patch may have been for an older one
            body = report.delivered(run, count, shown, words, self._services.kube.clock.now())
            try:
                await self._services.kube.patch(RUNS, run.namespace, run.name, body, "status")
            except NotFoundError:
                return
            except KubeError as error:
                self._log.warning("can't report that the events are delivered, retrying: %s", error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._log.info("delivered %d events%s", count, f", but {shown}" if shown else "")
                return
