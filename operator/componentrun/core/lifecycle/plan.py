"""What to do about a run: a pure function of what was observed.

Level-triggered: it may be asked at any time, and its actions repeated. Rules that hold in every branch:

- a terminal phase is never left; if the run is being deleted, only its pods are deleted;
- a decision is in the status before anything is done about it: a termination before a deletion, phase Publishing
  (with the attempt's outcome) before publishing, the final status before the pod goes;
- nothing is published once `spec.cancel` was seen, unless phase Publishing was in the status before that. A run that
  leaves nothing to publish has no such phase: nothing is done about its success, and its final status, like any other,
  is refused by the API server if `spec.cancel` was set since it was read;
- a conclusion from a missing pod or an overdue event is drawn only after reading the pod by name (`certainty`);
- a pod gets its Secret, without which it can't start, only after the status records the pod. So a pod that is not
  recorded in the status cannot have run;
- there is one pod for an attempt. Whether another attempt follows is decided in `retry`, when the one before has ended;
- a short phase (two seconds, or up to ten if many runs are in progress) is written with the next one. No decision rests
  on a phase that an operator has seen and not written: what it means for a retry is in the pod's own state (`phases`);
- a run starts when the admission queue allows it (`core.queue.admission`); a replaced run ends like a cancelled one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.common import duration_seconds, duration_text
from componentrun.api.componentrun import Termination
from componentrun.contract import DEFAULT_TIMEOUT_SECONDS
from componentrun.core.lifecycle import conditions, retry, status
from componentrun.core.lifecycle.actions import (
    DeletePod,
    DeleteRun,
    GiveGrants,
    Plan,
    Publish,
    StartAttempt,
    WriteStatus,
)
from componentrun.core.lifecycle.certainty import pod_to_read
from componentrun.core.lifecycle.cleanup import (
    KILL_GRACE_SECONDS,
    dismiss,
    earliest,
    events_late_at,
    events_waited_for,
    is_over_unread_limit,
    kept_until,
    kill,
    leftovers,
    unread_pod,
)
from componentrun.core.podstatus.diagnosis import diagnose, not_taken_back, stopped
from componentrun.core.podstatus.results import capitalized
from componentrun.core.podstatus.stuck import next_look, stuck
from componentrun.core.podstatus.verdict import Diagnosis, verdict
from componentrun.core.queue import texts as queued
from componentrun.core.request.mapping import reads_adaptively
from componentrun.errors import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import Attempt, ComponentRun, ComponentRunStatus
    from componentrun.core.lifecycle.actions import Action
    from componentrun.core.lifecycle.observed import Observed
    from componentrun.core.podstatus.facts import PodFacts

__all__ = ["plan"]

FIRST_ATTEMPT: Final = 1
_UNSEEN_SECONDS: Final = 5
"""Interval for reading a pod that no watch reports."""


def plan(observed: Observed) -> Plan:
    """What to do now, and when to look again if nothing happens before."""
    if observed.run.metadata.deletion_timestamp is not None:
        pods = (*((observed.pod,) if observed.pod is not None else ()), *observed.earlier)
        return Plan(tuple(action for pod in pods for action in dismiss(pod, observed.limits)))
    refused = conditions.find(observed.run.status.conditions, conditions.ACCEPTED)
    if refused is not None and refused.status == "False" and not status.is_terminal(observed.run.status):
        # From now on, the run is queued again.
        return _write(observed, status.accepted(observed.run, observed.now), wake_at=observed.now)
    look = pod_to_read(observed)
    if look is not None:
        return Plan((look,), observed.now)
    # Removals come first, because a later action may have to be repeated.
    removals, look_again, unread_before = leftovers(observed)
    step = _next_step(observed)
    wake_at = earliest(step.wake_at, look_again, _labels_again(observed))
    return Plan((*removals, *step.actions), wake_at, (*unread_before, *step.unread_pods))


def _labels_again(o: Observed) -> datetime | None:
    """When to read a pod again whose labels could not be restored: no watch reports its changes."""
    is_unseen = o.pod is not None and o.pod.mislabelled and not o.pod.gone
    return o.now + timedelta(seconds=_UNSEEN_SECONDS) if is_unseen else None


def _next_step(observed: Observed) -> Plan:
    run = observed.run
    if status.is_terminal(run.status):
        return _after_the_end(observed)
    if not run.status.attempts:
        return _before_the_start(observed)
    if run.status.next_attempt_time is not None:
        return _between_attempts(observed, run.status.attempts[-1], run.status.next_attempt_time)
    if run.status.phase == "Publishing":
        return _publish(observed, run.status.attempts[-1])
    return _during_the_attempt(observed, run.status.attempts[-1])


def _during_the_attempt(o: Observed, attempt: Attempt) -> Plan:
    """An attempt is recorded. A pod that has ended by itself is not stopped any more."""
    pod = o.attempt_pod
    if pod is None:
        return _without_pod(o, attempt)
    if pod.has_finished:
        return _conclude(o, pod)
    if o.run.status.termination is not None:
        return _stop(o, pod)
    termination = _reason_to_stop(o, pod)
    if termination is not None:
        return _begin_to_stop(o, pod, termination)
    return _go_on(o, pod)


def _before_the_start(o: Observed) -> Plan:
    """No attempt is recorded. A pod may still exist if its operator died between creating it and writing the status."""
    if o.pod is not None and (o.pod.gone or o.run.spec.cancel):
        return _write(o, status.adopted(o.run, o.pod, o.now), wake_at=o.now)
    if o.pod is not None:
        return _start(o, max(o.pod.attempt, FIRST_ATTEMPT))
    if o.run.spec.cancel:
        message = "The run was cancelled before it started."
        return _write(o, status.finished(o.run, Diagnosis(Reason.CANCELLED, message), now=o.now))
    if o.run.spec.suspend:
        return _write(o, status.suspended(o.run, o.now))
    return _when_it_is_its_turn(o)


def _when_it_is_its_turn(o: Observed) -> Plan:
    """Start, wait, or make room for another run."""
    if o.turn.replaced_by is not None:
        return _write(o, status.finished(o.run, queued.replaced(o.turn), now=o.now))
    if o.turn.verdict == "forbidden":
        return _write(o, status.finished(o.run, queued.forbidden(o.turn), now=o.now))
    if o.turn.verdict == "wait":
        return _write(o, queued.queued(o.run, o.turn, o.now), wake_at=queued.look_again(o.run, o.turn, o.now))
    return _start(o, FIRST_ATTEMPT)


def _between_attempts(o: Observed, last: Attempt, begins: datetime) -> Plan:
    """An attempt has ended and another is to follow; its pod may be there, if its operator died."""
    pod = o.pod if o.pod is not None and o.pod.attempt > last.number else None
    if pod is not None and (pod.gone or o.run.spec.cancel):
        return _write(o, status.adopted(o.run, pod, o.now), wake_at=o.now)
    if pod is not None:
        return _start(o, pod.attempt)
    if o.run.spec.cancel:
        message = "The run was cancelled between two attempts; nothing was published."
        return _write(o, status.finished(o.run, Diagnosis(Reason.CANCELLED, message), now=o.now))
    if o.turn.replaced_by is not None:
        return _write(o, status.finished(o.run, queued.replaced(o.turn), now=o.now))
    look_again = retry.in_the_way(o.attempt_pod)
    if look_again is not None:
        return Plan(wake_at=look_again)
    return _start(o, last.number + 1) if o.now >= begins else Plan(wake_at=begins)


def _start(o: Observed, number: int) -> Plan:
    """Start the attempt. From then on, changes of the pod trigger plans; without any, it is overdue.

    If the pod already existed, it is read again, which triggers no event, so the next plan follows at once.
    """
    found = o.pod is not None and o.pod.attempt == number
    return Plan((StartAttempt(number),), o.now if found else o.now + timedelta(seconds=o.limits.pending))


def _without_pod(o: Observed, attempt: Attempt) -> Plan:
    """The attempt's pod is missing: it is too new for the watch, or it was deleted while no operator watched."""
    known_until = attempt.start_time + timedelta(seconds=o.limits.pod_missing)
    if o.now < known_until:
        return Plan(wake_at=known_until)
    if _is_cancelled(o):
        return _write(o, status.finished(o.run, _cancelled(o, "It was stopped before it was through"), now=o.now))
    if (termination := o.run.status.termination) is not None:
        return _end(o, None, stopped(termination))
    summary = (
        f"Pod `{attempt.pod}` was deleted while no operator was watching, so how it ended is not known. "
        "Nothing was published."
    )
    return _end(o, None, verdict(Reason.POD_DELETED, summary))


