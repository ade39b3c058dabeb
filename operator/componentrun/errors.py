"""What can go wrong, in words shared by all parts.

Tree of the exceptions (each part raises only these across its border):

    ComponentRunError
    ├── UserError         the person who wrote the run, the configuration or the component can mend it
    └── PlatformError     the people who run the platform can mend it
        └── TransientError    trying again later may be enough
            ├── UnknownOutcomeError  a request was sent, and nobody knows whether it was carried out
            └── UnsupportedError  an object holds what this release does not know; another release goes on with it

Every error carries a `Reason` (one CamelCase word that alerts and scripts may match), a summary that names the thing,
what was found and what was expected, and, where something can be done, advice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from componentrun.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AWAY_STATUSES",
    "ComponentRunError",
    "PlatformError",
    "Reason",
    "TransientError",
    "UnknownOutcomeError",
    "UnsupportedError",
    "UserError",
    "together",
    "with_advice",
    "without_advice",
]


AWAY_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
"""HTTP statuses by which a store, or what stands before it, says that it is away or busy for a while; nothing is wrong
with the request. 520 to 524 are a proxy's that could not reach the store behind it, as before Cloudflare R2."""


class ComponentRunError(Exception):
    """The root of all errors that cross a border between parts.

    Attributes:
        reason: one word that scripts match.
        summary: what failed and why.
        advice: what to do about it, in whole sentences; empty if there is nothing to do.
        message: summary and advice as one text, for where there is only one field.
        unknown: whether the failed request may have been carried out.
    """

    unknown: ClassVar[bool] = False
    default_reason: Final = Reason.INTERNAL

    def __init__(self, summary: str, reason: Reason | None = None, *, advice: str = "") -> None:
        """Make an error; without a reason it has that of its class."""
        self.summary = summary
        self.advice = advice
        self.message = with_advice(summary, advice)
        self.reason = reason or self.default_reason
        super().__init__(self.message)


class UserError(ComponentRunError):
    """The person who wrote the run, the configuration or the component can mend it. Trying again changes nothing."""


MOST_NAMED: Final = 10
"""Number of errors that one message names: several, so that all can be corrected at once; a status has a limit."""


def together(errors: Sequence[UserError]) -> UserError:
    """Several errors, at least one, as one error, with the reason of the first."""
    first = errors[0]
    if len(errors) == 1:
        return first
    named = errors[:MOST_NAMED]
    parts = [_sentence(first.summary), *(f"Also: {_sentence(error.summary)}" for error in named[1:])]
    if len(errors) > MOST_NAMED:
        parts.append(f"And {len(errors) - MOST_NAMED} more.")
    advice = dict.fromkeys(error.advice for error in named if error.advice)
    return UserError(" ".join(parts), first.reason, advice=" ".join(advice))


def with_advice(summary: str, advice: str) -> str:
    """Summary and advice as one text; the summary alone if there is no advice."""
    return f"{_sentence(summary)} {advice}" if advice else summary


def without_advice(message: str, advice: str) -> str:
    """The summary of a message that `with_advice` made."""
    return message.removesuffix(advice).rstrip() if advice else message


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


class PlatformError(ComponentRunError):
    """The people who run the platform can mend it."""


class TransientError(PlatformError):
    """Trying again later may be enough (a store that is away, an API server that is busy)."""


class UnknownOutcomeError(TransientError):
    """A request was sent, and nobody knows whether it was carried out. The same request again finds out."""

    unknown = True


class UnsupportedError(TransientError):
    """An object holds what this release does not know, as a newer one wrote it. No verdict follows from that."""

    def __init__(self, message: str) -> None:
        """The sentence names the object and the field."""
        super().__init__(message, Reason.UNSUPPORTED_VALUE)
