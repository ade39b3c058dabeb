"""What is known of one run and its pods now; shared by those who work on it, changed by the registry only."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from componentrun.collector.runs.facts import ContainerFacts, PodFacts, RunFacts

__all__ = ["RunState"]


class RunState:
    """One run, its pods, and since when it is over.

    Attributes:
        run: as it was seen last.
        deleted: the run's object is gone.
        pods: pods by uid, also those that are gone, as they were seen last.
        gone: uids of pods that are deleted.
        news: set with every change.
    """

    def __init__(self, run: RunFacts) -> None:
        """Begin with a run that was just seen."""
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
        """Seconds since it was seen that the run is over; None: it isn't."""
        return None if self._over_since is None else time.monotonic() - self._over_since

    def run_changed(self, run: RunFacts) -> None:
        """The run as it is now."""
        self.run = run
        self._note_end(over=run.ended)

    def run_deleted(self) -> None:
        """The run's object is gone."""
        self.deleted = True
        self._note_end(over=True)

    def pod_changed(self, pod: PodFacts) -> None:
        """A pod as it is now."""
        self.pods[pod.uid] = pod
        self.news.set()

    def pod_deleted(self, uid: str) -> None:
        """A pod is gone."""
        self.gone.add(uid)
        self.news.set()

    def container(self, pod_uid: str, name: str) -> ContainerFacts | None:
        """A container as it was seen last."""
        return next((item for item in self.pods[pod_uid].containers if item.name == name), None)

    async def pause(self, seconds: float) -> None:
        """Wait. Not shortened by news: what failed should not be tried again for each of them."""
        await asyncio.sleep(seconds)

    def _note_end(self, *, over: bool) -> None:
        if over and self._over_since is None:
            self._over_since = time.monotonic()
        self.news.set()
