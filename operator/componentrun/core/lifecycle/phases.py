"""When the phases of an attempt began, and which of them are written to the status with the next change.

A write of a run costs the API server as much as a pod, so a phase that is shorter than `short_seconds` is not written
by itself. No phase is lost: the next write adds all phases since the last one. Their times are those that the kubelet
reported, so it makes no difference whether an operator saw the phase, or was restarted in between (decision 0077).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.componentrun import PhaseTime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRunStatus, Phase
    from componentrun.core.podstatus.facts import PodFacts

__all__ = ["ORDER", "SHORT_SECONDS", "deferred_until", "passed_unobserved", "phase_start", "short_seconds"]

SHORT_SECONDS: Final = 2.0
"""A phase that is shorter is written with the next one."""
_LONGEST_SHORT_SECONDS: Final = 10.0
_RUNS_PER_SECOND: Final = 50
"""For each so many runs in progress, the limit of a short phase grows by a second: their steps take longer."""
_WHOLE_SECOND: Final = timedelta(seconds=1)
"""The kubelet reports whole seconds, rounded down."""

ORDER: Final[tuple[Phase | None, ...]] = (
    None, "Suspended", "Queued", "Building", "Pending", "StagingIn", "Running", "StagingOut", "Publishing",
)  # fmt: skip
"""Phases in order. A run never moves back: an observation may be older than the status."""

_DEFERRED_AFTER: Final[frozenset[Phase | None]] = frozenset({"Pending", "StagingIn", "Running", "StagingOut"})
"""Recorded phases behind which a write may wait. A run leaves the queue at once."""


def short_seconds(runs: int) -> float:
    """Maximum duration of a short phase while this number of runs are in progress."""
    return min(SHORT_SECONDS + runs // _RUNS_PER_SECOND, _LONGEST_SHORT_SECONDS)


def phase_start(phases: Sequence[PhaseTime], pod: PodFacts, now: datetime) -> datetime:
    """The start time of the pod's current phase: as its kubelet reported, or now if that is not known.

    It is also now if the reported time is before the start of the previous phase: then the node's clock is behind.
    """
    reported, before = _reported_start(pod, pod.phase), _last_start(phases)
    if reported is None or (before is not None and reported + _WHOLE_SECOND <= before):
        return now
    return _in_order(reported, before, now)


def passed_unobserved(
    phases: Sequence[PhaseTime], recorded: Phase | None, pod: PodFacts, now: datetime
) -> list[PhaseTime]:
    """Phases between the recorded one and that of the pod. They began when the kubelet started their containers.

    Args:
        phases: the phases in the status.
        recorded: the phase in the status; not a terminal one.
        pod: the attempt's pod.
        now: the time.
    """
    passed: list[PhaseTime] = []
    for phase in ORDER[ORDER.index(recorded) + 1 : ORDER.index(pod.phase)]:
        reported = _reported_start(pod, phase)
        if reported is not None:
            start = _in_order(reported, _last_start([*phases, *passed]), now)
            passed.append(PhaseTime(phase=phase, start_time=start))
    return passed


def deferred_until(
    status: ComponentRunStatus, pod: PodFacts, now: datetime, short: float = SHORT_SECONDS
) -> datetime | None:
    """Until when the write of the pod's last step waits for the next one; None if it is written now.

    A step whose time is not in the past is written at once: the node's clock is ahead, so its age is not known.

    Args:
        status: the status as recorded.
        pod: the attempt's pod. A problem that it reports is not deferred; the caller decides that.
        now: the time.
        short: how many seconds a short phase may last.
    """
    last = max(_steps(pod), default=None)
    if status.phase not in _DEFERRED_AFTER or last is None or last >= now:
        return None
    until = last + _WHOLE_SECOND + timedelta(seconds=short)
    return until if now < until else None


def _reported_start(pod: PodFacts, phase: Phase | None) -> datetime | None:
    """When the phase began, as the kubelet reported it; None if it did not, or the phase does not begin on a node."""
    match phase:
        case "StagingIn":
            return pod.stage_in.started_at
        case "Running":
            return pod.programs_began_at
        case "StagingOut":
            return pod.component.finished_at
        case _:
            return None


def _steps(pod: PodFacts) -> Iterator[datetime]:
    """The times at which stage-in, the component and its processors started and ended, as far as they are known."""
    for container in (pod.stage_in, pod.component, *pod.view.steps):
        yield from (time for time in (container.started_at, container.finished_at) if time is not None)


def _in_order(start: datetime, before: datetime | None, now: datetime) -> datetime:
    """The start of a phase: not before that of the previous phase, and not after now."""
    start = min(start, now)
    return start if before is None else max(start, before)


def _last_start(phases: Sequence[PhaseTime]) -> datetime | None:
    return phases[-1].start_time if phases else None
