"""Why a container, or the component's program in it, could not be started, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.core.podstatus.results import excerpt

if TYPE_CHECKING:
    from componentrun.core.lifecycle.observed import ContainerView

__all__ = ["why_it_can_not_run", "why_not_started"]

_CAN_NOT_RUN: Final = re.compile(
    r"^(?:standard_init_linux\.go:\d+: exec user process caused:?"
    r"|exec (?:container process )?`?(?P<program>[^`\n]*)`?:)"
    r" \"?(?P<why>exec format error|no such file or directory|permission denied)\"?\s*$",
    re.IGNORECASE,
)
"""All that a container runtime prints where the kernel does not run a program that is there: it stands where the
component's words would be. runc with exit code 255, crun, and runc before 1.1 (which names no program), with 1."""
_WHY_NOT: Final = {
    "exec format error": "it was built for another kind of processor than that of node `{node}`, or is a script whose "
    "first line names no interpreter. Build the image for the node's architecture, or correct the script.",
    "no such file or directory": "it is there, but what runs it is not: the interpreter that a script's first line "
    "names (a carriage return at that line's end is taken for part of the name), or the loader of a dynamically linked "
    "program. Correct the line, or build the program for this image.",
    "permission denied": "the interpreter that its first line names may not be executed, or its volume holds no "
    "programs. Correct the rights in the image.",
}
_CHECK_THE_IMAGE: Final = "Check the command, the image's entrypoint and the user it needs."
_ADVICE: Final = {
    # runc: a process needs some MiB before its program begins
    "memory limit": "Give the run a larger `size` or more memory in `resources`.",
    "exec format error": "Build the image for the node's architecture; a script needs a first line as `#!/bin/sh`.",
    "read-only file system": "The Component has its root read-only (`readOnlyRootFilesystem`): have the image bring "
    "what is to be made there, such as its working folder, or let it write.",
}
"""What to do, by what the runtime said."""


def why_it_can_not_run(printed: str, node: str) -> str | None:
    """What to tell of a program that is there and that the kernel does not run; None where something else was printed.

    Args:
        printed: what stands where the component's last words would be.
        node: its name.
    """
    found = _CAN_NOT_RUN.match(printed)
    if found is None:
        return None
    program = "The component's program" + (f" `{excerpt(found['program'])}`" if found["program"] else "")
    why = found["why"].lower()
    return f"{program} can't be run ({why}): {_WHY_NOT[why].format(node=node)}"


def why_not_started(container: ContainerView) -> str:
    """What to tell of a container that could not be started: the runtime's own words, and where to look."""
    said = excerpt(container.message) or "no more was said"
    advice = "This is the platform's to mend: look at the agents' image."
    if container.reason.endswith("HookError"):
        advice = "This is the platform's to mend: look at the node's kubelet."
    elif container.name == names.COMPONENT:
        advice = next((more for words, more in _ADVICE.items() if words in said), _CHECK_THE_IMAGE)
    return f"Container `{container.name}` could not be started ({container.reason}): {said}. {advice}"
