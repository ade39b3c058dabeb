"""Secrets never appear in a status: the component's last words come from its log, which nobody has redacted.

As in events, values of secrets are redacted (`core.redact.redactor`). So is what is left of a value where a text was
cut, and so are values that the text itself masks (`core.redact.masks`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from componentrun.core.lifecycle.actions import KubernetesEvent, WriteStatus
from componentrun.core.podstatus.results import CUT_MARK
from componentrun.core.redact.masks import refusal, values_in
from componentrun.core.redact.redactor import Redactor
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRunStatus
    from componentrun.core.lifecycle.actions import Action

__all__ = ["needs_redaction", "redact_action", "redact_status", "redact_text"]

_WITHHELD: Final = "The component's own words are withheld: the list of values to hide is not there any more."


def needs_redaction(before: ComponentRunStatus, after: ComponentRunStatus) -> bool:
    """Whether `after` brings words of a container that `before` did not have. The collector's are redacted already."""
    known_words = {None, before.last_words, after.events.last_words if after.events is not None else None}
    if after.last_words not in known_words:
        return True
    if after.result_message is not None and after.result_message != before.result_message:
        return True
    ended = after.attempts[-1].message if after.attempts else None
    known = before.attempts[-1].message if before.attempts else None
    return ended is not None and ended != known and after.attempts[-1].reason != Reason.SUCCEEDED


def redact_action(action: Action, values: Sequence[str] | None) -> Action:
    """The action with its status or its event's message redacted; other actions say nothing."""
    if isinstance(action, WriteStatus):
        return WriteStatus(redact_status(action.status, values))
    if isinstance(action, KubernetesEvent):
        withheld = values is None and action.reason == Reason.USER_ERROR
        return replace(action, message=_WITHHELD if withheld else redact_text(action.message, values or ()))
    return action


def redact_status(status: ComponentRunStatus, values: Sequence[str] | None) -> ComponentRunStatus:
    """The status without any of the values, in whatever sentence they stand.

    Args:
        status: the status to be written.
        values: what must not appear; None where that is not known any more, so that the component's words are left out.
    """
    redactor = Redactor(values or ())
    for words in (status.last_words, status.result_message, status.message):
        _learn(words or "", redactor)

    def clean(text: str, reason: str | None) -> str:
        """A user error's sentence is the component's own."""
        return _WITHHELD if values is None and reason == Reason.USER_ERROR else _hide(text, redactor)

    return status.model_copy(
        update={
            "message": clean(status.message, status.reason) if status.message is not None else None,
            "result_message": (
                None if values is None or status.result_message is None else _hide(status.result_message, redactor)
            ),
            "last_words": None if values is None or status.last_words is None else _hide(status.last_words, redactor),
            "warnings": None if status.warnings is None else tuple(_hide(text, redactor) for text in status.warnings),
            "conditions": tuple(
                c.model_copy(update={"message": clean(c.message, c.reason)}) for c in status.conditions
            ),
            "attempts": tuple(
                a if a.message is None else a.model_copy(update={"message": clean(a.message, a.reason)})
                for a in status.attempts
            ),
        }
    )


def redact_text(text: str, values: Sequence[str]) -> str:
    """The text with every form of every value, and all that is secret by its form, replaced by a mark."""
    redactor = Redactor(values)
    _learn(text, redactor)
    return _hide(text, redactor)


def _learn(text: str, redactor: Redactor) -> None:
    """A component's last words may ask to have a value hidden."""
    redactor.learn(value for value in values_in(text) if refusal(value) is None)


def _hide(text: str, redactor: Redactor) -> str:
    """At a cut stands perhaps the end of a value (after the mark) or its begin (before it)."""
    parts = redactor.text(text).split(CUT_MARK)
    last = len(parts) - 1
    if not last:
        return parts[0]
    return CUT_MARK.join(
        redactor.text(part, cut_before=number > 0, cut_behind=number < last) for number, part in enumerate(parts)
    )
