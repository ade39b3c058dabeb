"""The next ComponentRunStatus. Pure; `status.events` belongs to the collector and is only ever copied.

Every function takes the observed run and returns its next status. If nothing changes, it is equal to the old one, and
nothing is written. A terminal phase is never left: once there, only `events_delivered`, `events_late` and
`events_given_up` change anything. Other modules with parts of it: `publishing`, `ending`, `delivery`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api import names
from componentrun.api.componentrun import Attempt, QueueStatus
from componentrun.core.lifecycle import conditions, phases
from componentrun.core.lifecycle.actions import KubernetesEvent
from componentrun.core.lifecycle.delivery import events_delivered, events_given_up, events_late
from componentrun.core.lifecycle.ending import TERMINAL, finished, is_terminal, seen_again, start_failed
from componentrun.core.lifecycle.phases import ORDER, phase_start
from componentrun.core.lifecycle.publishing import (
    nothing_to_publish,
    publish_failed,
    publish_uncertain,
    published,
    publishing,
    publishing_again,
    publishing_began,
    refused,
)
from componentrun.core.lifecycle.steps import sentence, with_phase, with_phase_and_reason, with_reason
from componentrun.core.lifecycle.stepstatus import observed_steps, planned_steps, step_message
from componentrun.core.podstatus.results import counted, excerpt, shortened
from componentrun.core.request.files import files_status
from componentrun.errors import Reason, without_advice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.componentrun import (
        ComponentRun,
        ComponentRunStatus,
        Phase,
        RunBuild,
        TableStatus,
        Termination,
    )
    from componentrun.api.mapping.files import FileStatus
    from componentrun.core.podstatus.facts import PodFacts
    from componentrun.core.podstatus.view import PodView
    from componentrun.core.request.resolve import EffectiveRun
    from componentrun.errors import TransientError

__all__ = [
    "TERMINAL",
    "accepted",
    "adopted",
    "attempt_started",
    "building",
    "deferred_until",
    "events_delivered",
    "events_given_up",
    "events_late",
    "finished",
    "held_up",
    "is_terminal",
    "lifecycle_event",
    "nothing_to_publish",
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

_SENTENCES: Final[dict[Phase, str]] = {
    "Pending": "The pod waits for a node, a volume or an image.",
    "StagingIn": "Input is being brought into the data folder.",
    "Running": "The component runs.",
    "StagingOut": "The component has ended; its output is being uploaded.",
}


def worth_a_write(before: ComponentRunStatus, after: ComponentRunStatus) -> bool:
    """Whether the change is worth a write. A node or an image's digest alone is written with the next change."""
    if before == after:
        return False
    if len(before.attempts) != len(after.attempts):
        return True
    attempts = tuple(
        new if old.node else new.model_copy(update={"node": None})
        for old, new in zip(before.attempts, after.attempts, strict=True)
    )
    return after.model_copy(update={"attempts": attempts, "image_digest": before.image_digest}) != before


def without_events(status: ComponentRunStatus) -> dict[str, Any]:
    """The status document to write: camelCase JSON, all but `events`."""
    document = status.to_dict()
    document.pop("events", None)
    return document


def suspended(run: ComponentRun, now: datetime) -> ComponentRunStatus:
    """The status of a run that `spec.suspend` holds back."""
    message = "The run is held back; it starts when `spec.suspend` is set to false."
    return with_phase_and_reason(run, "Suspended", Reason.SUSPENDED, message, now=now)


def building(run: ComponentRun, build: RunBuild, message: str, now: datetime) -> ComponentRunStatus:
    """The status of a run whose image is being built."""
    status = with_phase_and_reason(run, "Building", Reason.BUILDING, message, now=now)
    return status.model_copy(update={"build": build})


