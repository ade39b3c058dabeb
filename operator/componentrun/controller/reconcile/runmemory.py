"""In-memory state of the reconciler for each run. It is not part of the status, and is lost when the process ends.

State belongs to one run, by name and uid. It is dropped when the run ends or is deleted, or another run has its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.controller.watching.caches import Key

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun

__all__ = ["RunMemories", "RunMemory"]


@dataclass(slots=True)
class RunMemory:
    """State of one run."""

    uid: str
    failing_since: datetime | None = None
    """Time of the first of consecutive failures of the current action."""
    granted: tuple[str, datetime] | None = None
    """Uid of the pod that has its Secret, and when that was checked."""


class RunMemories:
    """State of all runs."""

    def __init__(self) -> None:
        """Start empty."""
        self._runs: dict[Key, RunMemory] = {}

    def __len__(self) -> int:
        """Number of runs with state."""
        return len(self._runs)

    def of(self, run: ComponentRun) -> RunMemory:
        """The mutable state of a run."""
        key = Key(run.metadata.namespace, run.metadata.name)
        memory = self._runs.get(key)
        if memory is None or memory.uid != run.metadata.uid:
            memory = self._runs[key] = RunMemory(run.metadata.uid)
        return memory

    def ended(self, key: Key) -> None:
        """Drop the state of a run that has ended."""
        self._runs.pop(key, None)

    def forget(self, key: Key) -> None:
        """Drop the state of a run that was deleted, or handed to another operator."""
        self._runs.pop(key, None)
