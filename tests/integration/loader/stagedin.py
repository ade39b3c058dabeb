"""Input of a run's component, created with the operator's plan, the real catalog and the real stage-in."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from componentrun.agent.stagein.main import stage_in
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.storage.access.attempt import AttemptRequest, InputSource
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.plans import AttemptPlan, prepare_attempt
from componentrun.storage.store.connection import open_store
from componentrun.wire.loader import PlanAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.integration.loader.staging import Bench

__all__ = ["planned", "staged_in"]

_HOUR = timedelta(hours=1)


def planned(bench: Bench, *tables: str) -> AttemptPlan:
    """Plan of a run that reads tables. It contains signed URLs of exactly the current files."""

    async def scan(names: Sequence[str]) -> PlanAnswer:
        found, missing = await asyncio.to_thread(consistent_cut, bench.catalog, names)
        return PlanAnswer(tuple(found), tuple(missing))

    async def prepare() -> AttemptPlan:
        inputs = tuple(InputSource(table=table) for table in tables)
        request = AttemptRequest(bench.new_run(), "ns/run", 1, _HOUR, _HOUR, inputs, config={"parameters": {}})
        return await prepare_attempt(open_store(bench.settings), Signer(bench.settings), request, scan)

    return asyncio.run(prepare())


def staged_in(plan: AttemptPlan, folder: Path, table: str) -> str:
    """Run stage-in with a plan, and return the CSV file of a table."""
    folder.mkdir()
    stage_in(plan.grant_in, str(folder))
    return (folder / f"in/tables/{table.rpartition('.')[2]}.csv").read_bytes().decode()