def attempt_started(
    run: ComponentRun,
    effective: EffectiveRun,
    *,
    number: int,
    pod_uid: str,
    gates: Sequence[str] = (),
    input_tables: Sequence[TableStatus],
    input_files: Sequence[FileStatus] = (),
    warnings: Sequence[str] = (),
    now: datetime,
) -> ComponentRunStatus:
    """The status once the attempt's pod exists: phase Pending. Calling it again for the same attempt changes nothing.

    Args:
        run: the run as observed.
        effective: what was resolved for it.
        number: of the attempt, 1 for the first.
        pod_uid: of the pod that was created, or found there.
        gates: names of the pod's scheduling gates: while it has any, the run is still Queued.
        input_tables: what goes in, with rows and bytes where known.
        input_files: what goes in, too.
        warnings: warnings about its Storage.
        now: the time.
    """
    if any(attempt.number == number for attempt in run.status.attempts):
        return run.status
    name = names.pod_name(run.metadata.name, number)
    status = _with_attempt(run, number, name, pod_uid, now, gates)
    return status.model_copy(
        update={
            "image": effective.image,
            "image_resolution": effective.image_resolution,
            "steps": planned_steps(effective),
            "storage": effective.storage,
            "input_tables": tuple(input_tables),
            "input_files": files_status(input_files),
            "warnings": tuple(dict.fromkeys((*(status.warnings or ()), *warnings))) or None,
            "retry": effective.retry,
        }
    )


def accepted(run: ComponentRun, now: datetime) -> ComponentRunStatus:
    """The status of a run that this release understands and another one did not."""
    message = "This release of the operator understands the run."
    accepted_conditions = conditions.with_condition(
        run.status.conditions, conditions.ACCEPTED, "True", conditions.ACCEPTED, message,
        generation=run.metadata.generation, now=now,
    )  # fmt: skip
    return run.status.model_copy(update={"conditions": accepted_conditions})


def held_up(run: ComponentRun, error: TransientError, now: datetime) -> ComponentRunStatus:
    """The status while the attempt's Secret can't be created; it is retried for as long as the pod may wait."""
    phase: Phase = run.status.phase or "Pending"
    summary = f"The pod waits for its Secret, which can't be created yet: {sentence(error.summary)}"
    return with_phase_and_reason(run, phase, Reason(phase), summary, now=now, advice=error.advice)


def adopted(run: ComponentRun, pod: PodView, now: datetime) -> ComponentRunStatus:
    """The status with a pod that was not recorded, because its operator died before it wrote the status."""
    return _with_attempt(run, max(pod.attempt, 1), pod.name, pod.uid, now, pod.gates)


def _with_attempt(
    run: ComponentRun, number: int, pod: str, pod_uid: str, now: datetime, gates: Sequence[str]
) -> ComponentRunStatus:
    phase: Phase = "Queued" if gates else "Pending"
    attempt = Attempt(number=number, pod=pod, pod_uid=pod_uid, start_time=now)
    # No other event reports the gates: the pod does not change until one of them is removed.
    message = _gated(gates) if gates else _SENTENCES[phase]
    status = with_phase_and_reason(run, phase, Reason(phase), message, now=now)
    update: dict[str, Any] = {
        "attempts": (*status.attempts, attempt),
        "start_time": status.start_time or now,
        "next_attempt_time": None,
    }
    if phase == "Queued":
        update["queue"] = QueueStatus(waiting_for="SchedulingGates", updated=now)
    return status.model_copy(update=update)


def observed_phase(run: ComponentRun, pod: PodFacts, now: datetime) -> ComponentRunStatus:
    """The status with the phase that the pod shows, its node, image, and whether the input is staged.

    It has all phases that the attempt has passed, observed or not, with the times that the kubelet reported.
    """
    phase = pod.phase
    run = _with_phases(run, pod, now)
    message = _gated(pod.view.gates) if phase == "Queued" else _SENTENCES[phase]
    if phase == "Pending" and pod.view.unschedulable:
        message = f"No node takes the pod yet: {excerpt(pod.view.unschedulable)}."
    elif (phase in {"Pending", "StagingIn"} or pod.gap_began_at is not None) and (held := _held(pod)):
        message = f"The pod is held up: {held}."
    elif phase == "Running":
        message = step_message(pod) or message
    elif phase == "StagingIn" and pod.stage_in.has_ended:
        message = "The input is in; the component waits for its image, or to be started."
    if is_terminal(run.status) or _is_behind(pod, run.status):
        status = run.status
    elif run.status.termination is not None:
        # The condition keeps the decision to stop, whatever the pod does meanwhile.
        status = with_phase(run.status, phase, phase_start(run.status.phases, pod, now))
    else:
        status = with_phase(run.status, phase, phase_start(run.status.phases, pod, now))
        status = with_reason(status, run, Reason(phase), message, now)
    return _with_facts(status, run, pod, now)


