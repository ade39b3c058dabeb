"""Why a pod ended as it did: the reason, what happened, and what to do, decided together.

`_RULES` is the order of precedence, and the only place where it is written down: the first rule that recognises the end
decides. Traps that the order avoids: a child killed for memory leaves `0 OOMKilled`; an evicted pod ends its component
with SIGTERM, which well-behaved programs answer with exit code 0 and half of their output; the pod's phase ignores a
sidecar's exit code; a failed init container leaves the component waiting for ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from componentrun import contract
from componentrun.api import names
from componentrun.core.podstatus.agentfailures import stage_in_failed, stage_out_failed, step_agent_failed
from componentrun.core.podstatus.errortext import user_error_message
from componentrun.core.podstatus.results import (
    agent_reason,
    capitalized,
    ending,
    excerpt,
    last_words,
)
from componentrun.core.podstatus.startfailures import why_it_can_not_run, why_not_started
from componentrun.core.podstatus.verdict import NOTHING_PUBLISHED, Diagnosis, verdict
from componentrun.core.podstatus.view import OOM_KILLED, START_ERRORS
from componentrun.errors import without_advice
from componentrun.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.api.componentrun import Termination
    from componentrun.core.podstatus.facts import PodFacts
    from componentrun.core.podstatus.view import ContainerView, PodView

__all__ = ["OWN_DISK", "SHUT_DOWN", "diagnose", "not_taken_back", "start_failure", "stopped"]

OWN_DISK: Final = re.compile(r"emptydir volume|ephemeral local storage|ephemeral storage limit", re.IGNORECASE)
"""The kubelet's words if the pod itself is at fault (pkg/kubelet/eviction/helpers.go); else the node was short."""
SHUT_DOWN: Final = frozenset({"Terminated", "NodeShutdown", "Shutdown"})
"""Pod reasons of a kubelet whose machine shuts down; it sets TerminationByKubelet, too. The last one is that of older
kubelets."""
_KILLED: Final = 137
"""Exit code of a process that SIGKILL ended. A component with another one has only lost a child."""
_BY_KUBELET: Final = "TerminationByKubelet"
_BY_SCHEDULER: Final = "PreemptionByScheduler"


def diagnose(pod: PodFacts, *, termination: Termination | None = None) -> Diagnosis:
    """Why this pod ended. An end that no rule recognises is INTERNAL, with what was observed in its message.

    Args:
        pod: a pod that has ended, or that is no longer waited for.
        termination: the decision to stop it, if there was one; it takes precedence over what the stop then caused.
    """
    component = pod.component if pod.component.is_program else pod.view.main
    found = _first(pod) if termination is None else stopped(termination, component)
    has_failed = found.reason is not Reason.SUCCEEDED
    return Diagnosis(
        reason=found.reason,
        summary=found.summary,
        container=found.container,
        exit_code=component.exit_code if component.has_ended and not component.is_lost else None,
        last_words=last_words(component) if has_failed else None,
        advice=found.advice,
    )


def _first(pod: PodFacts) -> Diagnosis:
    for rule in _RULES:
        found = rule(pod)
        if found is not None:
            return found
    return _unknown(pod)


def stopped(termination: Termination, component: ContainerView | None = None) -> Diagnosis:
    """The end of an attempt that the operator stopped: whatever its component did after that is a consequence."""
    advice = termination.advice or ""
    summary = without_advice(termination.message, advice)
    if component is not None and component.has_ended:
        summary = f"{summary} It ended with {ending(component)}."
    return Diagnosis(agent_reason(termination.reason, Reason.CANCELLED), summary, names.COMPONENT, advice=advice)


def _out_of_memory(pod: PodFacts) -> Diagnosis | None:
    for container in pod.decisive_containers:
        if container.has_ended and container.reason == OOM_KILLED:
            return _killed_for_memory(container)
    return None


def _killed_for_memory(container: ContainerView) -> Diagnosis:
    if not container.is_program:
        return verdict(
            Reason.OUT_OF_MEMORY,
            f"The kernel killed `{container.name}` for using more memory than its limit.",
            container.name,
            advice="This is up to the platform team: raise `agents.resources.limits.memory` in the chart.",
        )
    whom = container.title if container.exit_code in {_KILLED, None} else f"a process of {container.title}"
    return verdict(
        Reason.OUT_OF_MEMORY,
        f"The kernel killed {whom} for using more memory than its limit ({ending(container)}).",
        container.name,
    )


