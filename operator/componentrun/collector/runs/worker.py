"""Collects the events of one run: from its life-cycle and from the logs of its pods, into segments.

One task writes, and one follows each container. What is held in memory is bounded: a segment that is being written,
one that fills meanwhile, and what each open connection buffers; a container that prints faster waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.collector.events.budget import MemoryBudget
from componentrun.collector.events.writer import EventWriter, UndeliverableError
from componentrun.collector.readers.api.end import Pace
from componentrun.collector.readers.choice import ReaderChoice
from componentrun.collector.readers.sink import Inbox
from componentrun.collector.runs import lifecycle, report
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.followers import RunFollowers
from componentrun.core.podstatus.lastwords import needs_last_words
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
"""Seconds that the first event after a silence waits for others."""
_PAUSE: Final = 0.1
"""Seconds of silence behind which no line joins the one before."""
_TICK: Final = 1.0
_REPORT_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_LAST_WORDS: Final = 5.0
"""Seconds for the last segment when the process is told to end."""
_MESSAGE_LIMIT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Services:
    """What all workers share."""

    kube: Kube
    stores: Stores
    metrics: Metrics
    settings: Settings
    nodes: NodeLogs | None = None
    """Where logs are read from the nodes' files."""
    shares: MemoryBudget = field(default_factory=MemoryBudget)
    """What the runs may hold in memory."""
    pace: Pace = field(default_factory=Pace)
    """When silent logs are looked at."""


