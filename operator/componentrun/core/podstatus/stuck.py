"""Pending pods: why a pod has not started, how long to wait, and when to check again."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from componentrun import contract
from componentrun.api import names
from componentrun.core.podstatus.diagnosis import Diagnosis, start_failure
from componentrun.core.podstatus.facts import before_start, failed_stage_in
from componentrun.core.podstatus.results import excerpt
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.api.componentrun import ComponentRunStatus
    from componentrun.core.lifecycle.observed import ContainerView, Limits, PodView

__all__ = [
    "admitted",
    "given_up_at",
    "has_begun",
    "has_ended",
    "is_overdue",
    "is_through",
    "next_look",
    "occupies",
    "stuck",
    "timeout_at",
    "with_api_server_times",
]

_IMAGE_AT_ONCE: Final = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_IMAGE_FIRST_LOOK: Final = "ErrImagePull"
_IMAGE: Final = _IMAGE_AT_ONCE | {
    _IMAGE_FIRST_LOOK, "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed",
}  # fmt: skip
_SECOND_LOOK_SECONDS: Final = 10
"""The kubelet's first back-off."""
_HOOKS: Final = frozenset({"PreCreateHookError", "PreStartHookError"})
"""The kubelet's own, of its resource managers; it tries again."""
_START: Final = _HOOKS | {
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff",
}  # fmt: skip
_OTHER_MACHINES: Final = re.compile(
    r"no match for platform|no matching manifest|no image found in [a-z ]+ for architecture", re.IGNORECASE
)
"""Of an image that there is for other kinds of processors only: containerd's words, Docker's and those of CRI-O."""
_WILL_NOT_CHANGE: Final = re.compile(
    r"not found|denied|unauthori[sz]ed|authentication required|authorization failed|insufficient_scope|forbidden"
    rf"|manifest unknown|name unknown|does not exist|{_OTHER_MACHINES.pattern}",
    re.IGNORECASE,
)
"""Answers of a registry that trying again does not change."""
_AWAY: Final = re.compile(
    r"i/o timeout|timed? ?out|deadline exceeded|connection (refused|reset)|no such host|unreachable|no route to host"
    r"|server misbehaving|\bEOF\b|too ?many ?requests|\b(408|429|50[0234]|52[0-4])\b|Service Unavailable|Bad Gateway"
    r"|RegistryUnavailable|TLS handshake timeout|context canceled|code = Unavailable|QPS exceeded",
    re.IGNORECASE,
)
"""What is said of a registry that does not answer, or not now, and of a node that asks too many at a time."""
_DENIED: Final = re.compile(
    r"denied|unauthori[sz]ed|authentication required|authorization failed|insufficient_scope|forbidden|no basic auth",
    re.IGNORECASE,
)
"""Answers of a registry that wants to know who asks; many say so, too, of what does not exist."""
_IMAGE_ADVICE: Final = {
    _OTHER_MACHINES: "There is none for the node's architecture: build one, or choose other nodes by "
    "`podTemplate.nodeSelector`.",
    _DENIED: "Check the name, and whether the registry wants a login: name a Secret that holds one in "
    "`podTemplate.imagePullSecrets`.",
    re.compile(r"x509|HTTP response to HTTPS client|first record does not look like a TLS", re.IGNORECASE): (
        "The nodes speak to the registry in another way than it does, or don't trust its certificate: this is the "
        "platform's to mend, at the nodes' container runtime."
    ),
    re.compile(r"no space left on device|ImageInspectError", re.IGNORECASE): (
        "This is the platform's to mend: look at the node's disk and at its container runtime."
    ),
    re.compile(r"signature", re.IGNORECASE): (
        "The nodes take only images with a signature that they know: have it signed, or their policy changed."
    ),
}
"""What to do about an image that can't be pulled, by what was answered; the first that fits."""
_MAY_CHANGE: Final = re.compile(
    r"deadline exceeded|is reserved for|timed? ?out|connection refused|code = Unavailable"
    r"|connection error: desc|error reading from server|(transport|connection) is closing|server is not initialized yet"
    r"|ttrpc: closed|context canceled|not yet been read at least once",
    re.IGNORECASE,
)
"""Complaints about a container runtime or a kubelet that is busy or restarts, not about a container that is wrong. The
kubelet tells a runtime's words without their code (kuberuntime_container.go, startContainer)."""

_CLOCKS: Final = timedelta(seconds=10)
"""By which the clocks of two operators, each left as it is, may differ."""


def admitted(pod: PodView, status: ComponentRunStatus, now: datetime) -> PodView:
    """The pod with the time at which its scheduling gates were seen to be gone; what waits for it counts from then."""
    if pod.gates or not status.attempts:
        return pod
    pending = next((item.start_time for item in reversed(status.phases) if item.phase == "Pending"), None)
    since = now if status.phase == "Queued" else pending
    if since is None or since <= status.attempts[-1].start_time:
        return pod
    return replace(pod, admitted_at=since)


