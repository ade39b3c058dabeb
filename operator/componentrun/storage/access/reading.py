"""The selection of a table's reader: columns and rows. Pure."""

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
    """Columns and rows that a reader selects; by default the whole table."""

    columns: tuple[str, ...] | None = None
    """Names or patterns of columns."""
    where: Where | None = None
    changed_since: datetime | None = None
    """Only rows of loads that were committed at this time or later."""
    limit: int | None = None
    seen: Seen | None = None
    """Only rows of loads after this position in the table."""


EVERYTHING: Final = Wish()
"""The whole table."""


def checked(wish: Wish, table: str, names: Sequence[str]) -> Wish:
    """Return the selection with its patterns resolved to names.

    Args:
        wish: the reader's selection.
        table: its id, for the message.
        names: its columns.

    Raises:
        UserError: (InputInvalid) the wish names a column that the table does not have.
    """
    columns, unknown = (None, None) if wish.columns is None else chosen(wish.columns, names)
    if unknown is None and wish.where is not None and wish.where.column not in names:
        unknown = wish.where.column
    if unknown is not None:
        raise UserError(
            f"`{table}` has no column `{unknown}`, which the input mapping names; {missing(unknown, names)}",
            Reason.INPUT_INVALID,
        )
    return replace(wish, columns=columns)
