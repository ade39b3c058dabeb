"""What takes part in a run besides the operator, and is not measured: stage-out and the collector.

The one leaves its result in the store, the other says in the run's status that its events are delivered. Nothing is
uploaded, and no line is read.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.throughput.manifests import INPUT, NAMESPACE
from benchmarks.throughput.plane import BUCKET, KEYS
from componentrun.collector import report
from componentrun.collector.facts import run_facts
from componentrun.exchange import StageOutResult, to_json
from componentrun.process.resources import RUNS
from componentrun.storage.connection import open_store
from componentrun.storage.layout import TableId
from componentrun.storage.settings import StoreSettings
from componentrun.storage.upload import upload_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.throughput.client import Api

__all__ = ["Others"]

_RESULT: Final = to_json(StageOutResult(ok=True)).encode()
_EVENTS: Final = 6


class Others:
    """Both, for all runs."""

    def __init__(self, api: Api, endpoint: str) -> None:
        """`endpoint`: URL of the store."""
        self._api = api
        self._store = open_store(
            StoreSettings(bucket=BUCKET, endpoint=endpoint, access_key=KEYS[0], secret_key=KEYS[1])
        )

    async def bring_input(self) -> None:
        """The table that all runs read."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "small.csv"
            await asyncio.to_thread(file.write_text, "id,name\n1,one\n2,two\n3,three\n", encoding="utf-8")
            await upload_table(self._store, file, TableId.parse(INPUT))

    async def created(self, run: Mapping[str, Any]) -> None:
        """A run was created: what its stage-out will have left at the end."""
        await self._store.put(self._store.layout.result(run["metadata"]["uid"], 1), _RESULT)

    async def ended(self, run: Mapping[str, Any]) -> None:
        """A run has ended: its events are delivered."""
        body = report.delivered(run_facts(run), _EVENTS, "", None, datetime.now(UTC))
        await self._api.patch(RUNS.path(NAMESPACE, run["metadata"]["name"], "status"), body)
