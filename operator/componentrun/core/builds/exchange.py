"""What the operator and the containers of a build exchange.

operator     --(files of a Secret: inputs and logins; environment: registries and authorities)--> fetch, push
fetch        --(folder `control`, which the commands can't write)--> commands, push
fetch, push  --(termination message: a `StepReport`)--> operator
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from typing import Final

from componentrun.core.builds.dependencies.layer import DependencyLayer  # noqa: TC001 - `from_json` reads its fields
from componentrun.errors import ComponentRunError, TransientError
from componentrun.reasons import GUIDANCE, Reason
from componentrun.wire.documents import from_json, to_json

__all__ = [
    "AUTHORITIES_FILE",
    "BUILDER_VARIABLE",
    "CA_BUNDLE_VARIABLE",
    "CERTIFICATE_FILE",
    "CERTIFICATE_MOUNT",
    "CLIENT_FILES",
    "COMMANDS",
    "CONTROL_MOUNT",
    "FETCH",
    "GRANT_MOUNT",
    "HOME_MOUNT",
    "IMAGE_MOUNT",
    "INPUTS_FILE",
    "KEY_FILE",
    "LAYERS_FILE",
    "PLAIN_HTTP_VARIABLE",
    "PLAN_FILE",
    "PULL_FILE",
    "PUSH",
    "PUSH_FILE",
    "RECIPE_FILE",
    "SCRIPT_FILE",
    "SECRETS_MOUNT",
    "SOURCE_MOUNT",
    "STEPS",
    "STEP_COMMAND",
    "STEP_REPORT_BYTES",
    "TRUSTED_FILE",
    "StepReport",
    "failed",
    "read_report",
    "termination_message",
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
PLAN_FILE: Final = "dependencies.json"
AUTHORITIES_FILE: Final = "authorities.pem"
"""Files in the control folder. A build of a Dockerfile has no recipe and no plan of its dependencies, and may have
certificate authorities."""
SOURCE_MOUNT: Final = "/run/componentrun/source"
"""The repository, if a convention builds it: the script copies it into the folder of the code when the dependencies
are installed."""
HOME_MOUNT: Final = "/run/componentrun/home"
"""Caches and temporary files of the commands."""
IMAGE_MOUNT: Final = "/run/componentrun/image"
"""What BuildKit makes of a Dockerfile, as an OCI image layout."""
SECRETS_MOUNT: Final = "/run/componentrun/secrets"
"""Values that steps of a Dockerfile can mount, each in a file with its id as name."""
CERTIFICATE_MOUNT: Final = "/run/componentrun/builder"
TRUSTED_FILE: Final = "ca.crt"
CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
"""What a client of a BuildKit that stays needs: the authority that it trusts, and a certificate with its key."""
CLIENT_FILES: Final = (TRUSTED_FILE, CERTIFICATE_FILE, KEY_FILE)
GRANT_MOUNT: Final = "/run/componentrun/grant"
"""Folder of fetch and of push with files of their own Secret."""
INPUTS_FILE: Final = "inputs.json"
"""Everything that goes into the build. fetch also has the keys of the git login as files, each with its key as name."""
LAYERS_FILE: Final = "dependencies.json"
"""Layers of dependencies that earlier builds have pushed, for fetch."""
PULL_FILE: Final = "pull.json"
PUSH_FILE: Final = "push.json"
"""Docker configurations of push: logins that may read the parent image, and the one that may push."""

PLAIN_HTTP_VARIABLE: Final = "COMPONENTRUN_BUILD_PLAIN_HTTP"
"""Registries that are reached over HTTP without TLS, separated by commas."""
CA_BUNDLE_VARIABLE: Final = "COMPONENTRUN_BUILD_CA_BUNDLE"
"""Certificate authorities as PEM text."""
BUILDER_VARIABLE: Final = "COMPONENTRUN_BUILD_BUILDER"
"""Host and port of the BuildKit that stays and builds the Dockerfile; missing: BuildKit runs in the pod."""

STEP_REPORT_BYTES: Final = 3072
"""Maximum size of a report. A kubelet keeps 12 KiB for all containers of a pod in equal shares (`wire.chain`): enough
for the three of a build and one that a service mesh adds."""

_CUT: Final = " …"
_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DEFECT_ADVICE: Final = "This is up to the platform team: look at the log of the step in the build's pod."


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
    dependencies: DependencyLayer | None = None
    """push: the layer of the dependencies, if later builds can use it again."""
    were_reused: bool = False
    """push: whether it is that of an earlier build."""


def failed(error: BaseException, seconds: float) -> StepReport:
    """The report of a step that ended with an error.

    Unexpected errors are reported by type only, because their text may contain a login.

    Args:
        error: what ended the step.
        seconds: how long the step took.
    """
    if isinstance(error, ComponentRunError):
        return StepReport(
            ok=False,
            seconds=round(seconds, 3),
            reason=error.reason,
            message=error.summary,
            advice=error.advice or GUIDANCE[error.reason].advice or None,
            is_transient=isinstance(error, TransientError),
        )
    reason, message, advice = _unexpected(error)
    return StepReport(ok=False, seconds=round(seconds, 3), reason=reason, message=message, advice=advice or None)


def _unexpected(error: BaseException) -> tuple[Reason, str, str]:
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        advice = GUIDANCE[Reason.BUILD_DISK_FULL].advice
        return Reason.BUILD_DISK_FULL, f"the disk of the build is full ({errno.errorcode[error.errno]})", advice
    if isinstance(error, MemoryError):
        advice = GUIDANCE[Reason.BUILD_OUT_OF_MEMORY].advice
        return Reason.BUILD_OUT_OF_MEMORY, "the step needs more memory than its limit", advice
    kind = type(error).__name__
    detail = f" ({errno.errorcode.get(error.errno or 0, 'no code')})" if isinstance(error, OSError) else ""
    return Reason.INTERNAL, f"a defect of ComponentRun: {kind}{detail}; the step's log says where", _DEFECT_ADVICE


def termination_message(report: StepReport) -> str:
    """The report as JSON that the kubelet does not truncate: long texts are cut."""
    message, advice = report.message or "", report.advice or ""
    while (message or advice) and len(to_json(report).encode("utf-8", "replace")) > STEP_REPORT_BYTES:
        # Characters have different sizes, and some are escaped, so the length can't be computed.
        if len(message) >= len(advice):
            message = message[: len(message) * 3 // 4]
            report = replace(report, message=message + _CUT)
        else:
            advice = advice[: len(advice) * 3 // 4]
            report = replace(report, advice=advice + _CUT)
    return to_json(report)


def read_report(message: str) -> StepReport | None:
    """The report in a termination message; None if it is not one, such as the end of a log."""
    try:
        return from_json(StepReport, message)
    except (ValueError, RecursionError):
        return None
