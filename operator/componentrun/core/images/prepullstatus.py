"""What the status of a Component says about images that are brought to nodes, from DaemonSets and their pods. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api.channels import MOST_NODES, ChannelStatus, PrePullNode, PrePullStatus
from componentrun.core.images.prepull import image_of
from componentrun.core.lifecycle.conditions import with_condition
from componentrun.core.podstatus.results import capitalized, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from componentrun.api.component import Component
    from componentrun.api.componentstatus import ComponentStatus

__all__ = [
    "PRE_PULLED",
    "ChannelState",
    "NodePod",
    "PrePullProblem",
    "disabled_status",
    "missing_pods",
    "pre_pull_status",
    "read_pod",
    "state_of",
    "status_with",
]

PRE_PULLED: Final = "PrePulled"
_READY: Final = "Ready"
_PULLING: Final = "Pulling"
_NO_NODES: Final = "NoNodes"
_NODES_NOT_READY: Final = "NodesNotReady"
_NOT_RESOLVED: Final = "NotResolved"
_REFUSED: Final = "Refused"
_DISABLED: Final = "Disabled"
_WORST_FIRST: Final = (_REFUSED, _NOT_RESOLVED, _NODES_NOT_READY, _NO_NODES, _PULLING, _READY)
"""Reasons of the condition, if it is enabled."""
_NODE_FIELD: Final = "metadata.name"
_CAUSE: Final = "ErrImagePull: "
"""In the kubelet's message while it waits before the next try, in front of the message of the last one."""
_ON_ITS_WAY: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
"""Reasons of a waiting container that are no errors."""
_MOST_CHARACTERS: Final = 512
_NO_NODE_YET: Final = "(no node yet)"

ProblemReason = Literal["Refused", "NotResolved"]


@dataclass(frozen=True, slots=True)
class NodePod:
    """What matters of a pod that keeps an image on its node."""

    node: str
    image: str
    """Reference with a digest."""
    is_ready: bool
    is_ending: bool
    problem: str = ""
    """Why it does not run; empty if nothing is wrong."""


@dataclass(frozen=True, slots=True)
class PrePullProblem:
    """Why an image can't be brought to any node."""

    reason: ProblemReason
    """`Refused`: the API server refuses the DaemonSet or its pods. `NotResolved`: the digest is not known."""
    message: str


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What is known about the image of one channel."""

    channel: str
    status: PrePullStatus | None = None
    """None: there is no DaemonSet."""
    is_observed: bool = True
    """Whether the numbers are those of the present DaemonSet: its controller may not have seen a change yet."""
    has_errors: bool = False
    """Whether a node reports an error."""
    problem: PrePullProblem | None = None


def read_pod(pod: Mapping[str, Any]) -> NodePod:
    """Read a pod of a DaemonSet, as the API server sent it."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    is_ready = (conditions.get("Ready") or {}).get("status") == "True"
    return NodePod(
        str(spec.get("nodeName") or _wanted_node(spec)),
        image_of(spec),
        is_ready=is_ready,
        is_ending="deletionTimestamp" in pod["metadata"],
        problem="" if is_ready else _problem(status, conditions.get("PodScheduled") or {}),
    )


def _wanted_node(spec: Mapping[str, Any]) -> str:
    """The node that the DaemonSet controller chose for a pod that is not scheduled yet."""
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in affinity.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == _NODE_FIELD and field.get("values"):
                return str(field["values"][0])
    return _NO_NODE_YET


def _problem(status: Mapping[str, Any], scheduled: Mapping[str, Any]) -> str:
    """Why a pod does not run; empty while nothing is wrong. The same text at each try of the kubelet."""
    if scheduled.get("status") == "False":
        return excerpt(str(scheduled.get("message") or scheduled.get("reason") or "not scheduled"), _MOST_CHARACTERS)
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        if reason not in _ON_ITS_WAY:
            return excerpt(message.partition(_CAUSE)[2] or message or reason, _MOST_CHARACTERS)
    if status.get("phase") == "Failed":
        return excerpt(str(status.get("message") or status.get("reason") or "the pod has failed"), _MOST_CHARACTERS)
    return ""


def state_of(
    channel: str, daemon_set: Mapping[str, Any] | None, pods: Iterable[NodePod], problem: PrePullProblem | None
) -> ChannelState:
    """What is known about the image of a channel.

    Args:
        channel: its name.
        daemon_set: as the API server sent it; None if there is none.
        pods: of the DaemonSet.
        problem: why it could not be brought up to date.
    """
    if daemon_set is None:
        return ChannelState(channel, problem=problem)
    present = _by_node(daemon_set, pods)
    return ChannelState(
        channel,
        pre_pull_status(daemon_set, pods),
        _is_observed(daemon_set),
        has_errors=any(pod.problem for pod in present.values()),
        problem=problem,
    )


def pre_pull_status(daemon_set: Mapping[str, Any], pods: Iterable[NodePod]) -> PrePullStatus:
    """The nodes that the image of a DaemonSet is brought to."""
    image = image_of(daemon_set["spec"]["template"]["spec"])
    present = _by_node(daemon_set, pods)
    waiting = {node: pod for node, pod in present.items() if not (pod.is_ready and pod.image == image)}
    ordered = sorted(waiting.items(), key=lambda item: (not item[1].problem, item[0]))
    return PrePullStatus(
        digest=image.partition("@")[2],
        desired=_desired(daemon_set),
        ready=len(present) - len(waiting),
        not_ready=tuple(PrePullNode(name=node, message=_message(pod, image)) for node, pod in ordered[:MOST_NODES]),
    )