def _evicted(pod: PodFacts) -> Diagnosis | None:
    """The cluster removed the pod. Before success: a component that gets SIGTERM may well end with 0.

    A component that ended before a preemption keeps its own reason. The time of the kubelet's own evictions is unknown.
    """
    view = pod.view
    words = excerpt(view.message)
    if (view.reason == "Evicted" or view.disruption == _BY_KUBELET) and OWN_DISK.search(view.message):
        of_one_container = "exceeded its local" in view.message  # its own limit, not that of the shared volume
        more = (
            "give it more `ephemeral-storage` in `resources`"
            if of_one_container
            else "have the Component's `dataSize` raised"
        )
        return verdict(
            Reason.DISK_FULL,
            f"The run wrote more than it may: {words}.",
            advice=f"Write less, or {more}. What it printed is among the run's events.",
        )
    if view.reason in SHUT_DOWN:
        return verdict(
            Reason.NODE_LOST,
            f"{_node(view)} was shut down while the pod was on it: {words or 'no reason given'}. {NOTHING_PUBLISHED}",
        )
    preempted = view.disruption == _BY_SCHEDULER and not pod.was_over_before(view.disrupted_at, view.deletion_asked_at)
    if preempted or view.reason in {"Preempting", "Preempted"}:
        where = f" on node `{view.node}`" if view.node else ""
        return verdict(
            Reason.EVICTED,
            f"The pod had to make room{where} for one of higher priority.",
            advice="Run it again, or give it a `priorityClassName`.",
        )
    if view.reason == "Evicted" or view.disruption == _BY_KUBELET:
        return verdict(
            Reason.EVICTED, f"{_node(view)} ran short and evicted the pod: {words or 'the kubelet gave no reason'}."
        )
    if view.reason == "DeadlineExceeded":
        return verdict(
            Reason.TIMEOUT,
            "The pod ran longer than its backstop allows, and no operator stopped it before that.",
            advice="Check whether the operator was running.",
        )
    return None


def _node(view: PodView) -> str:
    """The pod's node, at the beginning of a sentence."""
    return f"Node `{view.node}`" if view.node else "The pod's node"


def _success(pod: PodFacts) -> Diagnosis | None:
    """Exit code 0 that no deletion caused, and every byte uploaded."""
    component = pod.component
    if component.has_failed or component.is_lost or pod.was_interrupted(component) or not pod.has_complete_output:
        return None
    who = "The component and its processors" if pod.view.steps else "The component"
    return Diagnosis(Reason.SUCCEEDED, f"{who} ended with exit code 0.", names.COMPONENT, 0)


def _node_lost(pod: PodFacts) -> Diagnosis | None:
    """The node stopped responding, or forgot the container. What had failed before that keeps its own reason."""
    view = pod.view
    lost = [container for container in pod.decisive_containers if container.is_lost]
    is_node_away = view.reason == "NodeLost" or view.disruption in {"DeletionByTaintManager", "DeletionByPodGC"}
    if not lost and not (is_node_away and pod.is_unfinished):
        return None
    how = "went away"
    if not lost and view.disruption == "DeletionByTaintManager":
        how = "has a taint that the pod does not tolerate"
    words = f" ({excerpt(view.message)})" if view.message else ""
    return verdict(
        Reason.NODE_LOST,
        f"{_node(view)} stopped responding, or {how}, while the pod was on it{words}. {NOTHING_PUBLISHED}",
        lost[0].name if lost else None,
    )


def _refused_by_node(pod: PodFacts) -> Diagnosis | None:
    """The kubelet did not admit the pod: OutOfcpu, NodeAffinity, UnexpectedAdmissionError and the like."""
    view = pod.view
    if view.phase != "Failed" or not view.reason or view.has_started:
        return None
    return verdict(
        Reason.NODE_REFUSED,
        f"{_node(view)} refused the pod ({view.reason}): {excerpt(view.message) or 'no reason given'}.",
    )