def _go_on(o: Observed, pod: PodFacts) -> Plan:
    """Let the phase follow the pod, or stop waiting for the component to start."""
    problem = None if pod.view.gates else stuck(pod)
    if problem is None and not o.granted and not pod.view.has_started:
        return Plan((GiveGrants(pod.view.attempt),), o.now)
    if pod.view.gates:
        return _write(o, status.observed_phase(o.run, pod, o.now))  # gates may stay for any time
    if problem is None:
        return _follow(o, pod, wake_at=next_look(pod))
    if pod.view.has_started_program or retry.worth_another(o.run, problem.reason, o.now, started=False):
        # The pod has to be gone first: only then it is certain that its component has not started meanwhile. And what
        # the steps before have left is uploaded, if it is published even if the run fails.
        return _begin_to_stop(
            o,
            pod,
            Termination(reason=problem.reason, message=problem.message, advice=problem.advice or None, time=o.now),
        )
    return _write(o, _finished(o, pod, problem), *kill(pod.view))


def _follow(o: Observed, pod: PodFacts, *actions: Action, wake_at: datetime) -> Plan:
    """Let the status follow the pod. A recent step is written with the next one, or when it is no longer recent."""
    followed = status.observed_phase(o.run, pod, o.now)
    due = status.deferred_until(o.run, pod, o.now, o.short_seconds)
    if due is None or not status.worth_a_write(o.run.status, followed):
        return _write(o, followed, *actions, wake_at=wake_at)
    return Plan(actions, min(wake_at, due))


