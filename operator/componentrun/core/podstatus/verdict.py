"""What a diagnosis consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from componentrun.errors import with_advice
from componentrun.reasons import GUIDANCE, Reason

__all__ = ["NOTHING_PUBLISHED", "Diagnosis", "verdict"]

NOTHING_PUBLISHED: Final = "Nothing was published."


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How an attempt ended."""

    reason: Reason
    summary: str
    """What happened to which container, in one or more sentences."""
    container: str | None = None
    """The container that it is about, if it is about one."""
    exit_code: int | None = None
    """Of the component, if it ended."""
    last_words: str | None = None
    """The end of what the component printed, if it failed. Not redacted yet."""
    advice: str = ""
    """What to do about it, in whole sentences; empty if there is nothing to do."""

    @property
    def message(self) -> str:
        """Summary and advice as one text."""
        return with_advice(self.summary, self.advice)


def verdict(reason: Reason, summary: str, container: str | None = None, *, advice: str | None = None) -> Diagnosis:
    """A diagnosis with the usual advice for its reason, unless there is a more precise one."""
    return Diagnosis(reason, summary, container, advice=GUIDANCE[reason].advice if advice is None else advice)
