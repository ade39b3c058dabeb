"""The flow of each run's key: its namespace, and the Storage that it names. See `fairqueue`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from componentrun.process.fairqueue import Flow

if TYPE_CHECKING:
    from componentrun.controller.watching.caches import Key, RunCache

__all__ = ["Flows"]


class Flows:
    """Maps runs to flows. The Storage that a run names is read once, because it is immutable.

    Runs that name no Storage use the namespace's default one, and share a flow.
    """

    def __init__(self, runs: RunCache) -> None:
        """Subscribe to a cache that is still empty."""
        self._runs = runs
        self._storages: dict[Key, str] = {}
        runs.listen(self._run_changed)

    def __len__(self) -> int:
        """Number of known runs."""
        return len(self._storages)

    def of(self, key: Key) -> Flow:
        """The flow of this key."""
        return Flow(key.namespace, self._storages.get(key, ""))

    def _run_changed(self, key: Key) -> None:
        document = self._runs.document(key)
        if document is None:
            self._storages.pop(key, None)
        elif key not in self._storages:
            self._storages[key] = str((json.loads(document).get("spec") or {}).get("storage") or "")
