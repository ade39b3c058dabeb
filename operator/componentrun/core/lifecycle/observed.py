"""The input of `core.lifecycle.plan`: what the reconciler has observed, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from componentrun.core.lifecycle.phases import SHORT_SECONDS
from componentrun.core.podstatus.facts import PodFacts, pod_facts
from componentrun.core.queue.admission import START, Turn

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun
    from componentrun.core.limits import Limits
    from componentrun.core.podstatus.view import PodView

__all__ = ["Observed"]


@dataclass(frozen=True)
class Observed:
    """One run, its current attempt's pod if there is one (or was, see `PodView.gone`), and the time."""

    run: ComponentRun
    pod: PodView | None
    now: datetime
    limits: Limits
    earlier: tuple[PodView, ...] = ()
    """Other existing pods of the run: those of earlier attempts."""
    turn: Turn = START
    """Whether a run that has not started may start, and whether another run takes its place."""
    granted: bool = True
    """Whether the pod's Secret is known to exist."""
    pod_was_read: bool = False
    """Whether the pod was just read from the API server by name, so that a missing pod does not exist."""
    over_unread_limit: frozenset[str] = frozenset()
    """Uids of finished, unread pods that exceed the limit of their node, because they ended first."""
    short_seconds: float = SHORT_SECONDS
    """A phase that lasts less is written with the next one, see `phases`."""
    acting_since: datetime | None = None
    """When this operator became active. The collector's time to read a log starts no earlier, because both may have
    been away. None if that was long ago."""

    @cached_property
    def facts(self) -> PodFacts | None:
        """What follows from the pod's status, sorted once for all rules of the plan; None without a pod."""
        return None if self.pod is None else pod_facts(self.pod, self.run.status, self.limits, self.now)

    @property
    def attempt_pod(self) -> PodFacts | None:
        """The pod of the last attempt; None if it is missing. Another pod of the same name is not it."""
        attempts = self.run.status.attempts
        belongs = self.pod is not None and bool(attempts) and self.pod.uid == attempts[-1].pod_uid
        return self.facts if belongs else None
