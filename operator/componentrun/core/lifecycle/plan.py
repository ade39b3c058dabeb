"""What to do about a run: a pure function of what was observed.

Level-triggered: it may be asked at any time, and its actions repeated. Rules that hold in every branch:

- a terminal phase is never left; if the run is being deleted, only its pods are deleted;
- a decision is in the status before anything is done about it: a termination before a deletion, phase Publishing
  (with the attempt's outcome) before publishing, the final status before the pod goes;
- nothing is published once `spec.cancel` was seen, unless phase Publishing was in the status before that;
- a conclusion from a missing pod or an overdue event is drawn only after reading the pod by name (`certainty`);
- a pod gets its Secret, without which it can't start, only after the status records the pod. So a pod that is not
  recorded in the status cannot have run;
- there is one pod for an attempt. Whether another attempt follows is decided in `retry`, when the one before has ended.
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
from componentrun.core.podstatus.certainty import pod_of, pod_to_read
from componentrun.core.podstatus.diagnosis import Diagnosis, diagnose, not_taken_back
from componentrun.core.podstatus.facts import saved_always
from componentrun.core.podstatus.results import agent_reason
from componentrun.core.podstatus.stuck import (
    admitted,
    given_up_at,
    has_begun,
    has_ended,
    next_look,
    stuck,
    timeout_at,
    with_api_server_times,
)
from componentrun.core.queue import texts as queued
from componentrun.errors import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import Attempt, ComponentRun, ComponentRunStatus
    from componentrun.core.lifecycle.actions import Action
    from componentrun.core.lifecycle.observed import Observed, PodView

__all__ = ["plan"]

FIRST_ATTEMPT: Final = 1
_UNSEEN_SECONDS: Final = 5
"""Between two looks at a pod of which no watch tells."""


def plan(observed: Observed) -> Plan:
    """What to do now, and when to look again if nothing happens before."""
    if observed.run.metadata.deletion_timestamp is not None:
        pods = (*((observed.pod,) if observed.pod is not None else ()), *observed.earlier)
        return Plan(tuple(action for pod in pods for action in dismiss(pod, observed.limits)))
    refused = conditions.find(observed.run.status.conditions, conditions.ACCEPTED)
    if refused is not None and refused.status == "False" and not status.is_terminal(observed.run.status):
        # It stands in line again from there on.
        return _write(observed, status.accepted(observed.run, observed.now), wake_at=observed.now)
    look = pod_to_read(observed)
    if look is not None:
        return Plan((look,), observed.now)
    # First, as what follows may have to be tried again.
    removals, look_again, unread_before = leftovers(observed)
    step = _next_step(observed)
    wake_at = earliest(step.wake_at, look_again, _labels_again(observed))
    return Plan((*removals, *step.actions), wake_at, (*unread_before, *step.unread_pods))


def _labels_again(o: Observed) -> datetime | None:
    """When a pod is read again that could not be given its labels: until then nobody tells of its changes."""
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
    """A pod was made. Ended goes before stopped: what has ended by itself is not stopped any more."""
    pod = pod_of(o.pod, attempt)
    if pod is None:
        return _without_pod(o, attempt)
    pod = with_api_server_times(admitted(pod, o.run.status, o.now), o.run.status, o.now)
    if has_ended(pod, o.limits, o.now):
        return _conclude(o, pod)
    if o.run.status.termination is not None:
        return _stop(o, pod)
    termination = _reason_to_stop(o, pod)
    if termination is not None:
        return _begin_to_stop(o, pod, termination)
    return _go_on(o, pod)


def _before_the_start(o: Observed) -> Plan:
    """Nothing is recorded. A pod may be there all the same: its operator died between the pod and the status."""
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
    """Start, wait, or make room for another one."""
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
    look_again = retry.in_the_way(pod_of(o.pod, last), o.limits, o.now)
    if look_again is not None:
        return Plan(wake_at=look_again)
    return _start(o, last.number + 1) if o.now >= begins else Plan(wake_at=begins)


def _start(o: Observed, number: int) -> Plan:
    """From then on the pod's own changes tell; one of which nobody ever says anything is overdue.

    A pod that was there already is read anew, and what that brings is told by no event: it is looked at at once.
    """
    found = o.pod is not None and o.pod.attempt == number
    return Plan((StartAttempt(number),), o.now if found else o.now + timedelta(seconds=o.limits.pending))


def _without_pod(o: Observed, attempt: Attempt) -> Plan:
    """The attempt's pod is not there: it is too new for the watch, or it was deleted while nobody watched."""
    known_until = attempt.start_time + timedelta(seconds=o.limits.pod_missing)
    if o.now < known_until:
        return Plan(wake_at=known_until)
    if _is_cancelled(o):
        return _write(o, status.finished(o.run, _cancelled(o, "It was stopped before it was through"), now=o.now))
    if (termination := o.run.status.termination) is not None:
        return _end(o, None, Diagnosis(agent_reason(termination.reason, Reason.CANCELLED), termination.message))
    message = (
        f"Pod `{attempt.pod}` was deleted while no operator was watching, so how it ended is not known. "
        "Nothing was published."
    )
    return _end(o, None, Diagnosis(Reason.POD_DELETED, message))


