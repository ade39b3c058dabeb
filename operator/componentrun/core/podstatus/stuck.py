"""Pending pods: why a pod has not started, how long to wait, and when to check again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.core.podstatus.diagnosis import start_failure
from componentrun.core.podstatus.pullfailures import OTHER_MACHINES, is_outage, is_refusal, outage, refusal
from componentrun.core.podstatus.results import capitalized, excerpt
from componentrun.core.podstatus.verdict import Diagnosis, verdict
from componentrun.errors import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.core.images.problems import ImageProblem
    from componentrun.core.podstatus.facts import PodFacts
    from componentrun.core.podstatus.view import ContainerView

__all__ = [
    "IMAGE_AT_ONCE",
    "IMAGE_REASONS",
    "START_REASONS",
    "is_overdue",
    "may_change",
    "next_look",
    "patience_seconds",
    "stuck",
]

IMAGE_AT_ONCE: Final = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_IMAGE_FIRST_LOOK: Final = "ErrImagePull"
IMAGE_REASONS: Final = IMAGE_AT_ONCE | {
    _IMAGE_FIRST_LOOK, "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed",
}  # fmt: skip
_SECOND_LOOK_SECONDS: Final = 10
"""The kubelet's first back-off."""
_HOOKS: Final = frozenset({"PreCreateHookError", "PreStartHookError"})
"""Errors of the kubelet's resource managers, which it retries."""
START_REASONS: Final = _HOOKS | {
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff",
}  # fmt: skip
_DENIED: Final = re.compile(
    r"denied|unauthori[sz]ed|authentication required|authorization failed|insufficient_scope|forbidden|no basic auth",
    re.IGNORECASE,
)
"""Answers of a registry that requires a login; many also give them for images that do not exist."""
_IMAGE_ADVICE: Final = {
    OTHER_MACHINES: "The image does not exist for the node's architecture: build it, or choose other nodes by "
    "`podTemplate.nodeSelector`.",
    _DENIED: "Check the name, and whether the registry wants a login: name a Secret that holds one in "
    "`podTemplate.imagePullSecrets`.",
    re.compile(r"x509|HTTP response to HTTPS client|first record does not look like a TLS", re.IGNORECASE): (
        "The nodes use another protocol than the registry, or don't trust its certificate. This is up to the platform "
        "team: check the configuration of the nodes' container runtime."
    ),
    re.compile(r"no space left on device|ImageInspectError", re.IGNORECASE): (
        "This is up to the platform team: look at the node's disk and at its container runtime."
    ),
    re.compile(r"signature", re.IGNORECASE): (
        "The nodes accept only images with a trusted signature: have it signed, or the policy changed."
    ),
}
"""Advice for an image that can't be pulled, by the error; the first match applies."""
_MAY_CHANGE: Final = re.compile(
    r"deadline exceeded|is reserved for|timed? ?out|connection refused|code = Unavailable"
    r"|connection error: desc|error reading from server|(transport|connection) is closing|server is not initialized yet"
    r"|ttrpc: closed|context canceled|not yet been read at least once",
    re.IGNORECASE,
)
"""Complaints about a container runtime or a kubelet that is busy or restarts, not about a container that is wrong. The
kubelet tells a runtime's words without their code (kuberuntime_container.go, startContainer)."""


def stuck(pod: PodFacts) -> Diagnosis | None:
    """Why waiting for the component's start has no point any more; None if it has, or if the component started."""
    if not pod.component.is_waiting and pod.gap_began_at is None:
        return None
    for container in pod.waiting:
        found = _image_problem(container, pod) or _start_problem(container, pod)
        if found is not None:
            return found
    return _overdue(pod) if pod.now >= pod.start_deadline else None


def next_look(pod: PodFacts) -> datetime:
    """The earliest time at which something that is awaited is overdue."""
    times = [pod.step_deadline]
    if pod.given_up_at is not None:
        times.append(pod.given_up_at)
    if pod.component.is_waiting:
        times.extend(_patience_ends(c, pod) for c in pod.waiting if c.reason in IMAGE_REASONS | START_REASONS)
    return min(times)


def is_overdue(pod: PodFacts, *, is_stopping: bool) -> bool:
    """Whether a report about a pod that exists should have come, so that the watch may be behind.

    Args:
        pod: exists, and is not complete.
        is_stopping: the pod is being stopped, so the timeout of its component no longer counts.
    """
    if pod.is_given_up:
        return True
    if pod.component.has_ended:
        return pod.now >= pod.step_deadline
    return not is_stopping and not pod.view.gates and pod.now >= next_look(pod)


def _patience_ends(container: ContainerView, pod: PodFacts) -> datetime:
    """When a container that can't get its image, or can't be created, has had its chance.

    An image is requested when the step before is over: when the pod was bound to its node, or when the last container
    ended. If the registry refused, a second look is enough: the kubelet's (which then reports another reason) or, as
    that comes up to half a minute later (seen), the operator's.
    """
    ended = [step.finished_at for step in (pod.stage_in, *pod.view.steps) if step.finished_at is not None]
    asked = max(pod.placed_at, *ended) if ended else max(pod.placed_at, pod.view.created)
    return asked + timedelta(seconds=patience_seconds(container, pod.limits.image_pull))


