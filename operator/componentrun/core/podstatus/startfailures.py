"""Why a container, or the component's program in it, could not be started, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.core.podstatus.results import excerpt
from componentrun.reasons import GUIDANCE, Reason

if TYPE_CHECKING:
    from componentrun.core.podstatus.view import ContainerView

__all__ = ["StartFailure", "why_it_can_not_run", "why_not_started"]

_CAN_NOT_RUN: Final = re.compile(
    r"^(?:standard_init_linux\.go:\d+: exec user process caused:?"
    r"|exec (?:container process )?`?(?P<program>[^`\n]*)`?:)"
    r" \"?(?P<why>exec format error|no such file or directory|permission denied)\"?\s*$",
    re.IGNORECASE,
)
"""Output of a container runtime if the kernel can't run a program that exists; it takes the place of the component's
last words. From runc with exit code 255, from crun, and from runc before 1.1 (which names no program) with 1."""
_WHY_NOT: Final = {
    "exec format error": (
        (
            "it was built for another kind of processor than that of node `{node}`, or is a script whose first line "
            "names no interpreter"
        ),
        "Build the image for the node's architecture, or correct the script.",
    ),
    "no such file or directory": (
        (
            "it is there, but what runs it is not: the interpreter that a script's first line names (a carriage return "
            "at that line's end is taken for part of the name), or the loader of a dynamically linked program"
        ),
        "Correct the line, or build the program for this image.",
    ),
    "permission denied": (
        "the interpreter that its first line names may not be executed, or its volume holds no programs",
        "Correct the rights in the image.",
    ),
}
"""The cause and the advice, by the kernel's error."""
_ADVICE: Final = {
    # runc: a process needs some MiB before its program begins
    "memory limit": "Give the run a larger `size` or more memory in `resources`.",
    "exec format error": "Build the image for the node's architecture; a script needs a first line as `#!/bin/sh`.",
    "read-only file system": "The Component has its root read-only (`readOnlyRootFilesystem`): have the image bring "
    "what is to be made there, such as its working folder, or let it write.",
}
"""Advice by the runtime's message."""


class StartFailure(NamedTuple):
    """Why a container or its program could not be started, and what to do about it."""

    summary: str
    advice: str


def why_it_can_not_run(container: ContainerView, node: str) -> StartFailure | None:
    """Why the kernel does not run a program that is in the image; None if something else was printed.

    Args:
        container: the component or a processor, ended. Its message stands in place of its last words.
        node: the name of its node.
    """
    found = _CAN_NOT_RUN.match(container.message) if container.is_program else None
    if found is None:
        return None
    whose = f"The program of {container.title}" if container.processor else "The component's program"
    program = whose + (f" `{excerpt(found['program'])}`" if found["program"] else "")
    error = found["why"].lower()
    cause, advice = _WHY_NOT[error]
    return StartFailure(f"{program} can't be run ({error}): {cause.format(node=node)}.", advice)


def why_not_started(container: ContainerView) -> StartFailure:
    """Why a container could not be started, in the runtime's own words."""
    words = excerpt(container.message) or "no details were given"
    advice = "This is up to the platform team: look at the agents' image."
    if container.reason.endswith("HookError"):
        advice = "This is up to the platform team: look at the node's kubelet."
    elif container.is_program:
        usual = GUIDANCE[Reason.START_FAILED].advice
        advice = next((special for part, special in _ADVICE.items() if part in words), usual)
    return StartFailure(f"Container `{container.name}` could not be started ({container.reason}): {words}.", advice)