def not_taken_back(pod: PodFacts, found: Diagnosis, *, was_seen_running: bool = True) -> Diagnosis:
    """The end of an attempt that has run, or may have, and whose pod says that its node refused it.

    A kubelet that starts after a reboot checks again whether there is room for each pod; a pod that it then refuses
    loses the statuses of its containers (Kubernetes, kubelet.go, rejectPod).
    """
    if found.reason is not Reason.NODE_REFUSED:
        return found
    why = ": ".join(filter(None, (pod.view.reason, excerpt(pod.view.message)))) or "no reason given"
    how = "was restarted and" if was_seen_running else "refused the pod, or was restarted and"
    return verdict(
        Reason.NODE_LOST,
        f"{_node(pod.view)} {how} did not take the pod back ({why}). How far its component came is not "
        "known; nothing was published.",
    )


def _never_ran(pod: PodFacts) -> Diagnosis | None:
    """It failed before any of its containers ran, nobody deleted it, and there is no other reason."""
    view = pod.view
    if view.phase != "Failed" or view.has_started:
        return None
    return verdict(
        Reason.NODE_REFUSED,
        f"{_node(view)} gave the pod up before anything of it ran: {excerpt(view.message) or 'no reason given'}.",
    )


def _deleted(pod: PodFacts) -> Diagnosis | None:
    """Somebody else deleted the pod before it had finished; what had ended before that keeps its own reason."""
    view = pod.view
    if not pod.is_unfinished:
        return None
    if view.disruption == "EvictionByEvictionAPI":
        return verdict(
            Reason.EVICTED,
            f"{_node(view)} was drained while the pod was on it. {NOTHING_PUBLISHED}",
            advice="Run it again.",
        )
    if not view.gone and view.deleted_at is None:
        return None
    if view.disruption:  # one that this release does not know, such as DeletionByDeviceTaintManager
        why = excerpt(view.disruption_message) or "no reason given"
        return verdict(
            Reason.EVICTED,
            f"The cluster evicted the pod ({view.disruption}): {why}. {NOTHING_PUBLISHED}",
            advice="Run it again.",
        )
    return verdict(
        Reason.POD_DELETED,
        f"Somebody deleted pod `{view.name}` before it had finished; ComponentRun did not. {NOTHING_PUBLISHED}",
    )


def _not_started(pod: PodFacts) -> Diagnosis | None:
    """A container that could not be started although its image is there."""
    for container in pod.containers:
        if container.has_ended and container.reason in START_ERRORS:
            return start_failure(container)
    return None


def _can_not_run(pod: PodFacts) -> Diagnosis | None:
    """A program that the kernel can't run. The runtime notices too late to report it as its own error."""
    component = pod.component
    if not component.has_failed:
        return None
    why = why_it_can_not_run(component, pod.view.node)
    return None if why is None else verdict(Reason.START_FAILED, why.summary, component.name, advice=why.advice)


def start_failure(container: ContainerView) -> Diagnosis:
    """A container that can't be started: the runtime's own words, and where to look."""
    why = why_not_started(container)
    return verdict(Reason.START_FAILED, why.summary, container.name, advice=why.advice)


def _component_failed(pod: PodFacts) -> Diagnosis | None:
    component = pod.component
    if not component.has_failed:
        return None
    if component.exit_code == contract.EXIT_USER_ERROR and component.signal is None:
        message = user_error_message(last_words(component), component.title)
        return verdict(Reason.USER_ERROR, message, component.name, advice="")
    has_words = last_words(component) is not None
    return verdict(
        Reason.APPLICATION_ERROR,
        f"{capitalized(component.title)} ended with {ending(component)}.",
        component.name,
        advice=None if has_words else "Its developer should look: it printed nothing.",
    )


def _unknown(pod: PodFacts) -> Diagnosis:
    view = pod.view
    containers = ", ".join(f"{c.name} {c.state} {c.reason}".strip() for c in pod.containers) or "no container"
    why = f"reason `{view.reason}`" if view.reason else "no reason"
    words = f"; it said: {excerpt(view.message)}" if view.message.strip() else ""
    return verdict(
        Reason.INTERNAL,
        f"Pod `{view.name}` ended in a way that ComponentRun does not know (phase {view.phase}, {why}, "
        f"{containers}{words}).",
    )


_RULES: Final[tuple[Callable[[PodFacts], Diagnosis | None], ...]] = (
    _out_of_memory,
    _evicted,
    _success,
    _node_lost,
    _refused_by_node,
    _not_started,
    _can_not_run,
    _deleted,
    stage_in_failed,
    step_agent_failed,
    _component_failed,
    stage_out_failed,
    _never_ran,
)
