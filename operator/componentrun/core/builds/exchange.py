"""What the operator and the containers of a build exchange.

operator     --(files of a Secret: inputs and logins; environment: registries and authorities)--> fetch, push
fetch        --(folder `control`, which the commands can't write)--> commands, push
fetch, push  --(termination message: a `StepReport`)--> operator
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "CA_BUNDLE_VARIABLE",
    "COMMANDS",
    "CONTROL_MOUNT",
    "FETCH",
    "GRANT_MOUNT",
    "HOME_MOUNT",
    "INPUTS_FILE",
    "PLAIN_HTTP_VARIABLE",
    "PULL_FILE",
    "PUSH",
    "PUSH_FILE",
    "RECIPE_FILE",
    "SCRIPT_FILE",
    "STEPS",
    "STEP_COMMAND",
    "STEP_REPORT_BYTES",
    "StepReport",
]

FETCH: Final = "fetch"
COMMANDS: Final = "commands"
PUSH: Final = "push"
STEPS: Final = (FETCH, COMMANDS, PUSH)
"""Steps of a build, which are the containers of its pod, in order."""
STEP_COMMAND: Final = ("python3", "-m", "componentrun.builder")
"""Command of fetch and push; the name of the step follows."""

CONTROL_MOUNT: Final = "/run/componentrun/control"
SCRIPT_FILE: Final = "script"
RECIPE_FILE: Final = "recipe.json"
"""Files in the control folder."""
HOME_MOUNT: Final = "/run/componentrun/home"
"""Caches and temporary files of the commands."""
GRANT_MOUNT: Final = "/run/componentrun/grant"
"""Folder of fetch and of push with files of their own Secret."""
INPUTS_FILE: Final = "inputs.json"
"""Everything that goes into the build. fetch also has the keys of the git login as files, each with its key as name."""
PULL_FILE: Final = "pull.json"
PUSH_FILE: Final = "push.json"
"""Docker configurations of push: logins that may read the parent image, and the one that may push."""

PLAIN_HTTP_VARIABLE: Final = "COMPONENTRUN_BUILD_PLAIN_HTTP"
"""Registries that are reached over HTTP without TLS, separated by commas."""
CA_BUNDLE_VARIABLE: Final = "COMPONENTRUN_BUILD_CA_BUNDLE"
"""Certificate authorities as PEM text."""

STEP_REPORT_BYTES: Final = 3072
"""Maximum size of a report. A kubelet keeps 12 KiB for all containers of a pod in equal shares (`wire.chain`): enough
for the three of a build and one that a service mesh adds."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What fetch or push report at their end."""

    ok: bool
    seconds: float = 0.0
    reason: str | None = None
    """A `Reason` if not ok."""
    message: str | None = None
    """What failed and why, if not ok."""
    advice: str | None = None
    """What to do about it."""
    is_transient: bool = False
    """Whether the same build may succeed later."""
    digest: str | None = None
    """push: digest of the image."""
    was_there: bool = False
    """push: whether the image was there, so that nothing was sent."""
    sent_bytes: int = 0
    mounted_layers: int = 0
    known_layers: int = 0
    copied_layers: int = 0
    """push: see `api.build.PushedLayers`."""
