"""The next ComponentRunStatus. Pure; `status.events` belongs to the collector and is only ever copied.

Every function takes the observed run and gives back its next status; where nothing changes it is equal to the old one,
so that nothing is written. A terminal phase is never left: once there, only `events_delivered`, `events_late` and
`events_given_up` change anything. How runs end is in `outcome.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api import names
from componentrun.api.componentrun import Attempt, PhaseTime, QueueStatus
from componentrun.core.lifecycle import conditions
from componentrun.core.lifecycle.actions import KubernetesEvent
from componentrun.core.lifecycle.ending import (
    TERMINAL,
    events_delivered,
    events_given_up,
    events_late,
    finished,
    is_terminal,
    publish_failed,
    publish_uncertain,
    published,
    publishing,
    publishing_again,
    publishing_began,
    refused,
    seen_again,
    start_failed,
)
from componentrun.core.lifecycle.steps import moved, said, with_phase
from componentrun.core.podstatus.facts import failed_stage_in
from componentrun.core.podstatus.results import counted, excerpt, shortened, stage_in_result, stage_out_result
from componentrun.core.request.files import files_status
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, Phase, TableStatus, Termination
    from componentrun.api.files import FileStatus
    from componentrun.core.lifecycle.observed import ContainerView, PodView
    from componentrun.core.request.resolve import EffectiveRun
    from componentrun.errors import TransientError

__all__ = [
    "TERMINAL",
    "accepted",
    "adopted",
    "attempt_started",
    "events_delivered",
    "events_given_up",
    "events_late",
    "finished",
    "held_up",
    "is_terminal",
    "lifecycle_event",
    "observed_phase",
    "publish_failed",
    "publish_uncertain",
    "published",
    "publishing",
    "publishing_again",
    "publishing_began",
    "refused",
    "seen_again",
    "start_failed",
    "suspended",
    "terminating",
    "without_events",
    "worth_a_write",
]

_ORDER: Final[tuple[Phase | None, ...]] = (
    None, "Suspended", "Queued", "Pending", "StagingIn", "Running", "StagingOut", "Publishing",
)  # fmt: skip
"""Phases on the way. A run only ever moves on in it: what is observed may be older than what is known."""

_SENTENCES: Final[dict[Phase, str]] = {
    "Pending": "The pod waits for a node, a volume or an image.",
    "StagingIn": "Input is being brought into the data folder.",
    "Running": "The component runs.",
    "StagingOut": "The component has ended; its output is being uploaded.",
}


def worth_a_write(before: ComponentRunStatus, after: ComponentRunStatus) -> bool:
    """Whether anything has changed that should be told now. Which node an attempt is on goes with the next change."""
    if before == after:
        return False
    if len(before.attempts) != len(after.attempts):
        return True
    attempts = tuple(
        new if old.node else new.model_copy(update={"node": None})
        for old, new in zip(before.attempts, after.attempts, strict=True)
    )
    return after.model_copy(update={"attempts": attempts}) != before


def without_events(status: ComponentRunStatus) -> dict[str, Any]:
    """The status document to write: camelCase JSON, all but `events`."""
    document = status.to_dict()
    document.pop("events", None)
    return document


def suspended(run: ComponentRun, now: datetime) -> ComponentRunStatus:
    """`spec.suspend` holds the run back."""
    message = "The run is held back; it starts when `spec.suspend` is taken away."
    return moved(run, "Suspended", Reason.SUSPENDED, message, now=now)


def attempt_started(
    run: ComponentRun,
    effective: EffectiveRun,
    *,
    number: int,
    pod_uid: str,
    gates: Sequence[str] = (),
    input_tables: Sequence[TableStatus],
    input_files: Sequence[FileStatus] = (),
    now: datetime,
) -> ComponentRunStatus:
    """The attempt's pod exists: phase Pending. Called again for the same attempt it changes nothing that is known.

    Args:
        run: the run as observed.
        effective: what was resolved for it.
        number: of the attempt, 1 for the first.
        pod_uid: of the pod that was created, or found there.
        gates: names of the pod's scheduling gates: while it has any, the run is still Queued.
        input_tables: what goes in, with rows and bytes where known.
        input_files: what goes in, too.
        now: the time.
    """
    if any(attempt.number == number for attempt in run.status.attempts):
        return run.status
    name = names.pod_name(run.metadata.name, number)
    status = _with_attempt(run, number, name, pod_uid, now, gates)
    return status.model_copy(
        update={
            "image": effective.image,
            "storage": effective.storage,
            "input_tables": tuple(input_tables),
            "input_files": files_status(input_files),
            "retry": effective.retry,
        }
    )


def accepted(run: ComponentRun, now: datetime) -> ComponentRunStatus:
    """An operator understands the run that another release did not."""
    message = "This release of the operator understands the run."
    told = conditions.with_condition(
        run.status.conditions, conditions.ACCEPTED, "True", conditions.ACCEPTED, message,
        generation=run.metadata.generation, now=now,
    )  # fmt: skip
    return run.status.model_copy(update={"conditions": told})


def held_up(run: ComponentRun, error: TransientError, now: datetime) -> ComponentRunStatus:
    """The attempt's pod can't be given its Secret yet; it is tried again for as long as the pod may wait."""
    phase: Phase = run.status.phase or "Pending"
    why = error.message.rstrip(".")
    return moved(run, phase, Reason(phase), f"The pod waits for its Secret, which can't be made yet: {why}.", now=now)


def adopted(run: ComponentRun, pod: PodView, now: datetime) -> ComponentRunStatus:
    """A pod of this run is (or was) there that the status does not know: its operator died before it wrote it down."""
    return _with_attempt(run, max(pod.attempt, 1), pod.name, pod.uid, now, pod.gates)


def _with_attempt(
    run: ComponentRun, number: int, pod: str, pod_uid: str, now: datetime, gates: Sequence[str]
) -> ComponentRunStatus:
    phase: Phase = "Queued" if gates else "Pending"
    attempt = Attempt(number=number, pod=pod, pod_uid=pod_uid, start_time=now)
    # No other event tells of the gates: the pod stays as it was made until somebody takes one away.
    message = _gated(gates) if gates else _SENTENCES[phase]
    status = moved(run, phase, Reason(phase), message, now=now)
    update: dict[str, Any] = {
        "attempts": (*status.attempts, attempt),
        "start_time": status.start_time or now,
        "next_attempt_time": None,
    }
    if phase == "Queued":
        update["queue"] = QueueStatus(waiting_for="SchedulingGates", updated=now)
    return status.model_copy(update=update)


def observed_phase(run: ComponentRun, pod: PodView, now: datetime) -> ComponentRunStatus:
    """The run's phase as its pod shows it, with what is known by then: node, image, whether the input is in."""
    phase = _phase_of(pod)
    run = _with_phases_gone_by(run, pod, phase, now)
    message = _gated(pod.gates) if phase == "Queued" else _SENTENCES[phase]
    if phase == "Pending" and pod.unschedulable:
        message = f"No node takes the pod yet: {excerpt(pod.unschedulable)}."
    elif phase in {"Pending", "StagingIn"} and (held := _held(pod)):
        message = f"The pod is held up: {held}."
    elif phase == "StagingIn" and pod.stage_in is not None and pod.stage_in.state == "terminated":
        message = "The input is in; the component waits for its image, or to be started."
    if is_terminal(run.status) or _ORDER.index(phase) < _ORDER.index(run.status.phase):
        status = run.status
    elif run.status.termination is not None:
        # The condition keeps saying that the run is being stopped, whatever the pod does meanwhile.
        status = with_phase(run.status, phase, now)
    else:
        status = moved(run, phase, Reason(phase), message, now=now)
    return _with_facts(status, run, pod, now)


