"""Redact secrets in a status. The component's last words come from its log, which has not been redacted.

As in events, the values of secrets are redacted (`core.redact.redactor`). So are remains of a value at a position where
a text was cut, and values that the text itself masks (`core.redact.masks`).
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

_WITHHELD: Final = "The component's output is withheld: the list of values to redact no longer exists."


def needs_redaction(old: ComponentRunStatus, new: ComponentRunStatus) -> bool:
    """Whether `new` contains text of a container that `old` did not. The collector's text is already redacted."""
    old_words = {None, old.last_words, new.events.last_words if new.events is not None else None}
    if new.last_words not in old_words:
        return True
    if new.result_message is not None and new.result_message != old.result_message:
        return True
    message = new.attempts[-1].message if new.attempts else None
    old_message = old.attempts[-1].message if old.attempts else None
    return message is not None and message != old_message and new.attempts[-1].reason != Reason.SUCCEEDED


def redact_action(action: Action, values: Sequence[str] | None) -> Action:
    """Redact the status or the event message of an action. Other actions contain no text."""
    if isinstance(action, WriteStatus):
        return WriteStatus(redact_status(action.status, values))
    if isinstance(action, KubernetesEvent):
        withheld = values is None and action.reason == Reason.USER_ERROR
        return replace(action, message=_WITHHELD if withheld else redact_text(action.message, values or ()))
    return action


def redact_status(status: ComponentRunStatus, values: Sequence[str] | None) -> ComponentRunStatus:
    """Redact values in all texts of a status.

    Args:
        status: the status to write.
        values: the values to redact; None: they are no longer known, so the component's own text is removed.
    """
    redactor = Redactor(values or ())
    for words in (status.last_words, status.result_message, status.message):
        _learn(words or "", redactor)

    def clean(text: str, reason: str | None) -> str:
        """Redact a text, or withhold it if the values are unknown: the message of a user error is the component's."""
        return _WITHHELD if values is None and reason == Reason.USER_ERROR else _hide(text, redactor)

    return status.model_copy(
        update={
            "message": clean(status.message, status.reason) if status.message is not None else None,
            "advice": status.advice and clean(status.advice, status.reason),
            "result_message": (
                None if values is None or status.result_message is None else _hide(status.result_message, redactor)
            ),
            "last_words": None if values is None or status.last_words is None else _hide(status.last_words, redactor),
            "warnings": None if status.warnings is None else tuple(_hide(text, redactor) for text in status.warnings),
            "conditions": tuple(
                c.model_copy(update={"message": clean(c.message, c.reason)}) for c in status.conditions
            ),
            "attempts": tuple(
                a
                if a.message is None
                else a.model_copy(
                    update={
                        "message": clean(a.message, a.reason),
                        "advice": a.advice and clean(a.advice, a.reason),
                    }
                )
                for a in status.attempts
            ),
        }
    )


def redact_text(text: str, values: Sequence[str]) -> str:
    """Replace all forms of the values, and secrets that are recognised by their form, with marks."""
    redactor = Redactor(values)
    _learn(text, redactor)
    return _hide(text, redactor)


def _learn(text: str, redactor: Redactor) -> None:
    """Learn the values that `::add-mask::` lines in a component's text mask."""
    redactor.learn(value for value in values_in(text) if refusal(value) is None)


def _hide(text: str, redactor: Redactor) -> str:
    """Redact a text that may contain the mark of a cut. A part of a value may be on either side of it."""
    parts = redactor.text(text).split(CUT_MARK)
    last = len(parts) - 1
    if not last:
        return parts[0]
    return CUT_MARK.join(
        redactor.text(part, cut_before=number > 0, cut_behind=number < last) for number, part in enumerate(parts)
    )
