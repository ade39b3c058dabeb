"""The flow of each run's key: its namespace, and the Storage that it names. See `fairqueue`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from componentrun.controller.fairqueue import Flow

if TYPE_CHECKING:
    from componentrun.controller.caches import Key, RunCache

__all__ = ["Flows"]


class Flows:
    """Reads the name of a run's Storage once, when the run is seen first: it can't be changed later.

    Runs that name none share a flow, as they mean the namespace's default Storage.
    """

    def __init__(self, runs: RunCache) -> None:
        """Listen to an empty cache."""
        self._runs = runs
        self._storages: dict[Key, str] = {}
        runs.listen(self._run_changed)

    def __len__(self) -> int:
        """How many runs are known."""
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