def _go_on(o: Observed, pod: PodView) -> Plan:
    """All is well so far: the phase follows the pod. Or there is no point in waiting for the component to start."""
    problem = None if pod.gates else stuck(pod, o.limits, o.now)
    if problem is None and not o.granted and not has_begun(pod):
        return Plan((GiveGrants(pod.attempt),), o.now)
    if pod.gates:
        return _write(o, status.observed_phase(o.run, pod, o.now))  # whoever set them takes as long as they like
    if problem is None:
        return _write(o, status.observed_phase(o.run, pod, o.now), wake_at=next_look(pod, o.limits))
    if retry.worth_another(o.run, problem.reason, o.now, started=False):
        # The pod has to be gone first: only then it is certain that its component has not started meanwhile.
        return _begin_to_stop(o, pod, Termination(reason=problem.reason, message=problem.message, time=o.now))
    return _write(o, _finished(o, pod, problem), *kill(pod))


def _reason_to_stop(o: Observed, pod: PodView) -> Termination | None:
    """Cancel, another run that takes its place, or timeout."""
    if o.run.spec.cancel:
        return Termination(reason=Reason.CANCELLED, message="The run was cancelled.", time=o.now)
    if (replacement := queued.replacement(o.turn, o.now)) is not None:
        return replacement
    deadline = timeout_at(pod)
    if deadline is None or o.now < deadline:
        return None
    limit = duration_text(pod.timeout_seconds or DEFAULT_TIMEOUT_SECONDS)
    message = f"The component ran longer than its timeout of {limit}. Raise `spec.timeout`, or have it do less."
    return Termination(reason=Reason.TIMEOUT, message=message, time=o.now)


def _begin_to_stop(o: Observed, pod: PodView, termination: Termination) -> Plan:
    """The decision is written first, then the pod is told to end."""
    decided = status.terminating(_looked_at(o, pod), termination)
    actions, wake_at = _stop_actions(o, pod)
    return _write(o, decided, *actions, wake_at=wake_at)


def _stop(o: Observed, pod: PodView) -> Plan:
    """The decision stands; see to it that the pod ends."""
    actions, wake_at = _stop_actions(o, pod)
    return _write(o, status.observed_phase(o.run, pod, o.now), *actions, wake_at=wake_at)


def _stop_actions(o: Observed, pod: PodView) -> tuple[tuple[Action, ...], datetime]:
    """Delete the pod, once, with the grace that is meant.

    The kubelet obeys the first grace period only: seen with Kubernetes 1.35, a later and shorter deletion does not
    reach a kubelet that already waits for a container to end.
    """
    grace = _stop_grace(o, pod)
    told = pod.deleted_at is not None and (pod.deletion_grace_seconds or 0) <= grace
    # A kubelet that has not heard of it by then is lost.
    look_again = (given_up_at(pod, o.limits) if told else None) or o.now + timedelta(seconds=o.limits.node_lost)
    return (() if told else (DeletePod(pod.name, pod.uid, grace),)), look_again


def _stop_grace(o: Observed, pod: PodView) -> int:
    """Seconds from SIGTERM to SIGKILL: more where `writeAlways` tables are to be saved, few before the start."""
    saving = _writes_always(o) and not _is_cancelled(o)
    started = pod.component is not None and pod.component.state != "waiting"
    running = pod.component is not None and pod.component.state == "running"
    if not started or not (running or saving):
        return KILL_GRACE_SECONDS
    grace = o.limits.stop_grace + (o.limits.stop_upload if saving else 0)
    return max(KILL_GRACE_SECONDS, int(grace))  # never 0: the object would go while the containers go on


