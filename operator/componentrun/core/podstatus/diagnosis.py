"""Why a pod ended as it did: one reason and one sentence, decided together.

`_RULES` is the order of precedence, and the only place where it is written down. The first rule that knows the answer
gives it. Traps that the order avoids: a child killed for memory leaves `0 OOMKilled`; a pod that is put out ends its
component with SIGTERM, which well-behaved programs answer with exit code 0 and half of their output; the pod's phase
ignores a sidecar's exit code; a failed init container leaves the component waiting for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun import contract
from componentrun.api import names
from componentrun.core.podstatus.errortext import user_error_message
from componentrun.core.podstatus.facts import (
    OOM_KILLED,
    containers,
    decisive_containers,
    failed_stage_in,
    interrupted,
    nothing_ran,
    output_complete,
    over_before,
    unfinished,
)
from componentrun.core.podstatus.results import (
    LOST,
    MAX_RESULT_MESSAGE,
    START_ERRORS,
    agent_reason,
    ending,
    excerpt,
    last_words,
    said_by,
    stage_in_result,
    stage_out_result,
)
from componentrun.core.podstatus.startfailures import why_it_can_not_run, why_not_started
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.api.componentrun import Termination
    from componentrun.core.lifecycle.observed import ContainerView, PodView

__all__ = ["Diagnosis", "diagnose", "not_taken_back", "start_failure"]

_DISK: Final = re.compile(r"emptydir volume|ephemeral local storage|ephemeral storage limit", re.IGNORECASE)
"""The kubelet's words for a pod's own fault (pkg/kubelet/eviction/helpers.go); else the node was short of something."""
_SHUT_DOWN: Final = frozenset({"Terminated", "NodeShutdown", "Shutdown"})
"""Pod reasons of a kubelet that was told that its machine goes down; it says TerminationByKubelet, too. The last one
is that of older kubelets."""
_KILLED: Final = 137
"""Exit code of what SIGKILL has ended; what ends otherwise has only lost a child."""
_BY_KUBELET: Final = "TerminationByKubelet"
_BY_SCHEDULER: Final = "PreemptionByScheduler"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How an attempt ended."""

    reason: Reason
    message: str
    """A sentence for people: what happened to which container, and what to do."""
    container: str | None = None
    """The container that it is about, where it is about one."""
    exit_code: int | None = None
    """Of the component, where it ended."""
    last_words: str | None = None
    """The end of what the component printed, where it failed. Not redacted yet."""


def diagnose(pod: PodView, *, termination: Termination | None = None) -> Diagnosis:
    """Say why this pod ended. Total: what no rule knows is INTERNAL, with the facts in its message.

    Args:
        pod: a pod that has ended, or that there is no point in waiting for any longer.
        termination: the decision to stop it, where there was one; it goes before whatever the stopping then caused.
    """
    found = (_decided(pod, termination) if termination else None) or _first(pod)
    component = pod.component
    ended = component is not None and component.state == "terminated" and component.reason not in LOST
    failed = found.reason is not Reason.SUCCEEDED
    return Diagnosis(
        reason=found.reason,
        message=found.message,
        container=found.container,
        exit_code=component.exit_code if ended and component is not None else None,
        last_words=last_words(component) if failed else None,
    )


def _first(pod: PodView) -> Diagnosis:
    for rule in _RULES:
        found = rule(pod)
        if found is not None:
            return found
    return _unknown(pod)


def _decided(pod: PodView, termination: Termination) -> Diagnosis:
    """The operator stopped it: whatever the component did after that is a consequence."""
    component = pod.component
    how = ""
    if component is not None and component.state == "terminated":
        how = f" It ended with {ending(component)}."
    return Diagnosis(agent_reason(termination.reason, Reason.CANCELLED), termination.message + how, names.COMPONENT)


def _out_of_memory(pod: PodView) -> Diagnosis | None:
    for container in decisive_containers(pod):
        if container.state == "terminated" and container.reason == OOM_KILLED:
            return Diagnosis(Reason.OUT_OF_MEMORY, _oom_message(container), container.name)
    return None


def _oom_message(container: ContainerView) -> str:
    if container.name != names.COMPONENT:
        return (
            f"The kernel killed `{container.name}` for using more memory than its limit. This is the platform's to "
            "mend: raise `agents.resources.limits.memory` in the chart."
        )
    whom = "the component" if container.exit_code in {_KILLED, None} else "a process of the component"
    return (
        f"The kernel killed {whom} for using more memory than its limit ({ending(container)}). "
        "Give the run a larger `size` or more memory in `resources`, or have the component use less."
    )


