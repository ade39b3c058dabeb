"""What a reader of a table asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from componentrun.csv.columnnames import chosen, missing
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.storage.state.adaptive import Seen
    from componentrun.wire.agents import Where

__all__ = ["EVERYTHING", "Wish", "checked"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader asks for. Nothing: the whole table."""

    columns: tuple[str, ...] | None = None
    """By their names, or by patterns of these."""
    where: Where | None = None
    changed_since: datetime | None = None
    """Only rows of loads that were committed then or later."""
    limit: int | None = None
    seen: Seen | None = None
    """Only rows of loads that came after the table was seen like this."""


EVERYTHING: Final = Wish()
"""The whole table."""


def checked(wish: Wish, table: str, there: Sequence[str]) -> Wish:
    """The wish with its columns by their names.

    Args:
        wish: what a reader asks for.
        table: its id, for the message.
        there: its columns.

    Raises:
        UserError: (InputInvalid) the wish names a column that the table does not have.
    """
    columns, unknown = (None, None) if wish.columns is None else chosen(wish.columns, there)
    if unknown is None and wish.where is not None and wish.where.column not in there:
        unknown = wish.where.column
    if unknown is not None:
        raise UserError(
            f"`{table}` has no column `{unknown}`, which the input mapping names; {missing(unknown, there)}",
            Reason.INPUT_INVALID,
        )
    return replace(wish, columns=columns)
