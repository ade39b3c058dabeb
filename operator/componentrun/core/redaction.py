"""Secrets never appear in a status: the component's last words come from its log, which nobody has redacted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRunStatus

__all__ = ["needs_redaction", "redact_status", "redact_text"]


def needs_redaction(before: ComponentRunStatus, after: ComponentRunStatus) -> bool:
    """Whether `after` brings words of the component (or of an agent) that `before` did not have."""
    raise NotImplementedError


def redact_text(text: str, values: Sequence[str]) -> str:
    """Replace every value by a mark: raw, base64 and JSON-escaped (docs/contract.md, events and logs)."""
    raise NotImplementedError


def redact_status(status: ComponentRunStatus, values: Sequence[str] | None) -> ComponentRunStatus:
    """The status without any of the values. None: the values are not known any more, so the component's words are left out."""
    raise NotImplementedError
