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
    """One input with its place decided. Exactly one of `table` and `object` is set."""

    table: str | None
    """Table id: `in.c-main.foo`."""
    object: str | None
    """Key of a CSV object below the Storage's prefix."""
    destination: str
    """File name below in/tables."""
    columns: tuple[str, ...] | None = None
    """Columns to deliver; None: all."""
    where: Where | None = None
    """Rows to deliver; None: all."""
    changed_since: str | None = None
    """Only rows loaded since then, as the run says it."""
    limit: int | None = None
    sliced: bool = False

    @property
    def path(self) -> str:
        """Place relative to the data folder: `in/tables/foo.csv`."""
        return f"{contract.IN_TABLES}/{self.destination}"
