"""Why the commands of a build failed, from their exit code and the end of what they printed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.core.builds.dockerfile import NO_BUILDER
from componentrun.core.builds.script import COMMAND_NOT_FOUND, STEP_LINE
from componentrun.core.builds.settings import FOLDER, USER
from componentrun.core.podstatus.errortext import error_sentence
from componentrun.core.podstatus.results import ending, excerpt
from componentrun.reasons import GUIDANCE, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.core.podstatus.view import ContainerView

__all__ = ["CommandFailure", "command_failure"]

_MOST_COMMAND: Final = 200
_MOST_CAUSE: Final = 300
"""Characters of a command, and of what it printed last, within a sentence."""
_STEP: Final = re.compile(rf"^{re.escape(STEP_LINE)} (?P<number>\d+) of (?P<count>\d+): (?P<line>.*)$", re.MULTILINE)
_NOT_FOUND: Final = re.compile(r"(?:^|: )(?P<program>[^\s:]+): (?:command )?not found$", re.MULTILINE)
"""What dash, bash and busybox print about a program that they do not find."""
_PACKAGES: Final = re.compile(r"\b(apt|apt-get|aptitude|dpkg|apk|yum|dnf|microdnf|zypper|sudo|su)\b")
"""Programs that need root."""
_ROOT: Final = re.compile(
    r"are you root\?|must be (?:run as )?root|requires? (?:root|superuser)|only root (?:can|may)"
    r"|superuser privileges|Operation not permitted"
    r"|Permission denied[^\n]*/(?:usr|var|etc|opt|root|lib|bin|sbin|srv)\b"
    r"|/(?:usr|var|etc|opt|root|lib|bin|sbin|srv)\b[^\n]*Permission denied",
    re.IGNORECASE,
)
_NOISE: Final = re.compile(r"^npm (?:error|ERR!) A complete log of this run can be found in:.*\n?", re.MULTILINE)
"""What programs print behind the cause of their failure."""
_DISK: Final = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
_NETWORK: Final = re.compile(
    r"Could not resolve host|Temporary failure in name resolution|Name or service not known|getaddrinfo|ENOTFOUND"
    r"|Network is unreachable|No route to host|Connection refused|Connection timed out|NewConnectionError|ECONNREFUSED",
    re.IGNORECASE,
)
_LOST_BUILDER: Final = re.compile(r"^error: .*rpc error: code = Unavailable\b")
"""What buildctl prints last if the connection to BuildKit broke."""
_NEEDS_ROOT: Final = (
    f"Commands run as user {USER} and can change `{FOLDER}` only. Choose a parent image that has what needs root or "
    "the system's package manager."
)
_NEEDS_NETWORK: Final = (
    "Check the address, and whether the platform lets builds connect to it: package indexes may have a mirror."
)


class CommandFailure(NamedTuple):
    """What failed, why, and what to do."""

    reason: Reason
    summary: str
    advice: str


def command_failure(commands: ContainerView, words: str | None, *, is_dockerfile: bool = False) -> CommandFailure:
    """Why the commands failed.

    Args:
        commands: their container, ended.
        words: the end of what they printed; None if the kubelet has nothing.
        is_dockerfile: whether BuildKit built a Dockerfile.
    """
    if is_dockerfile:
        return _dockerfile_failure(commands, words or "")
    step, printed = _last_step(words or "")
    which = "The commands" if step is None else f"Command {step['number']} of {step['count']}"
    line = "" if step is None else f" `{excerpt(step['line'], _MOST_COMMAND)}`"
    reason, advice = _cause(commands, printed, "" if step is None else step["line"])
    summary = f"{which}{line} ended with {ending(commands)}"
    printed = _NOISE.sub("", printed)
    cause = excerpt(error_sentence(printed).rpartition("\n")[2], _MOST_CAUSE) if printed.strip() else ""
    return CommandFailure(reason, f"{summary}: {cause}." if cause else f"{summary} and printed nothing.", advice)


def _dockerfile_failure(commands: ContainerView, words: str) -> CommandFailure:
    """The last line of BuildKit names the step; what the step printed is above it."""
    last = words.strip().rpartition("\n")[2]
    cause = excerpt(last.removeprefix("error: failed to solve: "), _MOST_CAUSE)
    if commands.exit_code == NO_BUILDER or _LOST_BUILDER.search(last):
        reason = Reason.BUILDER_UNAVAILABLE
        return CommandFailure(reason, f"The connection to BuildKit failed: {cause}.", GUIDANCE[reason].advice)
    summary = f"Building the Dockerfile ended with {ending(commands)}"
    reason = Reason.BUILD_DISK_FULL if _DISK.search(words) else Reason.BUILD_FAILED
    advice = _NEEDS_NETWORK if _NETWORK.search(words) else GUIDANCE[reason].advice
    return CommandFailure(reason, f"{summary}: {cause}." if cause else f"{summary} and printed nothing.", advice)


def _last_step(words: str) -> tuple[re.Match[str] | None, str]:
    """The line of the command that ran last, and what was printed behind it."""
    step = None
    for step in _STEP.finditer(words):  # noqa: B007 - the last one is wanted
        pass
    return (None, words) if step is None else (step, words[step.end() :])


def _cause(commands: ContainerView, printed: str, line: str) -> tuple[Reason, str]:
    missing = _NOT_FOUND.search(printed) if commands.exit_code == COMMAND_NOT_FOUND else None
    if missing is not None:
        program = missing["program"]
        if _PACKAGES.fullmatch(program):
            return Reason.BUILD_FAILED, _NEEDS_ROOT
        named = f"The parent image has no program `{excerpt(program, _MOST_COMMAND)}`"
        return Reason.BUILD_FAILED, f"{named}: choose one that has it, or correct the command."
    if _DISK.search(printed):
        return Reason.BUILD_DISK_FULL, GUIDANCE[Reason.BUILD_DISK_FULL].advice
    tests: tuple[tuple[Callable[[str], object], str], ...] = (
        (lambda text: _ROOT.search(text) or _PACKAGES.search(line), _NEEDS_ROOT),
        (_NETWORK.search, _NEEDS_NETWORK),
    )
    advice = next((advice for matches, advice in tests if matches(printed)), GUIDANCE[Reason.BUILD_FAILED].advice)
    return Reason.BUILD_FAILED, advice