def _put_out(pod: PodView) -> Diagnosis | None:
    """The kubelet put the pod out. Before success: a component that was told to go may well have ended with 0.

    What had ended before a preemption keeps its own reason. Of what a kubelet does by itself no time is told.
    """
    said = excerpt(pod.message)
    if (pod.reason == "Evicted" or pod.disruption == _BY_KUBELET) and _DISK.search(pod.message):
        own = "exceeded its local" in pod.message  # one container's limit, not the shared volume's
        more = "give it more `ephemeral-storage` in `resources`" if own else "have the Component's `dataSize` raised"
        return Diagnosis(
            Reason.DISK_FULL,
            f"The run wrote more than it may: {said}. Write less, or {more}. "
            "What it printed is among the run's events.",
        )
    if pod.reason in _SHUT_DOWN:
        return Diagnosis(
            Reason.NODE_LOST,
            f"{_node(pod)} was shut down while the pod was on it: {said or 'no more was said'}. "
            "Nothing was published. Run it again.",
        )
    preempted = pod.disruption == _BY_SCHEDULER and not over_before(pod, pod.disrupted_at, pod.deletion_asked_at)
    if preempted or pod.reason in {"Preempting", "Preempted"}:
        where = f" on node `{pod.node}`" if pod.node else ""
        return Diagnosis(
            Reason.EVICTED,
            f"The pod had to make room{where} for one of higher priority. Run it again, or give it a "
            "`priorityClassName`.",
        )
    if pod.reason == "Evicted" or pod.disruption == _BY_KUBELET:
        return Diagnosis(
            Reason.EVICTED,
            f"{_node(pod)} ran short and evicted the pod: {said or 'the kubelet gave no reason'}. "
            "Run it again, or request more.",
        )
    if pod.reason == "DeadlineExceeded":
        return Diagnosis(
            Reason.TIMEOUT,
            "The pod ran longer than its backstop allows, and no operator stopped it before that. "
            "Look whether the operator was running.",
        )
    return None


def _node(pod: PodView) -> str:
    """The pod's node, at the begin of a sentence."""
    return f"Node `{pod.node}`" if pod.node else "The pod's node"


def _success(pod: PodView) -> Diagnosis | None:
    """Exit code 0 that nobody brought about, and every byte uploaded."""
    component = pod.component
    if component is None or component.exit_code != contract.EXIT_SUCCESS or not output_complete(pod):
        return None
    if interrupted(pod, component) or component.reason in LOST:
        return None
    return Diagnosis(Reason.SUCCEEDED, "The component ended with exit code 0.", names.COMPONENT, 0)


def _node_lost(pod: PodView) -> Diagnosis | None:
    """The node stopped answering, or forgot the container. What had failed before that keeps its own reason."""
    lost = [c for c in decisive_containers(pod) if c.state == "terminated" and c.reason in LOST]
    away = pod.reason == "NodeLost" or pod.disruption in {"DeletionByTaintManager", "DeletionByPodGC"}
    if not lost and not (away and unfinished(pod)):
        return None
    said = f" ({excerpt(pod.message)})" if pod.message else ""
    how = "went away"
    if not lost and pod.disruption == "DeletionByTaintManager":
        how = "has a taint that the pod does not bear"
    return Diagnosis(
        Reason.NODE_LOST,
        f"{_node(pod)} stopped answering, or {how}, while the pod was on it{said}. Nothing was published. "
        "Run it again.",
        lost[0].name if lost else None,
    )


def _refused_by_node(pod: PodView) -> Diagnosis | None:
    """The kubelet would not have the pod: OutOfcpu, NodeAffinity, UnexpectedAdmissionError and the like."""
    if pod.phase != "Failed" or not pod.reason or not nothing_ran(pod):
        return None
    return Diagnosis(
        Reason.NODE_REFUSED,
        f"{_node(pod)} refused the pod ({pod.reason}): {excerpt(pod.message) or 'no reason given'}. Run it again.",
    )


def not_taken_back(pod: PodView, found: Diagnosis) -> Diagnosis:
    """How an attempt ended that was seen to run, and whose pod then says that its node refused it.

    A kubelet that comes back after its machine was restarted asks once more whether there is room for each pod; what it
    then refuses loses the statuses of its containers (Kubernetes, kubelet.go, rejectPod).
    """
    if found.reason is not Reason.NODE_REFUSED:
        return found
    why = ": ".join(filter(None, (pod.reason, excerpt(pod.message)))) or "no reason given"
    return Diagnosis(
        Reason.NODE_LOST,
        f"{_node(pod)} was restarted and did not take the pod back ({why}). How far its component came is not known; "
        "nothing was published. Run it again.",
    )


def _never_ran(pod: PodView) -> Diagnosis | None:
    """It has failed before anything of it ran, nobody deleted it, and nobody says why."""
    if pod.phase != "Failed" or not nothing_ran(pod):
        return None
    return Diagnosis(
        Reason.NODE_REFUSED,
        f"{_node(pod)} gave the pod up before anything of it ran: {excerpt(pod.message) or 'no reason given'}. "
        "Run it again.",
    )