def _conclude(o: Observed, pod: PodView) -> Plan:
    """The pod has ended: publish, or write down how the run ended."""
    if _is_cancelled(o):
        ended = pod.component is not None and pod.component.state == "terminated"
        when = "It was stopped before it was through" if not ended else "Its component had ended"
        found = _cancelled(o, when, diagnose(pod))
        return _write(o, _finished(o, pod, found))
    return _end(o, pod, diagnose(pod, termination=o.run.status.termination))


def _end(o: Observed, pod: PodView | None, found: Diagnosis) -> Plan:
    """The attempt has ended so: publish, let another one follow, or end the run."""
    run = o.run if pod is None else _looked_at(o, pod)
    if pod is not None and retry.was_seen_running(run):
        found = not_taken_back(pod, found)
    if found.reason is Reason.SUCCEEDED:
        return _write(o, status.publishing(run, found, o.now), wake_at=o.now)
    retrying = retry.another_attempt(run, pod, found, o.now)
    if retrying is not None:
        return _write(o, retrying, wake_at=o.now)
    if pod is not None and saved_always(pod):
        return _write(o, status.publishing(run, found, o.now), wake_at=o.now)
    return _write(o, status.finished(run, found, now=o.now))


def _finished(o: Observed, pod: PodView, found: Diagnosis) -> ComponentRunStatus:
    """The final status, with what the last look at the pod added (node, image, whether the input was in)."""
    return status.finished(_looked_at(o, pod), found, now=o.now)


def _looked_at(o: Observed, pod: PodView) -> ComponentRun:
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
    """Phase Publishing is in the status, and with it how the component ended."""
    action = Publish(attempt.number, write_always_only=attempt.reason != Reason.SUCCEEDED)
    return Plan((action,), o.now + timedelta(seconds=o.limits.start_retry))


def _after_the_end(o: Observed) -> Plan:
    """The pod goes when its events are delivered, or the wait for that is over; the run when its time to live is."""
    run, end = o.run, o.run.status.completion_time or o.now
    pod = o.pod if o.pod is not None and not o.pod.gone else None
    if conditions.is_settled(run.status.conditions, conditions.EVENTS_DELIVERED):
        rest = _clean_up(o, pod, end)
        if DeleteRun() in rest.actions:
            return rest
        return _write(o, status.seen_again(run), *rest.actions, wake_at=rest.wake_at)
    wait_ends, late_at = events_waited_for(o, pod, end), events_late_at(o, end)
    if run.status.events is not None and run.status.events.delivered:
        return _write(o, status.events_delivered(run, o.now), *_clean_up(o, pod, end).actions, wake_at=o.now)
    if o.now >= wait_ends:
        given_up = status.events_given_up(run, o.now, over_limit=is_over_unread_limit(o, pod))
        return _write(o, given_up, *_clean_up(o, pod, end).actions, wake_at=o.now)
    # A pod that has not ended must not start its component after all, now that the run is said to have failed.
    early = kill(pod) if pod is not None and not has_ended(pod, o.limits, o.now) else ()
    kept = unread_pod(pod, end)
    if o.now < late_at:
        return Plan(early, min(late_at, wait_ends), kept)
    said = _write(o, status.events_late(run, pod, wait_ends, o.now), *early, wake_at=wait_ends)
    return Plan(said.actions, said.wake_at, kept)


def _clean_up(o: Observed, pod: PodView | None, end: datetime) -> Plan:
    """Pod and run go, each in its time."""
    ttl = o.run.spec.ttl_after_finished
    run_goes = end + timedelta(seconds=duration_seconds(ttl)) if ttl is not None else None
    if run_goes is not None and o.now >= run_goes:
        return Plan((DeleteRun(),))
    if pod is None:
        return Plan(wake_at=run_goes)
    pod_goes = kept_until(o, pod, end)
    return Plan(kill(pod), run_goes) if o.now >= pod_goes else Plan(wake_at=earliest(pod_goes, run_goes))


def _writes_always(o: Observed) -> bool:
    return any(table.write_always for table in o.run.spec.output.tables)


def _write(o: Observed, new: ComponentRunStatus, *actions: Action, wake_at: datetime | None = None) -> Plan:
    """Write the status where it changed, then the actions, then tell about it."""
    if not status.worth_a_write(o.run.status, new):
        return Plan(actions, wake_at)
    event = status.lifecycle_event(o.run.status, new)
    return Plan((WriteStatus(new), *actions, *((event,) if event else ())), wake_at)
