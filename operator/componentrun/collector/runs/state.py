"""The current state of one run and its pods. The registry changes it; worker and followers read it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from componentrun.collector.runs.facts import ContainerFacts, PodFacts, RunFacts

__all__ = ["RunState"]


class RunState:
    """One run and its pods.

    Attributes:
        run: the run as it was last seen.
        deleted: whether the run's object is deleted.
        pods: pods by uid as they were last seen, including deleted ones.
        gone: uids of deleted pods.
        news: is set with every change.
    """

    def __init__(self, run: RunFacts) -> None:
        """Start with a run that was just seen."""
        self.run = run
        self.deleted = False
        self.pods: dict[str, PodFacts] = {}
        self.gone: set[str] = set()
        self.news = asyncio.Event()
        self._over_since = time.monotonic() if run.ended else None

    @property
    def over(self) -> bool:
        """Whether the run has ended, or was deleted."""
        return self._over_since is not None

    @property
    def over_for(self) -> float | None:
        """Seconds since the run was seen to be over; None if it is not."""
        return None if self._over_since is None else time.monotonic() - self._over_since

    def run_changed(self, run: RunFacts) -> None:
        """Update the run."""
        self.run = run
        self._note_end(over=run.ended)

    def run_deleted(self) -> None:
        """Record that the run's object was deleted."""
        self.deleted = True
        self._note_end(over=True)

    def pod_changed(self, pod: PodFacts) -> None:
        """Update a pod."""
        self.pods[pod.uid] = pod
        self.news.set()

    def pod_deleted(self, uid: str) -> None:
        """Record that a pod was deleted."""
        self.gone.add(uid)
        self.news.set()

    def container(self, pod_uid: str, name: str) -> ContainerFacts | None:
        """A container as it was last seen."""
        return next((item for item in self.pods[pod_uid].containers if item.name == name), None)

    async def pause(self, seconds: float) -> None:
        """Wait, also if there is news: a failed request should not be retried for each of them."""
        await asyncio.sleep(seconds)

    def _note_end(self, *, over: bool) -> None:
        if over and self._over_since is None:
            self._over_since = time.monotonic()
        self.news.set()
