"""The log followers of one run: one for each started container, once the secrets of its pod are known.

A container is done when its follower has returned, which means that the log was read to its end. There are two
exceptions, both for containers that are not reported as terminated: a sidecar whose log was checked after the run's
end and had no further lines, and a container that is given up, for which an event says that lines may be missing.

A run that waits for a build follows the containers of its pod as well. Nothing of them is known to be secret: commands
have no login, and the parameters of runs are not part of a build. Well-known forms of secrets are redacted, and values
that the commands mask. Those are kept in memory only: there is no Secret of the run whose key could encrypt them.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from componentrun.collector.events.journal import container_key
from componentrun.collector.readers.api.follower import View
from componentrun.collector.readers.sink import ContainerSink
from componentrun.collector.runs.secret import SecretReader
from componentrun.core.redact.masks import Masks
from componentrun.core.redact.redactor import Redactor
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from componentrun.collector.readers.choice import LogFollower, ReaderChoice
    from componentrun.collector.readers.sink import Inbox
    from componentrun.collector.runs.facts import ContainerFacts, PodFacts
    from componentrun.collector.runs.state import RunState
    from componentrun.collector.settings import Settings

__all__ = ["RunFollowers"]

_QUIET: Final = 3.0
"""Seconds of silence after which the end of a sidecar's log is checked. A sidecar runs until its pod is
deleted, and the pod is deleted only after its lines were read."""
_SECRET_PATIENCE: Final = 20.0
"""Seconds after a run's end until lines are withheld because the Secret can't be read."""

_LOCKED: Final = (
    "the run asked to redact values before this collector was started, and they can be decrypted only with the Secret "
    "of an earlier pod, which is deleted"
)


_FORGOTTEN: Final = "a line of the build asked to redact a value before this collector was started"


class RunFollowers:
    """Starts followers, and knows when all logs were read.

    Attributes:
        redactor: redacts the secrets of the pod that was started last; empty before the first one.
    """

    def __init__(self, state: RunState, inbox: Inbox, readers: ReaderChoice, settings: Settings) -> None:
        """Follow the containers of this run."""
        self._state, self._inbox, self._reader_choice, self._settings = state, inbox, readers, settings
        self._readers: dict[str, SecretReader] = {}
        self._followers: dict[str, LogFollower] = {}
        self._sinks: dict[str, ContainerSink] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended_at: dict[str, float] = {}
        self._not_started: set[str] = set()
        """Uids of pods for whose component's start the collector has stopped waiting."""
        self._joined: set[str] = set()
        """Uids of pods that were added to the run's masks."""
        self._build_masks: dict[str, tuple[Redactor, Masks]] = {}
        """What is redacted in lines of builds, by the uid of the pod."""
        self._left: dict[str, frozenset[str]] = {}
        """Containers of pods of builds that go on without this run: those that had started."""
        self.redactor = Redactor()

    @property
    def has_ended_follower(self) -> bool:
        """Whether a terminated container is still being read, so that timeouts have to be checked."""
        return any(key in self._ended_at for key in self._followers)

    def has_tried_masks(self) -> bool:
        """Whether each Secret that may decrypt the masks of the checkpoint was read, or can't be read."""
        return not self._wait_for_others()

    @property
    def may_show_words(self) -> bool:
        """Whether all masks are known, so that what the status quotes of the component may be shown."""
        return not self._inbox.journal.masks.encrypted

    def follow(self) -> None:
        """Start followers of started containers, and note which ones have returned."""
        self._reap()
        for pod in list(self._state.pods.values()):
            for container in self._started(pod):
                key = container_key(pod.uid, container.name)
                if not self._inbox.journal.done(key):
                    self._follow_container(pod, container)
                if pod.build is not None and not self._inbox.journal.done(key):
                    break  # its steps run one after another, and their lines stay in this order

    def done(self) -> bool:
        """Whether everything that the run's pods printed was read. To be called when the run is over."""
        self.follow()
        return all(self.done_with(uid) for uid in self._state.pods)

    def done_with(self, pod_uid: str) -> bool:
        """Whether everything that this pod has printed was read, and none of its containers runs or may still start.

        An operator that ends a run before its component has started deletes the pod; the kubelet may be faster.
        """
        pod, journal = self._state.pods[pod_uid], self._inbox.journal
        if pod.may_start and pod_uid not in self._state.gone and pod_uid not in self._left:
            if not self._is_overdue(self._state.over_for):
                return False
            self._give_up_start(pod)
        return all(journal.done(container_key(pod.uid, item.name)) for item in self._started(pod))

    def leave(self, pod_uid: str) -> None:
        """Read no further lines of the pod of a build, which goes on for other runs after the end of this one."""
        pod = self._state.pods[pod_uid]
        if pod_uid in self._left:
            return
        self._left[pod_uid] = frozenset(item.name for item in pod.containers if item.started)
        for container in self._started(pod):
            key = container_key(pod_uid, container.name)
            if container.ended or self._inbox.journal.done(key):
                continue
            if key in self._followers:
                self._tasks.pop(key).cancel()
                del self._followers[key]
                self._finish(key)
            else:
                self._inbox.journal.finish_container(key)

    def _started(self, pod: PodFacts) -> list[ContainerFacts]:
        """The containers of a pod that have a log, as far as it is read."""
        return [item for item in pod.containers if item.started and item.name in self._left.get(pod.uid, {item.name})]

    def _give_up_start(self, pod: PodFacts) -> None:
        if pod.uid not in self._not_started:
            self._not_started.add(pod.uid)
            self._inbox.problem(
                f"start {pod.uid}",
                f"lines of pod `{pod.name}` may be missing: whether its component was started is not known",
            )

    async def stop(self) -> None:
        """Stop all followers."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def _reap(self) -> None:
        """Note followers that have returned. An exception of a task is a defect, and is raised."""
        for key in [key for key, task in self._tasks.items() if task.done()]:
            self._tasks.pop(key).result()
            if self._followers.pop(key, None) is not None:
                self._finish(key)

    def _follow_container(self, pod: PodFacts, container: ContainerFacts) -> None:
        key = container_key(pod.uid, container.name)
        follower = self._followers.get(key)
        if follower is not None:
            self._check(key, follower, pod, container)
            return
        if pod.build is not None:
            self._follow_build(key, pod, container)
            return
        reader = self._reader(pod)
        if reader.redactor is not None:
            self.redactor = reader.redactor
            self._join(pod, reader)
            waits = self._wait_for_others()
            if not self._inbox.journal.masks.encrypted:
                self._start(key, pod, container, reader.redactor)
            elif not waits:
                self._withhold(key, pod, container, _LOCKED)
        elif reader.given_up:
            self._withhold(key, pod, container, reader.given_up)

    def _follow_build(self, key: str, pod: PodFacts, container: ContainerFacts) -> None:
        if pod.uid not in self._build_masks:
            if pod.uid in self._inbox.journal.builds.masked:
                self._withhold(key, pod, container, _FORGOTTEN)
                return
            redactor, masks = Redactor(), Masks()
            masks.add_pod(pod.uid, b"", redactor)
            self._build_masks[pod.uid] = redactor, masks
        self._start(key, pod, container, *self._build_masks[pod.uid])

    def _join(self, pod: PodFacts, reader: SecretReader) -> None:
        if pod.uid not in self._joined and reader.redactor is not None:
            self._joined.add(pod.uid)
            self.redactor = reader.redactor
            self._inbox.journal.masks.add_pod(pod.uid, reader.key, reader.redactor)

    def _wait_for_others(self) -> bool:
        """Whether the Secret of another pod is being read that may decrypt the masks of the checkpoint."""
        waits = False
        for uid in list(self._inbox.journal.masks.encrypted):
            pod = self._state.pods.get(uid)
            if pod is not None and uid not in self._joined:
                reader = self._reader(pod)
                self._join(pod, reader)
                waits = waits or not (reader.redactor or reader.given_up)
        return waits

    def _reader(self, pod: PodFacts) -> SecretReader:
        if pod.uid not in self._readers:

            def hopeless() -> bool:
                return pod.uid in self._state.gone or (self._state.over_for or 0.0) > _SECRET_PATIENCE

            reader = SecretReader(self._reader_choice.kube, pod, hopeless=hopeless)
            self._readers[pod.uid] = reader
            self._spawn(f"secret {pod.uid}", reader.run())
        return self._readers[pod.uid]

    def _start(
        self, key: str, pod: PodFacts, container: ContainerFacts, redactor: Redactor, masks: Masks | None = None
    ) -> None:
        sink = ContainerSink(self._inbox, pod, container.name, redactor, masks)
        follower = self._reader_choice.follower(
            pod, container, lambda: self._view(pod.uid, container.name, follower), sink, self._inbox
        )
        self._followers[key], self._sinks[key] = follower, sink
        self._spawn(key, follower.run())

    def _spawn(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"{self._state.run.namespace}/{self._state.run.name} {key}")
        task.add_done_callback(lambda _: self._state.news.set())
        self._tasks[key] = task

    def _view(self, pod_uid: str, name: str, follower: LogFollower) -> View:
        container = self._state.container(pod_uid, name)
        over_for = self._state.over_for
        silent = time.monotonic() - follower.heard
        return View(
            ended=container is not None and container.ended,
            gone=pod_uid in self._state.gone,
            never_ran=container is not None and container.never_ran,
            restarts=0 if container is None else container.restarts,
            overdue=over_for is not None and self._is_overdue(min(over_for, silent)),
        )

    def _is_overdue(self, seconds: float | None) -> bool:
        return seconds is not None and seconds > self._settings.drain_seconds

    def _check(self, key: str, follower: LogFollower, pod: PodFacts, container: ContainerFacts) -> None:
        if container.ended or pod.uid in self._state.gone:
            ended_at = self._ended_at.setdefault(key, time.monotonic())
            follower.nudge()
            follower.tick(time.monotonic() - ended_at)
            return
        why = self._why_missing(follower, pod)
        if why:
            self._inbox.problem(f"node {key}", f"lines of container `{container.name}` may be missing: {why}")
        if why or self._outlasts(follower, pod, container):
            self._tasks.pop(key).cancel()
            del self._followers[key]
            self._finish(key)

    def _finish(self, key: str) -> None:
        """Note that a container was read as far as possible."""
        self._sinks.pop(key).settle()
        self._inbox.journal.finish_container(key)

    def _is_quiet(self, follower: LogFollower, pod: PodFacts) -> bool:
        """Whether nothing has arrived since the run's end, and everything that arrived was processed."""
        quiet = min(self._state.over_for or 0.0, time.monotonic() - follower.heard)
        return quiet > _QUIET and follower.open and not pod.deleting

    def _outlasts(self, follower: LogFollower, pod: PodFacts, container: ContainerFacts) -> bool:
        """Whether a sidecar still runs after the run's end, and its log was read completely."""
        over_for = self._state.over_for
        if over_for is None or not container.sidecar or not self._is_quiet(follower, pod):
            return False
        return follower.has_read_all(time.monotonic() - over_for)

    def _why_missing(self, follower: LogFollower, pod: PodFacts) -> str:
        """Why the collector stops waiting for a container that has not ended; empty if it still waits."""
        if not self._is_quiet(follower, pod):
            return ""
        if self._state.run.status.reason == Reason.NODE_LOST:
            return "its node does not answer"
        if self._is_overdue(min(self._state.over_for or 0.0, time.monotonic() - follower.heard)):
            return "it is not known to have ended, though the run has"
        return ""

    def _withhold(self, key: str, pod: PodFacts, container: ContainerFacts, why: str) -> None:
        self._inbox.problem(
            f"withheld {key}",
            f"the lines of container `{container.name}` of pod `{pod.name}` are withheld: the secret values to redact "
            f"are not known ({why})",
        )
        self._inbox.journal.finish_container(key)