def patience_seconds(container: ContainerView, image_pull: float) -> float:
    """How long a container may fail to get its image or to be created, from the first request for its image.

    Args:
        container: a container that waits.
        image_pull: the usual limit in seconds.
    """
    if container.reason not in IMAGE_REASONS or not is_refusal(container.message):
        return image_pull
    second_look = _SECOND_LOOK_SECONDS if container.reason == _IMAGE_FIRST_LOOK else 0
    return min(second_look, image_pull)


def may_change(container: ContainerView) -> bool:
    """Whether the error of a container that can't be created is that of a runtime or a kubelet that is busy."""
    return container.reason in _HOOKS or _MAY_CHANGE.search(container.message) is not None


def _image_problem(container: ContainerView, pod: PodFacts) -> Diagnosis | None:
    """At once if the name is invalid, else when its chance is over."""
    if container.reason not in IMAGE_REASONS:
        return None
    if container.reason not in IMAGE_AT_ONCE and pod.now < _patience_ends(container, pod):
        return None
    words = excerpt(container.message) or "no reason given"
    whose = container.title if container.is_program else f"{container.title} (the platform's own)"
    is_refused = is_refusal(container.message) or container.reason in IMAGE_AT_ONCE
    if not is_refused and is_outage(f"{container.reason} {container.message}"):
        found = outage(container.image, container.message)
        return verdict(
            Reason.REGISTRY_UNAVAILABLE,
            f"The registry does not give the image of {whose} ({container.reason}): {_sentence(found, words)}.",
            container.name,
            advice=found.advice if found is not None else None,
        )
    found = refusal(container.image, container.message)
    return verdict(
        Reason.IMAGE_PULL_FAILED,
        f"The image of {whose} can't be pulled ({container.reason}): {_sentence(found, words)}.",
        container.name,
        advice=_image_advice(container, found),
    )


def _sentence(found: ImageProblem | None, words: str) -> str:
    """The cause, if it is known, and the node's own words."""
    return words if found is None else f"{found.summary}. The node reports: {words}"


def _image_advice(container: ContainerView, found: ImageProblem | None) -> str | None:
    """What to do about an image that can't be pulled; None for the usual."""
    if not container.is_program:
        return "This is up to the platform team: check the chart's `image` and `imagePullSecrets`."
    if found is not None:
        return found.advice
    words = f"{container.reason} {container.message}"
    return next((advice for pattern, advice in _IMAGE_ADVICE.items() if pattern.search(words)), None)


def _start_problem(container: ContainerView, pod: PodFacts) -> Diagnosis | None:
    if container.reason not in START_REASONS:
        return None
    if may_change(container) and pod.now < _patience_ends(container, pod):
        return None
    return start_failure(container)


def _overdue(pod: PodFacts) -> Diagnosis:
    """The pod's present step took too long, without anything that would explain it."""
    seconds = round((pod.now - pod.available_at).total_seconds())
    if not pod.view.scheduled:
        why = excerpt(pod.view.unschedulable) or "no scheduler has looked at it"
        return verdict(Reason.UNSCHEDULABLE, f"No node could take the pod for {seconds} s: {why}.")
    held = next((f" ({c.name}: {c.reason} {excerpt(c.message)}".rstrip() + ")" for c in pod.waiting if c.reason), "")
    if pod.gap_began_at is not None:
        return _gap_overdue(pod, pod.gap_began_at, held)
    if pod.stage_in.is_waiting:
        seconds = round((pod.now - pod.placed_at).total_seconds())
        return verdict(
            Reason.START_FAILED,
            f"Node `{pod.view.node}` has not started the pod for {seconds} s{held}.",
            advice="Look at the pod's events and at the node's kubelet.",
        )
    if pod.stage_in.is_running:
        return verdict(
            Reason.STAGE_IN_FAILED,
            f"Bringing the input took too long: `stage-in` still runs, {seconds} s after the pod was created.",
            names.STAGE_IN,
            advice="Look at its log and at the store.",
        )
    return verdict(
        Reason.START_FAILED,
        f"The component has not started, {seconds} s after the pod was created, though its input is there{held}.",
        names.COMPONENT,
        advice="Check whether its image is very large, and look at the pod's events.",
    )


def _gap_overdue(pod: PodFacts, since: datetime, held: str) -> Diagnosis:
    """Between two steps for too long: an agent that does not come to an end, or a step that is not started."""
    step, seconds = pod.component, round((pod.now - since).total_seconds())
    if step.is_running:
        return verdict(
            Reason.STAGE_IN_FAILED,
            f"Preparing the data folder took too long: {step.title} still runs, {seconds} s after the last step ended.",
            step.name,
            advice="Look at its log and at the node's disk.",
        )
    return verdict(
        Reason.START_FAILED,
        f"{capitalized(step.title)} has not started, {seconds} s after the step before ended{held}.",
        step.name,
        advice="Check whether its image is very large, and look at the pod's events.",
    )