def _with_phases_gone_by(run: ComponentRun, pod: PodView, phase: Phase, now: datetime) -> ComponentRun:
    """The run with the phases that were over before anybody looked, as the kubelet noted their containers' begins."""
    began: tuple[tuple[Phase, ContainerView | None], ...] = (("StagingIn", pod.stage_in), ("Running", pod.component))
    known, seen = _ORDER.index(run.status.phase) if not is_terminal(run.status) else len(_ORDER), _ORDER.index(phase)
    phases = run.status.phases
    for name, container in began:
        if container is None or container.started_at is None or not known < _ORDER.index(name) < seen:
            continue
        # The kubelet tells whole seconds, by the node's clock: no phase begins before the one before it, or after now.
        start = max([min(container.started_at, now), *(item.start_time for item in phases[-1:])])
        phases = (*phases, PhaseTime(phase=name, start_time=start))
    if phases == run.status.phases:
        return run
    return run.model_copy(update={"status": run.status.model_copy(update={"phases": phases})})


def terminating(run: ComponentRun, termination: Termination) -> ComponentRunStatus:
    """It was decided to stop the run. Written before anything is done about it."""
    status = run.status.model_copy(update={"termination": termination})
    return said(status, run, Reason.TERMINATING, termination.message, termination.time)


def lifecycle_event(before: ComponentRunStatus, after: ComponentRunStatus) -> KubernetesEvent | None:
    """What `kubectl describe` should tell about this change; None for most changes.

    An event is a write: of runs that end as they should there are many, and their status says it all.
    """
    if is_terminal(after) and not is_terminal(before):
        if after.result == "Success":
            return None
        message = "; ".join(after.warnings or ()) if after.result == "Warning" else after.message or ""
        kind: Literal["Normal", "Warning"] = "Normal" if after.phase == "Cancelled" else "Warning"
        return KubernetesEvent(kind, after.reason or Reason.INTERNAL, _short(message))
    if after.next_attempt_time is not None and before.next_attempt_time is None:
        return KubernetesEvent("Warning", Reason.RETRYING, _short(after.message or ""))
    if after.termination is not None and before.termination is None:
        kind = "Warning" if after.termination.reason == Reason.TIMEOUT else "Normal"
        return KubernetesEvent(kind, Reason.TERMINATING, _short(after.termination.message))
    return None