class Worker:
    """Works on one run until all of its events are in Storage."""

    def __init__(self, state: RunState, services: Services) -> None:
        """Work on the run whose state this is; the registry keeps that up to date."""
        self._state, self._services = state, services
        self._log = RunLogger(log, state.run.namespace, state.run.name)
        self._writer = EventWriter(state, services.stores, services.metrics, self._log, services.settings.limits)
        self._looked_for: set[str] = set()
        """Uids of pods that are not there."""
        self._seen_late: set[str] = set()
        """Uids of pods that were read when their attempt had ended: a watch may have told less of them so far."""
        self._written_at = 0.0
        self._count = 0
        """Events in Storage."""
        self._reported = run_events.attempts if (run_events := state.run.status.events) is not None else 0
        """Attempts of which it was said that all is in Storage."""
        self._stopping = False

    def stop(self) -> None:
        """Write what is held and end, though the run goes on."""
        self._stopping = True
        self._state.news.set()

    async def work(self) -> None:
        """Collect everything, then say in the run's status that it is delivered.

        Raises:
            SupersededError: another collector works on the run; begin again.
        """
        try:
            journal = await self._writer.journal()
            self._count = journal.next_seq - 1
            inbox = Inbox(journal, self._state.news, self._services.metrics, self._services.shares)
            ways = ReaderChoice(self._services.kube, self._services.nodes, self._services.pace)
            followers = RunFollowers(self._state, inbox, ways, self._services.settings)
            try:
                await self._collect(journal, inbox, followers)
            finally:
                await followers.dismiss()
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
            self._tell(inbox, followers)
            followers.follow()
            if self._state.over and not journal.finished and await self._all_in(inbox, followers):
                self._tell_result(inbox, followers)
            if self._stopping:
                await self._last_words(inbox, followers)
                return
            if not inbox.waiting and not self._state.over:
                await self._report_attempts(inbox, followers)
            if inbox.waiting and time.monotonic() >= self._due_at(inbox):
                inbox.settle(quiet_for=_PAUSE)
                await (self._wait(_PAUSE) if journal.empty else self._write(inbox))
            elif journal.finished and journal.empty and await self._all_in(inbox, followers):
                problems = [*journal.problems, await self._writer.close()]
                await self._report(self._count, "; ".join(filter(None, problems)), self._words_lacking(journal))
                return
            else:
                await self._wait(self._next_look(inbox, followers))

    def _due_at(self, inbox: Inbox) -> float:
        """When the next segment is to be written."""
        if inbox.journal.full or inbox.journal.finished:
            return 0.0
        return max(inbox.first_at + _LINGER, self._written_at + self._services.settings.segment_seconds)

    def _next_look(self, inbox: Inbox, followers: RunFollowers) -> float | None:
        """Seconds to wait at most; None: nothing happens without news."""
        pauses = []
        if inbox.waiting:
            pauses.append(max(self._due_at(inbox) - time.monotonic(), 0.0))
        if self._state.over or followers.restless or self._unreported():
            pauses.append(_TICK)
        return min(pauses, default=None)

    async def _wait(self, seconds: float | None) -> None:
        """Until news, but no longer than this."""
        try:
            async with asyncio.timeout(seconds):
                await self._state.news.wait()
        except TimeoutError:
            return

    async def _write(self, inbox: Inbox) -> None:
        cut = inbox.journal.cut()
        inbox.emptied()
        await self._writer.write(cut)
        self._count = cut.last_seq
        self._written_at = time.monotonic()

    async def _last_words(self, inbox: Inbox, followers: RunFollowers) -> None:
        """The process ends: write what was read. What can't be written now is read again by the next collector."""
        await followers.dismiss()
        if inbox.journal.empty:
            return
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await self._write(inbox)
        except TimeoutError:
            self._log.warning("the last segment could not be written in time; its lines will be read again")

    async def _knows_masks(self, inbox: Inbox, followers: RunFollowers) -> bool:
        """Whether the masked values of the checkpoint are known, or it is certain that they never will be.

        Until then nothing becomes an event: the status quotes the component's words, too.
        """
        encrypted = inbox.journal.masks.encrypted
        for attempt in self._state.run.status.attempts if encrypted else ():
            is_missing = attempt.pod_uid in encrypted and attempt.pod_uid not in self._state.pods
            if is_missing and not await self._known(attempt, inbox):
                return False
        return not encrypted or followers.has_tried_masks()

    def _tell(self, inbox: Inbox, followers: RunFollowers) -> None:
        """Life-cycle events that were not told yet."""
        for told in lifecycle.progress(self._state.run, with_words=followers.may_show_words):
            if inbox.journal.told(told, followers.redactor):
                inbox.added()

    def _unreported(self) -> list[Attempt]:
        """Attempts that others follow, and of which it was not said yet that all is in Storage."""
        return [item for item in lifecycle.replaced(self._state.run.status) if item.number > self._reported]

    async def _report_attempts(self, inbox: Inbox, followers: RunFollowers) -> None:
        """Tell the operator which pods of earlier attempts can go, while the run goes on; in their order."""
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
            self._log.warning("can't say that an attempt's events are delivered: %s", error.message)
        else:
            self._reported = reported

    async def _known(self, attempt: Attempt, inbox: Inbox) -> bool:
        """Whether the pod of an attempt that has ended is known as it is since then, or is known to be gone."""
        uid = attempt.pod_uid
        if uid and not self._is_known(uid):
            await self._look_for(attempt, inbox)
        return not uid or self._is_known(uid)

    def _is_known(self, uid: str) -> bool:
        pod = self._state.pods.get(uid)
        return uid in self._looked_for or uid in self._seen_late or (pod is not None and pod.ended)

    async def _all_in(self, inbox: Inbox, followers: RunFollowers) -> bool:
        """Whether everything that any pod of the run has printed is in the journal."""
        for attempt in self._state.run.status.attempts:
            if not await self._known(attempt, inbox):
                return False
        return followers.done()

    async def _look_for(self, attempt: Attempt, inbox: Inbox) -> None:
        """A pod of which no watch has told, or not all: it is behind, or the pod was deleted while no collector ran."""
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
        if known is not None and any(c.started for c in known.containers if c.name == names.COMPONENT):
            return  # whoever reads its log says what is missing
        if attempt.node and not inbox.journal.has_done(uid):
            inbox.problem(
                f"pod {uid}", f"lines of pod `{attempt.pod}` may be missing: it was deleted before its logs were read"
            )

    def _tell_result(self, inbox: Inbox, followers: RunFollowers) -> None:
        run = self._state.run
        told = lifecycle.result(run, with_words=followers.may_show_words) if run.ended else lifecycle.vanished(run)
        inbox.journal.finish(told, followers.redactor)
        inbox.added()

    def _words_lacking(self, journal: Journal) -> str | None:
        """The component's last words, where the run's status should have some and has none."""
        status = self._state.run.status
        return journal.last_words(status.attempts[-1].pod_uid) if status.attempts and needs_last_words(status) else None

    async def _report(self, count: int, message: str, words: str | None = None) -> None:
        """Tell the operator, so that the pod can go."""
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
                self._log.warning("can't say that the events are delivered, trying again: %s", error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._log.info("delivered %d events%s", count, f", but {shown}" if shown else "")
                return
