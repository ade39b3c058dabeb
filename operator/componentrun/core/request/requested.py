"""One input table of a run, as it is delivered to the component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun import contract

if TYPE_CHECKING:
    from componentrun.wire.agents import Where

__all__ = ["EffectiveInput"]


@dataclass(frozen=True, slots=True)
class EffectiveInput:
    """An input with its destination. Exactly one of `table` and `object` is set."""

    table: str | None
    """Table id, such as `in.c-main.foo`."""
    object: str | None
    """Key of a CSV object below the Storage's prefix."""
    destination: str
    """File name below in/tables."""
    columns: tuple[str, ...] | None = None
    """Columns to deliver; None: all."""
    where: Where | None = None
    """Rows to deliver; None: all."""
    changed_since: str | None = None
    """`changedSince` of the run."""
    limit: int | None = None
    sliced: bool = False

    @property
    def path(self) -> str:
        """Path relative to the data folder, such as `in/tables/foo.csv`."""
        return f"{contract.IN_TABLES}/{self.destination}"