def with_api_server_times(pod: PodView, status: ComponentRunStatus, now: datetime) -> PodView:
    """The pod with what is to be taken from its containers' times, where its node's clock is ahead.

    Not where it is ahead by no more than a clock may be that counts as right (decision 0024).
    """
    if not status.attempts:
        return pod
    begin, ahead = status.attempts[-1].start_time, timedelta()
    for phase, container in (("StagingIn", pod.stage_in), ("Running", pod.component)):
        if container is None or container.started_at is None:
            continue
        times = (item.start_time for item in reversed(status.phases) if item.phase == phase)
        seen = next((time for time in times if time >= begin), now)
        ahead = max(ahead, container.started_at - seen)
    return replace(pod, clock_ahead=ahead) if ahead > _CLOCKS else pod


def occupies(pod: PodView) -> bool:
    """Whether the component may still run in it, or start: also where the pod is only said to be gone."""
    if pod.ended or (pod.gone and pod.confirmed):
        return False
    if pod.stage_in is not None and failed_stage_in(pod.stage_in):
        return False
    return pod.component is None or pod.component.state != "terminated"


def has_begun(pod: PodView) -> bool:
    """Whether a container of it has been started: then its volumes were there, and so was its Secret."""
    return any(
        container.state != "waiting" or container.restarts or container.ran_before
        for container in (pod.stage_out, pod.stage_in, pod.component)
        if container is not None
    )


def stuck(pod: PodView, limits: Limits, now: datetime) -> Diagnosis | None:
    """Why waiting for the component's start has no point any more; None where it has, or where it started."""
    if not before_start(pod):
        return None
    for container in _waiting(pod):
        found = _image_problem(container, pod, limits, now) or _start_problem(container, pod, limits, now)
        if found is not None:
            return found
    return _overdue(pod, now) if now >= _start_deadline(pod, limits) else None


def next_look(pod: PodView, limits: Limits) -> datetime:
    """When something that is being waited for is overdue; the earliest of all."""
    times = [_progress_deadline(pod, limits)]
    if (given_up := given_up_at(pod, limits)) is not None:
        times.append(given_up)
    if before_start(pod):
        times.extend(_patience_ends(c, pod, limits) for c in _waiting(pod) if c.reason in _IMAGE | _START)
    return min(times)


def has_ended(pod: PodView, limits: Limits, now: datetime) -> bool:
    """Whether the pod has finished: succeeded, failed, deleted, or lost with its node.

    A failed stage-in is enough: whether and when the kubelet then stops the sidecar differs between releases.
    """
    if pod.gone or is_through(pod):
        return True
    given_up = given_up_at(pod, limits)
    if given_up is not None and now >= given_up:
        return True
    if pod.component is None or pod.component.state != "terminated":
        return False
    return now >= _progress_deadline(pod, limits)


def is_through(pod: PodView) -> bool:
    """Whether the end of all that matters in the pod was seen: whether it is there any more adds nothing to that."""
    if pod.ended or (pod.stage_in is not None and failed_stage_in(pod.stage_in)):
        return True
    containers = (pod.component, pod.stage_out)
    return all(container is not None and container.state == "terminated" for container in containers)


def is_overdue(pod: PodView, limits: Limits, now: datetime, *, is_stopping: bool) -> bool:
    """Whether something should have been heard of a pod that is there: it may be that the watch does not tell.

    Args:
        pod: there, and not through.
        limits: how long what may take.
        now: the time.
        is_stopping: it is decided that the pod is to end; how long its component may run counts no more.
    """
    given_up = given_up_at(pod, limits)
    if given_up is not None and now >= given_up:
        return True
    if pod.component is not None and pod.component.state == "terminated":
        return now >= _progress_deadline(pod, limits)
    return not is_stopping and not pod.gates and now >= next_look(pod, limits)


def given_up_at(pod: PodView, limits: Limits) -> datetime | None:
    """When a pod that was told to go counts as lost with its node; None while nobody has told it.

    It has its grace period, which is long, if its kubelet has heard of that. One that answers says so within seconds.
    """
    if pod.deleted_at is None:
        return None
    grace = 0 if pod.heard else pod.deletion_grace_seconds or 0
    return pod.deleted_at - timedelta(seconds=grace) + timedelta(seconds=limits.node_lost)


def timeout_at(pod: PodView) -> datetime | None:
    """When the component has run for as long as it may; None while it does not run."""
    if pod.component is None or pod.component.state != "running":
        return None
    seconds = pod.timeout_seconds or contract.DEFAULT_TIMEOUT_SECONDS
    return _ours(pod, pod.component.started_at) + timedelta(seconds=seconds)


def _progress_deadline(pod: PodView, limits: Limits) -> datetime:
    """When the step that the pod is at should be over."""
    timeout = timeout_at(pod)
    if timeout is not None:
        return timeout
    component = pod.component
    if component is None or component.state == "waiting":
        return _start_deadline(pod, limits)
    ended = _ours(pod, component.finished_at or component.started_at)
    return ended + timedelta(seconds=pod.upload_seconds + limits.node_lost)


