"""What takes part in a run besides the operator, and is not measured: stage-out and the collector.

The one leaves its result in the store, the other says in the run's status that its events are delivered. Nothing is
uploaded, and no line is read.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from benchmarks.throughput.manifests import INPUT, NAMESPACE
from componentrun.collector.runs import report
from componentrun.collector.runs.facts import run_facts
from componentrun.process.kubernetes.resources import RUNS
from componentrun.wire.agents import StageOutResult, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.lake import LakePlace
    from benchmarks.throughput.client import Api

__all__ = ["Others"]

_RESULT: Final = to_json(StageOutResult(ok=True)).encode()
_EVENTS: Final = 6


class Others:
    """Both, for all runs."""

    def __init__(self, api: Api, place: LakePlace) -> None:
        """`place`: of the Storage."""
        self._api = api
        self._place = place
        self._store = place.store

    async def bring_input(self) -> None:
        """The table that all runs read."""
        run = str(uuid.uuid4())
        written = await self._place.stage(run, INPUT, ("id", "name"), b"1,one\n2,two\n3,three\n", count=3)
        await asyncio.to_thread(self._place.load, run, [written])

    async def created(self, run: Mapping[str, Any]) -> None:
        """A run was created: what its stage-out will have left at the end."""
        await self._store.put(self._store.layout.result(run["metadata"]["uid"], 1), _RESULT)

    async def ended(self, run: Mapping[str, Any]) -> None:
        """A run has ended: its events are delivered."""
        body = report.delivered(run_facts(run), _EVENTS, "", None, datetime.now(UTC))
        await self._api.patch(RUNS.path(NAMESPACE, run["metadata"]["name"], "status"), body)
