"""When the image of a channel must have been built, although its input has not changed. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from componentrun.api.names import FRESH_BUILD_PREFIX, FRESH_FORMAT
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from componentrun.api.component import Component

__all__ = ["fresh_since"]


def fresh_since(component: Component, channel: str) -> datetime | None:
    """The time of the last `componentrun build start --fresh` of a channel; None if there was none.

    It is an annotation and no part of the status: an object that is restored from a backup, or written by a GitOps
    tool, keeps it, and all runs that start at the same time see the same value.

    Raises:
        UserError: (InvalidSpec) the annotation has something else than a time.
    """
    name = FRESH_BUILD_PREFIX + channel
    text = component.metadata.annotations.get(name)
    if text is None:
        return None
    try:
        return datetime.strptime(text, FRESH_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise UserError(
            f"Component `{component.metadata.name}`: annotation `{name}` is `{text[:64]}`; expected a time such as "
            "`2026-01-31T12:00:00Z`",
            Reason.INVALID_SPEC,
            advice="Remove it, or have `componentrun build start --fresh` set it.",
        ) from error
