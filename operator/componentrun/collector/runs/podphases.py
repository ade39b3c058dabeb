"""Phases that a run's pod shows and that the operator has not written yet. Pure.

The operator writes a short phase together with the next one (decision 0077). Events of a run do not wait for that: they
would come after the lines that the component printed in the phase.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.api.componentrun import PhaseTime
from componentrun.core.lifecycle.phases import ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from componentrun.api.componentrun import Phase
    from componentrun.collector.runs.facts import PodFacts, RunFacts

__all__ = ["OF_THE_POD", "with_pod_phases"]

OF_THE_POD = ("StagingIn", "Running", "StagingOut")
"""Phases that begin on a node."""


def with_pod_phases(run: RunFacts, pods: Mapping[str, PodFacts], now: datetime) -> RunFacts:
    """The run with all phases that the pod of its last attempt has reached, and the image that it runs.

    Args:
        run: the run.
        pods: its pods by uid.
        now: the time.
    """
    status = run.status
    if run.ended or not status.attempts or status.next_attempt_time is not None:
        return run
    pod = pods.get(status.attempts[-1].pod_uid or "")
    if pod is None:
        return run
    phases = status.phases
    for phase, reported in _starts(pod):
        if ORDER.index(phase) > ORDER.index(status.phase):
            start = max([min(reported, now), *(item.start_time for item in phases[-1:])])
            phases = (*phases, PhaseTime(phase=phase, start_time=start))
    if phases == status.phases:
        return run
    image = next((item.image_id for item in pod.containers if item.name == names.COMPONENT and item.image_id), None)
    update = {"phases": phases, "image_digest": image or status.image_digest}
    return replace(run, status=status.model_copy(update=update))


def _starts(pod: PodFacts) -> Iterator[tuple[Phase, datetime]]:
    """The pod's phases in order, with the times that the kubelet reported."""
    found = {item.name: item for item in pod.containers if not item.never_ran}
    stage_in = found.get(names.STAGE_IN)
    steps = [item for item in pod.containers if names.is_step(item.name)]
    first = steps[0] if steps and steps[0].name in found else None
    if stage_in is not None and stage_in.started_at is not None:
        yield "StagingIn", stage_in.started_at
    if first is not None and first.started_at is not None:
        yield "Running", first.started_at
    last = next((item for item in steps if item.failed), steps[-1] if steps else None)
    if last is not None and last.name in found and last.finished_at is not None:
        yield "StagingOut", last.finished_at
