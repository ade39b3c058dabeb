"""What the reconciler remembers of a run between two looks: no fact of its status, and lost with the process.

It belongs to one run, by its name and uid. A run that has ended keeps only what is asked of ended runs, and one that is
deleted, or whose name another run has, nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.controller.caches import Key

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun

__all__ = ["RunMemories", "RunMemory"]


@dataclass(slots=True)
class RunMemory:
    """Of one run."""

    uid: str
    failing_since: datetime | None = None
    """Since when what is done now has failed, in each try."""
    granted: tuple[str, datetime] | None = None
    """The uid of the pod that has its Secret, and since when that is known."""
    is_complete: bool = False
    """Whether a run that has ended is known to have left no table half switched over."""


class RunMemories:
    """Of all runs."""

    def __init__(self) -> None:
        """Nothing is remembered."""
        self._runs: dict[Key, RunMemory] = {}

    def __len__(self) -> int:
        """Of how many runs something is remembered."""
        return len(self._runs)

    def of(self, run: ComponentRun) -> RunMemory:
        """What is remembered of a run; may be changed."""
        key = Key(run.metadata.namespace, run.metadata.name)
        memory = self._runs.get(key)
        if memory is None or memory.uid != run.metadata.uid:
            memory = self._runs[key] = RunMemory(run.metadata.uid)
        return memory

    def ended(self, key: Key) -> None:
        """A run has ended."""
        memory = self._runs.get(key)
        if memory is not None and not memory.is_complete:
            del self._runs[key]

    def forget(self, key: Key) -> None:
        """A run is deleted, or not for this operator any more."""
        self._runs.pop(key, None)
