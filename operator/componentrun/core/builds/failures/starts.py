"""Containers of a build that can't be started, and images that can't be pulled."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.core.builds.exchange import COMMANDS
from componentrun.core.podstatus.pullfailures import OTHER_MACHINES, is_outage, is_refusal, outage, refusal
from componentrun.core.podstatus.results import capitalized, excerpt
from componentrun.core.podstatus.stuck import (
    IMAGE_AT_ONCE,
    IMAGE_REASONS,
    START_REASONS,
    may_change,
    patience_seconds,
)
from componentrun.core.podstatus.view import START_ERRORS
from componentrun.reasons import GUIDANCE, Reason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.core.podstatus.view import ContainerView

__all__ = ["StartFailure", "next_look", "start_failure", "wait_failure"]

IMAGE_PULL_SECONDS: Final = 60
"""How long an image may fail to be pulled. As `core.limits.Limits.image_pull`."""
_OTHER_PROCESSOR: Final = re.compile(r"exec format error", re.IGNORECASE)
_NO_SHELL: Final = re.compile(r"/bin/sh\W.*(?:no such file or directory|not found)", re.IGNORECASE | re.DOTALL)
_MEMORY: Final = re.compile(r"memory limit|container init was OOM-killed", re.IGNORECASE)
_EXEC_ERROR: Final = re.compile(r"^exec (?:container process )?`?[^`\n]*`?: \"?exec format error", re.IGNORECASE)
"""Output of a runtime if the kernel can't run the shell; it takes the place of what the commands print."""
_OTHER_PARENT: Final = "Choose a parent image for this platform."
_PLATFORM: Final = "This is up to the platform team: check the chart's `image` and `imagePullSecrets`."
_RUNTIME: Final = "This is up to the platform team: look at the node's container runtime."


class StartFailure(NamedTuple):
    """Why a container does not start, and what to do about it."""

    reason: Reason
    message: str
    advice: str
    is_transient: bool = False


def start_failure(container: ContainerView, parent: str, node: str) -> StartFailure | None:
    """Why the program of a container that has ended could not be started; None if it was.

    Args:
        container: a container that has failed.
        parent: the parent image.
        node: the pod's node.
    """
    is_of_runtime = container.reason in START_ERRORS
    if not is_of_runtime and not (container.name == COMMANDS and _EXEC_ERROR.match(container.message)):
        return None
    return _cause(container, parent, f" of node `{node}`" if node else "")


def wait_failure(container: ContainerView, parent: str, since: datetime, now: datetime) -> StartFailure | None:
    """Why waiting for a container has no point any more; None if it has.

    Args:
        container: a container that waits.
        parent: the parent image.
        since: when it could have started.
        now: the time.
    """
    if container.reason in IMAGE_REASONS:
        is_given_up = container.reason in IMAGE_AT_ONCE or now >= _patience_ends(container, since)
        return _image_failure(container, parent) if is_given_up else None
    if container.reason not in START_REASONS or (may_change(container) and now < _patience_ends(container, since)):
        return None
    return _cause(container, parent, "")


def next_look(container: ContainerView, since: datetime) -> datetime | None:
    """When `wait_failure` gives another result although nothing changes; None: never."""
    return _patience_ends(container, since) if container.reason in IMAGE_REASONS | START_REASONS else None


def _patience_ends(container: ContainerView, since: datetime) -> datetime:
    return since + timedelta(seconds=patience_seconds(container, IMAGE_PULL_SECONDS))


def _cause(container: ContainerView, parent: str, where: str) -> StartFailure:
    words = excerpt(container.message) or "no details were given"
    usual = f"Step `{container.name}` could not be started ({container.reason}): {words}."
    if container.name != COMMANDS:
        return StartFailure(Reason.START_FAILED, usual, _RUNTIME)
    if _OTHER_PROCESSOR.search(container.message):
        message = f"Parent image `{parent}` is for another kind of processor than that{where or ' of the node'}."
        return StartFailure(Reason.PARENT_UNAVAILABLE, message, _OTHER_PARENT)
    if _NO_SHELL.search(container.message):
        message = f"Parent image `{parent}` has no shell: the commands need `/bin/sh`."
        return StartFailure(Reason.PARENT_UNAVAILABLE, message, "Choose a parent image that has a shell.")
    if _MEMORY.search(container.message):
        return StartFailure(Reason.BUILD_OUT_OF_MEMORY, usual, GUIDANCE[Reason.BUILD_OUT_OF_MEMORY].advice)
    return StartFailure(Reason.START_FAILED, usual, _RUNTIME)


def _image_failure(container: ContainerView, parent: str) -> StartFailure:
    """An image that can't be pulled: because of the registry, or because of the image."""
    image = container.image or parent
    is_parent = container.name == COMMANDS
    whose = f"Parent image `{parent}`" if is_parent else f"The image of step `{container.name}` (the platform's own)"
    words = excerpt(container.message) or "no reason given"
    if is_outage(f"{container.reason} {container.message}") and not is_refusal(container.message):
        found = outage(image, container.message)
        message = f"{whose} can't be pulled now ({container.reason}): {found.summary if found else words}."
        advice = found.advice if found else GUIDANCE[Reason.REGISTRY_UNAVAILABLE].advice
        return StartFailure(Reason.REGISTRY_UNAVAILABLE, message, advice, is_transient=True)
    found = refusal(image, container.message)
    cause = f"{capitalized(found.summary)}. The node reports: {words}" if found else words
    message = f"{whose} can't be pulled ({container.reason}): {cause}."
    if not is_parent:
        return StartFailure(Reason.IMAGE_PULL_FAILED, message, _PLATFORM)
    advice = found.advice if found else GUIDANCE[Reason.PARENT_UNAVAILABLE].advice
    if OTHER_MACHINES.search(container.message):
        advice = _OTHER_PARENT
    return StartFailure(Reason.PARENT_UNAVAILABLE, message, advice)
