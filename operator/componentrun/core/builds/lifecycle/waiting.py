"""What a run says about the build of its image. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError, Reason, UserError

if TYPE_CHECKING:
    from componentrun.api.build.componentbuild import ComponentBuild
    from componentrun.api.componentrun import ComponentRunStatus
    from componentrun.errors import ComponentRunError

__all__ = ["failure_of", "lacks_lines", "waiting_message", "was_unwanted"]

_OF_THE_PLATFORM: Final = frozenset({
    Reason.BUILDER_UNAVAILABLE, Reason.INTERNAL, Reason.POD_REJECTED, Reason.PUSH_REFUSED, Reason.START_FAILED,
})  # fmt: skip
"""Reasons that the author of a run can't do anything about."""
_SHORT: Final = 12
"""Characters of a commit in messages."""


def was_unwanted(build: ComponentBuild) -> bool:
    """Whether a build was stopped because no run waited for it, and not by a person."""
    return build.status.phase == "Cancelled" and not build.spec.cancel


def lacks_lines(status: ComponentRunStatus, build: str) -> bool:
    """Whether a run has waited for a build, and the collector has not reported that its lines are among the events."""
    if status.build is None or status.build.name != build:
        return False
    events = status.events
    return events is None or not (events.delivered or build in events.builds)


def waiting_message(build: ComponentBuild) -> str:
    """What a run that waits for a build says."""
    return f"The run waits for its image: build `{build.metadata.name}` of {_what(build)}."


def failure_of(build: ComponentBuild) -> ComponentRunError | None:
    """The error of a run whose build has ended without an image; None if it has one."""
    status = build.status
    if status.phase == "Succeeded" and status.digest:
        return None
    reason = _reason(status.reason)
    why = (status.message or "it ended without an image").rstrip(".")
    summary = f"build `{build.metadata.name}` of {_what(build)} failed: {why}"
    kind = PlatformError if reason in _OF_THE_PLATFORM else UserError
    return kind(summary, reason, advice=status.advice or "")


def _what(build: ComponentBuild) -> str:
    git = build.spec.git
    ref = (git.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    named = f" (`{ref}`)" if ref and ref != "HEAD" else ""
    return f"commit `{git.commit[:_SHORT]}`{named} of `{git.url}`"


def _reason(text: str | None) -> Reason:
    """The reason in a status, which another release may have written."""
    try:
        return Reason(text or "")
    except ValueError:
        return Reason.BUILD_FAILED