_MAX_EVENT: Final = 1024
"""Characters that an event's message may have (events.k8s.io)."""


def _short(message: str) -> str:
    return message if len(message) <= _MAX_EVENT else message[: _MAX_EVENT - 1] + "…"


def _gated(gates: Sequence[str]) -> str:
    return f"The pod waits for its scheduling gates to be taken away: {', '.join(f'`{gate}`' for gate in gates)}."


def _phase_of(pod: PodView) -> Phase:
    """Read from the containers: the pod's own phase says Running from stage-out's start to its end."""
    if pod.component is not None and pod.component.state == "terminated":
        return "StagingOut"
    if pod.component is not None and pod.component.state == "running":
        return "Running"
    if pod.stage_in is not None and pod.stage_in.state != "waiting":
        return "StagingIn"
    return "Queued" if pod.gates else "Pending"


def _held(pod: PodView) -> str:
    """What a container waits for, where it is more than its turn."""
    for container in (pod.stage_out, pod.stage_in, pod.component):
        if container is not None and container.state == "waiting" and container.message:
            why = f", {container.reason}" if container.reason else ""
            return f"`{container.name}`{why}: {excerpt(container.message)}"
    return ""


def _with_facts(status: ComponentRunStatus, run: ComponentRun, pod: PodView, now: datetime) -> ComponentRunStatus:
    attempt = status.attempts[-1]
    update: dict[str, Any] = {}
    if pod.node and attempt.node != pod.node:
        update["attempts"] = (*status.attempts[:-1], attempt.model_copy(update={"node": pod.node}))
    if pod.component is not None and pod.component.image_id:
        update["image_digest"] = pod.component.image_id
    left = stage_out_result(pod.stage_out)
    if left is not None and left.said is not None:
        update["result_message"] = shortened(left.said)
    if pod.stage_in is not None and pod.stage_in.state == "terminated" and not failed_stage_in(pod.stage_in):
        result = stage_in_result(pod.stage_in)
        message = "The input is in."
        if result:
            parts = [counted(result.tables, "table"), counted(result.rows, "row")]
            parts += [counted(result.files, "file")] if result.files else []
            message = ", ".join([*parts, counted(result.size, "byte")]) + "."
        update["conditions"] = conditions.with_condition(
            status.conditions, conditions.STAGED_IN, "True", conditions.STAGED_IN, message,
            generation=run.metadata.generation, now=now,
        )  # fmt: skip
    return status.model_copy(update=update)