def _ours(pod: PodView, told: datetime | None) -> datetime:
    """Event time reported by the node, clamped to the pod's creation time if the node's clock is behind."""
    # Subtract the smaller of the two, so that an absurd time still gives a valid datetime.
    return pod.created if told is None else told - min(pod.clock_ahead, told - pod.created)


def _start_deadline(pod: PodView, limits: Limits) -> datetime:
    """For a node and a kubelet that answers, then for stage-in and the component's image."""
    if pod.stage_in is not None and pod.stage_in.state != "waiting":
        return _ours(pod, pod.stage_in.started_at) + timedelta(seconds=limits.stage_in)
    return pod.placed + timedelta(seconds=limits.pending)


def _patience_ends(container: ContainerView, pod: PodView, limits: Limits) -> datetime:
    """When a container that can't get its image, or can't be created, has had its chance.

    An image is asked for when the step before is over: when the pod got its node, or at the end of stage-in. Where the
    registry said no, a second look is enough: the kubelet's (it then says so by another reason) or, as that comes up to
    half a minute later (seen), ours.
    """
    staged = pod.stage_in.finished_at if pod.stage_in is not None else None
    asked = max(pod.placed, _ours(pod, staged))
    if container.reason not in _IMAGE or not _WILL_NOT_CHANGE.search(container.message):
        return asked + timedelta(seconds=limits.image_pull)
    second_look = _SECOND_LOOK_SECONDS if container.reason == _IMAGE_FIRST_LOOK else 0
    return asked + timedelta(seconds=min(second_look, limits.image_pull))


def _image_problem(container: ContainerView, pod: PodView, limits: Limits, now: datetime) -> Diagnosis | None:
    """At once where the name is none, else when its chance is over."""
    if container.reason not in _IMAGE:
        return None
    if container.reason not in _IMAGE_AT_ONCE and now < _patience_ends(container, pod, limits):
        return None
    said = excerpt(container.message) or "no reason given"
    whose = "the component" if container.name == names.COMPONENT else f"`{container.name}` (the platform's own)"
    known = _WILL_NOT_CHANGE.search(container.message) or container.reason in _IMAGE_AT_ONCE
    if not known and _AWAY.search(f"{container.reason} {container.message}"):
        return Diagnosis(
            Reason.REGISTRY_UNAVAILABLE,
            f"The registry does not give the image of {whose} ({container.reason}): {said}. "
            "Look whether it can be reached from the nodes.",
            container.name,
        )
    return Diagnosis(
        Reason.IMAGE_PULL_FAILED,
        f"The image of {whose} can't be pulled ({container.reason}): {said}. {_image_advice(container)}",
        container.name,
    )


def _image_advice(container: ContainerView) -> str:
    """What to do about an image that can't be pulled."""
    if container.name != names.COMPONENT:
        return "This is the platform's to mend: look at the chart's `image` and `imagePullSecrets`."
    said = f"{container.reason} {container.message}"
    otherwise = "Check the name, the tag and the right to pull it (`podTemplate.imagePullSecrets`)."
    return next((advice for words, advice in _IMAGE_ADVICE.items() if words.search(said)), otherwise)


def _start_problem(container: ContainerView, pod: PodView, limits: Limits, now: datetime) -> Diagnosis | None:
    if container.reason not in _START:
        return None
    may_change = container.reason in _HOOKS or _MAY_CHANGE.search(container.message)
    if may_change and now < _patience_ends(container, pod, limits):
        return None
    return start_failure(container)


def _overdue(pod: PodView, now: datetime) -> Diagnosis:
    """The step that the pod is at took too long, without anything that would explain it."""
    seconds = round((now - pod.available).total_seconds())
    if not pod.scheduled:
        said = excerpt(pod.unschedulable) or "no scheduler has looked at it"
        return Diagnosis(
            Reason.UNSCHEDULABLE,
            f"No node could take the pod for {seconds} s: {said}. Ask for less, correct `podTemplate` (nodeSelector, "
            "affinity, tolerations), or have nodes added.",
        )
    stage_in = pod.stage_in
    held = next((f" ({c.name}: {c.reason} {excerpt(c.message)}".rstrip() + ")" for c in _waiting(pod) if c.reason), "")
    if stage_in is None or stage_in.state == "waiting":
        return Diagnosis(
            Reason.START_FAILED,
            f"Node `{pod.node}` has not started the pod for {round((now - pod.placed).total_seconds())} s{held}. "
            "Look at the pod's events and at the node's kubelet.",
        )
    if stage_in.state == "running":
        return Diagnosis(
            Reason.STAGE_IN_FAILED,
            f"Bringing the input took too long: `stage-in` still runs, {seconds} s after the pod was made. "
            "Look at its log and at the store.",
            names.STAGE_IN,
        )
    return Diagnosis(
        Reason.START_FAILED,
        f"The component has not started, {seconds} s after the pod was made, though its input is there{held}. "
        "Look whether its image is very large, and at the pod's events.",
        names.COMPONENT,
    )


def _waiting(pod: PodView) -> Iterator[ContainerView]:
    """Containers that wait, in the order in which they start."""
    for container in (pod.stage_out, pod.stage_in, pod.component):
        if container is not None and container.state == "waiting":
            yield container
