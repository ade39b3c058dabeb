"""Simulates stage-out and the collector, whose own costs are not measured.

stage-out's result is written to the store, and the collector's report to the run's status, with the collector's own
code and as often as the collector would. Nothing is uploaded, and no log is read.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from benchmarks.throughput.api_client import RefusedError
from benchmarks.throughput.manifests import INPUT, NAMESPACE
from componentrun.collector.runs import report
from componentrun.collector.runs.facts import run_facts
from componentrun.process.kubernetes.resources import RUNS
from componentrun.wire.agents import StageOutResult, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.harness.sandbox import Sandbox
    from benchmarks.throughput.api_client import Api

__all__ = ["SimulatedAgents"]

_RESULT: Final = to_json(StageOutResult(ok=True)).encode()
_EVENTS: Final = 6
_CONFLICT: Final = 409


class SimulatedAgents:
    """Simulates both for all runs."""

    def __init__(self, api: Api, sandbox: Sandbox) -> None:
        """Prepare without a request.

        Args:
            api: the collector's client.
            sandbox: the Storage's store and catalog.
        """
        self._api = api
        self._sandbox = sandbox
        self._store = sandbox.store

    async def bring_input(self) -> None:
        """Load the table that all runs read."""
        run = str(uuid.uuid4())
        written = await self._sandbox.stage(run, INPUT, ("id", "name"), b"1,one\n2,two\n3,three\n", count=3)
        await asyncio.to_thread(self._sandbox.load, run, [written])

    async def created(self, run: Mapping[str, Any]) -> None:
        """Write stage-out's result for a created run."""
        await self._store.put(self._store.layout.result(run["metadata"]["uid"], 1), _RESULT)

    async def ended(self, run: Mapping[str, Any]) -> None:
        """Report the events of an ended run as delivered. Like the collector, repeat it if the run has changed."""
        path = RUNS.path(NAMESPACE, run["metadata"]["name"])
        while True:
            body = report.delivered(run_facts(run), _EVENTS, "", None, datetime.now(UTC))
            try:
                await self._api.patch(f"{path}/status", body)
            except RefusedError as error:
                if error.status != _CONFLICT:
                    raise
                run = await self._api.get(path)
            else:
                return