def _deleted(pod: PodView) -> Diagnosis | None:
    """Somebody else deleted the pod before it was through; what had ended before that keeps its own reason."""
    if not unfinished(pod):
        return None
    if pod.disruption == "EvictionByEvictionAPI":
        return Diagnosis(
            Reason.EVICTED,
            f"{_node(pod)} was drained while the pod was on it. Nothing was published. Run it again.",
        )
    if not pod.gone and pod.deleted_at is None:
        return None
    if pod.disruption:  # of which this release knows no more, as DeletionByDeviceTaintManager
        return Diagnosis(
            Reason.EVICTED,
            f"The cluster put the pod out ({pod.disruption}): {excerpt(pod.disruption_said) or 'no reason given'}. "
            "Nothing was published. Run it again.",
        )
    return Diagnosis(
        Reason.POD_DELETED,
        f"Somebody deleted pod `{pod.name}` before it was through; ComponentRun did not. Nothing was published. "
        "To stop a run, set `spec.cancel`.",
    )


def _not_started(pod: PodView) -> Diagnosis | None:
    """A container that could not be started although its image is there."""
    for container in containers(pod):
        if container.state == "terminated" and container.reason in START_ERRORS:
            return start_failure(container)
    return None


def _can_not_run(pod: PodView) -> Diagnosis | None:
    """A program that the kernel can't run. The runtime finds out too late to say so otherwise than as the component."""
    component = pod.component
    if component is None or component.state != "terminated" or component.exit_code == contract.EXIT_SUCCESS:
        return None
    why = why_it_can_not_run(component.message, pod.node)
    return None if why is None else Diagnosis(Reason.START_FAILED, why, names.COMPONENT)


def start_failure(container: ContainerView) -> Diagnosis:
    """A container that can't be started: the runtime's own words, and where to look."""
    return Diagnosis(Reason.START_FAILED, why_not_started(container), container.name)


def _staged_in_badly(pod: PodView) -> Diagnosis | None:
    container = pod.stage_in
    if container is None or not failed_stage_in(container):
        return None
    result = stage_in_result(container)
    if result is not None and not result.ok:
        reason = agent_reason(result.reason, Reason.STAGE_IN_FAILED)
        said = excerpt(result.message or "it gave no reason")
        return Diagnosis(reason, f"Bringing the input failed: {said}.", names.STAGE_IN)
    return Diagnosis(
        Reason.STAGE_IN_FAILED,
        f"Bringing the input failed: `stage-in` ended with {ending(container)} and left no result that can be read"
        f"{said_by(container)}. This is a defect of the platform: look at the log of `stage-in`.",
        names.STAGE_IN,
    )


def _component_failed(pod: PodView) -> Diagnosis | None:
    component = pod.component
    if component is None or component.state != "terminated" or component.exit_code == contract.EXIT_SUCCESS:
        return None
    if component.exit_code == contract.EXIT_USER_ERROR and component.signal is None:
        return Diagnosis(Reason.USER_ERROR, user_error_message(last_words(component)), names.COMPONENT)
    where = "its last words are in `status.lastWords`, all of them among the run's events."
    if last_words(component) is None:
        where = "it printed nothing."
    return Diagnosis(
        Reason.APPLICATION_ERROR,
        f"The component ended with {ending(component)}. Its developer should look: {where}",
        names.COMPONENT,
    )


def _staged_out_badly(pod: PodView) -> Diagnosis | None:
    """The component ended well, its output did not get through."""
    if pod.component is None or pod.component.state != "terminated":
        return None
    container = pod.stage_out
    result = stage_out_result(container)
    if result is not None and not result.ok:
        reason = agent_reason(result.reason, Reason.STAGE_OUT_FAILED)
        # All that is wrong is in there, up to ten errors, so that its author can mend it in one go.
        said = excerpt(result.message or "no reason given", MAX_RESULT_MESSAGE)
        return Diagnosis(reason, f"The output was refused: {said}.", names.STAGE_OUT)
    if container is None or container.state != "terminated":
        how = "was still not through when its time was over"
    else:
        how = f"ended with {ending(container)} and left no result that can be read{said_by(container)}"
    return Diagnosis(
        Reason.STAGE_OUT_FAILED,
        f"The component ended well, but `stage-out` {how}. Nothing was published. Look at the log of `stage-out`.",
        names.STAGE_OUT,
    )


def _unknown(pod: PodView) -> Diagnosis:
    facts = ", ".join(f"{c.name} {c.state} {c.reason}".strip() for c in containers(pod)) or "no container"
    why = f"reason `{pod.reason}`" if pod.reason else "no reason"
    said = f"; it said: {excerpt(pod.message)}" if pod.message.strip() else ""
    return Diagnosis(
        Reason.INTERNAL,
        f"Pod `{pod.name}` ended in a way that ComponentRun does not know (phase {pod.phase}, {why}, {facts}{said}). "
        "Please report this.",
    )


_RULES: Final[tuple[Callable[[PodView], Diagnosis | None], ...]] = (
    _out_of_memory,
    _put_out,
    _success,
    _node_lost,
    _refused_by_node,
    _not_started,
    _can_not_run,
    _deleted,
    _staged_in_badly,
    _component_failed,
    _staged_out_badly,
    _never_ran,
)