def missing_pods(daemon_set: Mapping[str, Any], pods: Iterable[NodePod]) -> int:
    """Number of nodes for which the DaemonSet controller has not created a pod."""
    return max(_desired(daemon_set) - len(_by_node(daemon_set, pods)), 0) if _is_observed(daemon_set) else 0


def _by_node(daemon_set: Mapping[str, Any], pods: Iterable[NodePod]) -> dict[str, NodePod]:
    """The pod of each node; that of the present image if there are two."""
    image = image_of(daemon_set["spec"]["template"]["spec"])
    ordered = sorted(pods, key=lambda pod: (pod.image == image, not pod.is_ending))
    return {pod.node: pod for pod in ordered}


def _message(pod: NodePod, image: str) -> str:
    if pod.image != image:
        return "it still has the former image, which is replaced on some nodes at a time"
    return pod.problem or "the image is being pulled"


def _desired(daemon_set: Mapping[str, Any]) -> int:
    return int((daemon_set.get("status") or {}).get("desiredNumberScheduled") or 0)


def _is_observed(daemon_set: Mapping[str, Any]) -> bool:
    observed = (daemon_set.get("status") or {}).get("observedGeneration")
    return observed is not None and observed >= daemon_set["metadata"].get("generation", 0)


def status_with(component: Component, states: Sequence[ChannelState], now: datetime) -> ComponentStatus:
    """The status of a Component with what is known about these channels. Equal to the present one if nothing is new.

    Args:
        component: the Component.
        states: of its channels with `prePull`; empty: the condition and all numbers are removed.
        now: the time.
    """
    statuses = {state.channel: state.status for state in states}
    known = tuple(
        channel.model_copy(update={"pre_pull": statuses.pop(channel.name, None)})
        for channel in component.status.channels
    )
    new = tuple(ChannelStatus(name=name, pre_pull=status) for name, status in statuses.items() if status is not None)
    channels = (*known, *new)  # in the order of whoever resolves channels, or both would write again and again
    if not states:
        conditions = tuple(item for item in component.status.conditions if item.type != PRE_PULLED)
        return component.status.model_copy(update={"channels": channels, "conditions": conditions})
    outcome, reason, message = _finding(states)
    return _with_finding(component, outcome, reason, message, now).model_copy(update={"channels": channels})


def disabled_status(component: Component, now: datetime) -> ComponentStatus:
    """The status of a Component that sets `prePull`, as an operator writes it whose `prePull` is not enabled.

    Several operators may serve a namespace, one of which is enabled. So the condition of another one is left alone,
    unless it is about an earlier version of the Component.
    """
    there = next((item for item in component.status.conditions if item.type == PRE_PULLED), None)
    if not any(channel.pre_pull for channel in component.spec.channels):
        is_ours = there is not None and there.reason == _DISABLED
        return status_with(component, (), now) if is_ours else component.status
    if there is not None and there.observed_generation == component.metadata.generation:
        return component.status
    message = (
        "Images are not brought to nodes, because the chart value `operator.prePull.enabled` is not set. Set it, or "
        "remove `prePull` from the channels. Runs are not affected."
    )
    return _with_finding(component, "False", _DISABLED, message, now)


def _with_finding(
    component: Component, outcome: Literal["True", "False"], reason: str, message: str, now: datetime
) -> ComponentStatus:
    generation = component.metadata.generation
    conditions = with_condition(
        component.status.conditions, PRE_PULLED, outcome, reason, message, generation=generation, now=now
    )
    conditions = tuple(
        item.model_copy(update={"observed_generation": generation}) if item.type == PRE_PULLED else item
        for item in conditions
    )
    return component.status.model_copy(update={"conditions": conditions})


def _finding(states: Sequence[ChannelState]) -> tuple[Literal["True", "False"], str, str]:
    """Status, reason and message of the condition: the worst channel decides, and the message has all of them."""
    found = [(_reason(state), state) for state in states]
    worst = min((reason for reason, _ in found), key=_WORST_FIRST.index)
    if worst == _READY:
        nodes = ", ".join(f"`{state.channel}`: {state.status.ready}" for state in states if state.status)
        return "True", worst, f"All nodes have the images of the channels ({nodes})."
    wrong = "; ".join(_clause(reason, state) for reason, state in found if reason != _READY)
    runs = " Runs are not affected." if worst == _REFUSED else ""
    return "False", worst, f"{capitalized(wrong).rstrip('.')}.{runs}"


def _reason(state: ChannelState) -> str:
    if state.problem is not None:
        return state.problem.reason
    if state.status is None or not state.is_observed:
        return _PULLING
    if state.has_errors:
        return _NODES_NOT_READY
    if state.status.desired == 0:
        return _NO_NODES
    return _READY if state.status.ready >= state.status.desired else _PULLING


def _clause(reason: str, state: ChannelState) -> str:
    """What is wrong with a channel, or not done yet."""
    owner = f"channel `{state.channel}`: "
    if state.problem is not None:
        return owner + state.problem.message.rstrip(".")
    if state.status is None or not state.is_observed:
        return f"{owner}the DaemonSet has just been written"
    if reason == _NO_NODES:
        return f"{owner}no node matches `prePullNodes`"
    numbers = f"{owner}{state.status.ready} of {state.status.desired} nodes have the image"
    if reason == _NODES_NOT_READY:
        first = state.status.not_ready[0]
        return f"{numbers}; node `{first.name}`: {first.message}"
    return numbers