def _reason_to_stop(o: Observed, pod: PodFacts) -> Termination | None:
    """Cancel, another run that takes its place, or timeout."""
    if o.run.spec.cancel:
        return Termination(reason=Reason.CANCELLED, message="The run was cancelled.", time=o.now)
    if (replacement := queued.replacement(o.turn, o.now)) is not None:
        return replacement
    if pod.timeout_at is None or o.now < pod.timeout_at:
        return None
    limit = duration_text(pod.view.timeout_seconds or DEFAULT_TIMEOUT_SECONDS)
    found = verdict(Reason.TIMEOUT, f"{capitalized(pod.component.title)} ran longer than its timeout of {limit}.")
    return Termination(reason=found.reason, message=found.message, advice=found.advice, time=o.now)


def _begin_to_stop(o: Observed, pod: PodFacts, termination: Termination) -> Plan:
    """Record the decision first, then delete the pod."""
    decided = status.terminating(_looked_at(o, pod), termination)
    actions, wake_at = _stop_actions(o, pod)
    return _write(o, decided, *actions, wake_at=wake_at)


def _stop(o: Observed, pod: PodFacts) -> Plan:
    """The decision is recorded; make sure that the pod ends."""
    actions, wake_at = _stop_actions(o, pod)
    return _follow(o, pod, *actions, wake_at=wake_at)


def _stop_actions(o: Observed, pod: PodFacts) -> tuple[tuple[Action, ...], datetime]:
    """Delete the pod once, with the intended grace period.

    The kubelet honours only the first grace period: seen with Kubernetes 1.35, a later and shorter deletion does not
    reach a kubelet that already waits for a container to end.
    """
    grace = _stop_grace(o, pod)
    is_asked = pod.view.is_being_deleted_within(grace)
    # A kubelet that has not noticed it by then is lost.
    look_again = (pod.given_up_at if is_asked else None) or o.now + timedelta(seconds=o.limits.node_lost)
    return (() if is_asked else (DeletePod(pod.view.name, pod.view.uid, grace),)), look_again


def _stop_grace(o: Observed, pod: PodFacts) -> int:
    """Seconds from SIGTERM to SIGKILL: more to save `writeAlways` tables, few before the component started."""
    saving = _writes_always(o) and not _is_cancelled(o)
    if not pod.component.is_running and not (saving and pod.view.main.has_ended):
        return KILL_GRACE_SECONDS
    grace = o.limits.stop_grace + (o.limits.stop_upload if saving else 0)
    return max(KILL_GRACE_SECONDS, int(grace))  # never 0: the object would go while the containers go on


def _conclude(o: Observed, pod: PodFacts) -> Plan:
    """The pod has ended: publish, or record how the run ended."""
    if _is_cancelled(o):
        when = "Its component had ended" if pod.component.has_ended else "It was stopped before it was through"
        found = _cancelled(o, when, diagnose(pod))
        return _write(o, _finished(o, pod, found))
    return _end(o, pod, diagnose(pod, termination=o.run.status.termination))


def _end(o: Observed, pod: PodFacts | None, found: Diagnosis) -> Plan:
    """The attempt has ended with this diagnosis: publish, let another one follow, or end the run."""
    run = o.run if pod is None else _looked_at(o, pod)
    if pod is not None and ((ran := retry.was_seen_running(run)) or pod.view.may_lack_containers):
        found = not_taken_back(pod, found, was_seen_running=ran)
    if found.reason is Reason.SUCCEEDED:
        if pod is not None and _has_nothing_to_publish(o, pod):
            return _write(o, status.nothing_to_publish(run, found, o.now))
        return _write(o, status.publishing(run, found, o.now), wake_at=o.now)
    retrying = retry.another_attempt(run, pod, found, o.now)
    if retrying is not None:
        return _write(o, retrying, wake_at=o.now)
    if pod is not None and pod.has_write_always_tables:
        return _write(o, status.publishing(run, found, o.now), wake_at=o.now)
    return _write(o, status.finished(run, found, now=o.now))