def deferred_until(run: ComponentRun, pod: PodFacts, now: datetime, short: float) -> datetime | None:
    """Until when the write of `observed_phase` waits for the next change; None if it is written now.

    What keeps a pod from starting is written at once. A phase is short if it lasts less than `short` seconds.
    """
    is_held_up = bool(pod.view.unschedulable) or (pod.component.is_waiting and bool(_held(pod)))
    return None if is_held_up else phases.deferred_until(run.status, pod, now, short)


def _is_behind(pod: PodFacts, status: ComponentRunStatus) -> bool:
    """Whether the status has a later phase than the pod shows."""
    return ORDER.index(pod.phase) < ORDER.index(status.phase)


def _with_phases(run: ComponentRun, pod: PodFacts, now: datetime) -> ComponentRun:
    """The run with the phases that its pod has passed since the recorded one."""
    status = run.status
    if is_terminal(status) or not (passed := phases.passed_unobserved(status.phases, status.phase, pod, now)):
        return run
    return run.model_copy(update={"status": status.model_copy(update={"phases": (*status.phases, *passed)})})


def terminating(run: ComponentRun, termination: Termination) -> ComponentRunStatus:
    """The status with the decision to stop the run. It is written before the pod is deleted."""
    status = run.status.model_copy(update={"termination": termination})
    advice = termination.advice or ""
    summary = without_advice(termination.message, advice)
    return with_reason(status, run, Reason.TERMINATING, summary, termination.time, advice=advice)


def lifecycle_event(before: ComponentRunStatus, after: ComponentRunStatus) -> KubernetesEvent | None:
    """The Kubernetes Event about this change; None for most changes.

    An event is a write. It is sent only for changes that people should notice without looking at the run: another
    attempt, and an end that is not a plain success. The decision to stop a run has none, because the event about the
    end gives the reason (decision 0079).
    """
    if is_terminal(after) and not is_terminal(before):
        if after.result == "Success":
            return None
        message = "; ".join(after.warnings or ()) if after.result == "Warning" else after.message or ""
        kind: Literal["Normal", "Warning"] = "Normal" if after.phase == "Cancelled" else "Warning"
        return KubernetesEvent(kind, after.reason or Reason.INTERNAL, _short(message))
    if after.next_attempt_time is not None and before.next_attempt_time is None:
        return KubernetesEvent("Warning", Reason.RETRYING, _short(after.message or ""))
    return None


_MAX_EVENT: Final = 1024
"""Characters that an event's message may have (events.k8s.io)."""


def _short(message: str) -> str:
    return message if len(message) <= _MAX_EVENT else message[: _MAX_EVENT - 1] + "…"


def _gated(gates: Sequence[str]) -> str:
    return f"The pod waits for its scheduling gates to be taken away: {', '.join(f'`{gate}`' for gate in gates)}."


def _held(pod: PodFacts) -> str:
    """Why a container waits, if the kubelet gives a message."""
    for container in pod.waiting:
        if container.message:
            why = f", {container.reason}" if container.reason else ""
            return f"`{container.name}`{why}: {excerpt(container.message)}"
    return ""


def _with_facts(status: ComponentRunStatus, run: ComponentRun, pod: PodFacts, now: datetime) -> ComponentRunStatus:
    attempt = status.attempts[-1]
    update: dict[str, Any] = {}
    if pod.view.node and attempt.node != pod.view.node:
        update["attempts"] = (*status.attempts[:-1], attempt.model_copy(update={"node": pod.view.node}))
    if pod.view.main.image_id:
        update["image_digest"] = pod.view.main.image_id
    if status.steps is not None:
        update["steps"] = observed_steps(status.steps, pod)
    left = pod.view.stage_out_result
    if left is not None and left.said is not None:
        update["result_message"] = shortened(left.said)
    if pod.stage_in.has_ended and not pod.has_failed_stage_in:
        result = pod.view.stage_in_result
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
