"""What a failure of a build consists of."""

from __future__ import annotations

from dataclasses import dataclass

from componentrun.reasons import GUIDANCE, Reason

__all__ = ["BuildFailure", "build_failure"]


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """Why a build has failed, or its pod is gone."""

    reason: Reason
    message: str
    """What happened, in whole sentences."""
    advice: str = ""
    """What to do about it, in whole sentences; empty if there is nothing to do."""
    last_words: str | None = None
    """The end of what the commands printed, if they failed."""
    is_transient: bool = False
    """Whether the same build may succeed later, because a git host, a registry or a node was away."""


def build_failure(
    reason: Reason,
    message: str,
    advice: str | None = None,
    words: str | None = None,
    *,
    is_transient: bool = False,
) -> BuildFailure:
    """A failure with the usual advice for its reason, unless there is a more precise one."""
    usual = GUIDANCE[reason].advice
    return BuildFailure(reason, message, usual if advice is None else advice, words, is_transient)