def _has_nothing_to_publish(o: Observed, pod: PodFacts) -> bool:
    """Whether nothing in a store or a catalog changes because the run succeeded.

    A run that reads only new rows saves how far it has read, even if it wrote nothing.
    """
    result = pod.view.stage_out_result
    return result is not None and result.ok and result.empty and not reads_adaptively(o.run.spec)


def _finished(o: Observed, pod: PodFacts, found: Diagnosis) -> ComponentRunStatus:
    """The final status, with what the last look at the pod added (node, image, whether the input was in)."""
    return status.finished(_looked_at(o, pod), found, now=o.now)


def _looked_at(o: Observed, pod: PodFacts) -> ComponentRun:
    """The run with the status that this look at its pod gives."""
    return o.run.model_copy(update={"status": status.observed_phase(o.run, pod, o.now)})


def _is_cancelled(o: Observed) -> bool:
    """Whether the run is to end without publishing anything."""
    termination = o.run.status.termination
    return o.run.spec.cancel or (termination is not None and termination.reason == Reason.REPLACED)


def _cancelled(o: Observed, when: str, ended: Diagnosis | None = None) -> Diagnosis:
    termination = o.run.status.termination
    replaced = termination is not None and termination.reason == Reason.REPLACED
    why = termination.message if termination is not None and replaced else "The run was cancelled."
    message = f"{why} {when}; nothing was published."
    reason = Reason.REPLACED if replaced else Reason.CANCELLED
    if ended is None:
        return Diagnosis(reason, message)
    return Diagnosis(reason, message, exit_code=ended.exit_code, last_words=ended.last_words)


def _publish(o: Observed, attempt: Attempt) -> Plan:
    """The status has the phase Publishing and how the component ended."""
    action = Publish(attempt.number, write_always_only=attempt.reason != Reason.SUCCEEDED)
    return Plan((action,), o.now + timedelta(seconds=o.limits.start_retry))


def _after_the_end(o: Observed) -> Plan:
    """Delete the pod once its events are delivered or the wait is over, and the run once its time to live is over."""
    run, end = o.run, o.run.status.completion_time or o.now
    pod = o.facts if o.pod is not None and not o.pod.gone else None
    view = None if pod is None else pod.view
    if conditions.is_settled(run.status.conditions, conditions.EVENTS_DELIVERED):
        rest = _clean_up(o, pod, end)
        if DeleteRun() in rest.actions:
            return rest
        return _write(o, status.seen_again(run), *rest.actions, wake_at=rest.wake_at)
    wait_ends, late_at = events_waited_for(o, view, end), events_late_at(o, end)
    if run.status.events is not None and run.status.events.delivered:
        return _write(o, status.events_delivered(run, o.now), *_clean_up(o, pod, end).actions, wake_at=o.now)
    if o.now >= wait_ends:
        given_up = status.events_given_up(run, o.now, over_limit=is_over_unread_limit(o, view))
        return _write(o, given_up, *_clean_up(o, pod, end).actions, wake_at=o.now)
    # The run has failed, so a pod that has not ended must not start its component any more.
    early = kill(pod.view) if pod is not None and not pod.has_finished else ()
    kept = unread_pod(view, end)
    if o.now < late_at:
        return Plan(early, min(late_at, wait_ends), kept)
    step = _write(o, status.events_late(run, view, wait_ends, o.now), *early, wake_at=wait_ends)
    return Plan(step.actions, step.wake_at, kept)


def _clean_up(o: Observed, pod: PodFacts | None, end: datetime) -> Plan:
    """Delete pod and run, each at its time."""
    ttl = o.run.spec.ttl_after_finished
    run_goes = end + timedelta(seconds=duration_seconds(ttl)) if ttl is not None else None
    if run_goes is not None and o.now >= run_goes:
        return Plan((DeleteRun(),))
    if pod is None:
        return Plan(wake_at=run_goes)
    pod_goes = kept_until(o, pod, end)
    return Plan(kill(pod.view), run_goes) if o.now >= pod_goes else Plan(wake_at=earliest(pod_goes, run_goes))


def _writes_always(o: Observed) -> bool:
    return any(table.write_always for table in o.run.spec.output.tables)


def _write(o: Observed, new: ComponentRunStatus, *actions: Action, wake_at: datetime | None = None) -> Plan:
    """Write the status if it changed, then the actions, then the Kubernetes Event."""
    if not status.worth_a_write(o.run.status, new):
        return Plan(actions, wake_at)
    event = status.lifecycle_event(o.run.status, new)
    return Plan((WriteStatus(new), *actions, *((event,) if event else ())), wake_at)
