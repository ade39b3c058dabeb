"""The benchmark `throughput.run`: bare pods, Jobs, Argo workflows and runs, in turns on one control plane."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from benchmarks.harness.interleave import interleave
from benchmarks.throughput import argo
from benchmarks.throughput.batches import run_batch
from benchmarks.throughput.costs.figures import ARGO_OWNER, JOB_OWNER, RUN_OWNER, batch_values, describe, to_figures
from benchmarks.throughput.fixtures import set_up
from benchmarks.throughput.manifests import BATCH, JOB, POD, RUN
from benchmarks.throughput.operator_process import Operator
from dev.cluster.progress import step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.harness.interleave import Measure
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from benchmarks.throughput.fixtures import Fixtures
    from benchmarks.throughput.manifests import Kind

__all__ = ["run"]

_COUNT: Final = 1_000
_HELD_BACK: Final = 100
"""Number of Jobs with a rate-limited controller manager; more would only take longer."""
_AGAINST: Final = {
    "throughput.job.rate": "throughput.pod.rate",
    "throughput.job.default.rate": "throughput.job.rate",
    "throughput.run.rate": "throughput.job.rate",
    "throughput.run.rate.pods": "throughput.pod.rate",
    "throughput.run.rate.argo": "throughput.argo.rate",
    "throughput.argo.rate": "throughput.job.rate",
    "throughput.run.cpu.operator": "throughput.job.cpu.manager",
    "throughput.run.cpu.server": "throughput.job.cpu.server",
    "throughput.run.writes": "throughput.job.writes",
    "throughput.run.writes.all": "throughput.job.writes.all",
}


def run(testbed: Testbed, repeats: int) -> list[Figure]:
    """Measure a batch of each kind in turns; then, once, Jobs with default limits."""
    count, held_back = (max(1, round(number * testbed.scale)) for number in (_COUNT, _HELD_BACK))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            fixtures = runner.run(_set_up(stack))
            measures = [_measure(runner, kind, fixtures, count) for kind in (_pods, _jobs, _workflows, _runs)]
            values = interleave(measures, repeats, warm_ups=0)
            limited = runner.run(_limited_jobs(fixtures, held_back))
        finally:
            runner.run(stack.aclose())
    return to_figures({**values, **{name: [value] for name, value in limited.items()}}, _AGAINST)


async def _set_up(stack: AsyncExitStack) -> Fixtures:
    fixtures = await stack.enter_async_context(set_up())
    with step("creating Argo's CRDs"):
        await argo.install(fixtures.api)
        await fixtures.meter.idle()
    return fixtures


def _measure(
    runner: asyncio.Runner,
    measure: Callable[[Fixtures, int], Awaitable[dict[str, float]]],
    fixtures: Fixtures,
    count: int,
) -> Measure:
    async def measured() -> dict[str, float]:
        return await measure(fixtures, count)

    return lambda: runner.run(measured())


async def _pods(fixtures: Fixtures, count: int) -> dict[str, float]:
    batch = await run_batch(fixtures.api, fixtures.meter, POD, count)
    await _clear(fixtures, POD)
    describe("bare pods", batch)
    return batch_values("throughput.pod", batch)


async def _jobs(fixtures: Fixtures, count: int) -> dict[str, float]:
    batch = await run_batch(fixtures.api, fixtures.meter, JOB, count)
    await _clear(fixtures, JOB)
    describe("Jobs", batch)
    return batch_values("throughput.job", batch, JOB_OWNER)


async def _limited_jobs(fixtures: Fixtures, count: int) -> dict[str, float]:
    """Measure Jobs with the default limits of the controller manager's client."""
    fixtures.control_plane.limits(lifted=False)
    batch = await run_batch(fixtures.api, fixtures.meter, JOB, count)
    describe("Jobs with default limits", batch)
    return {"throughput.job.default.rate": batch.per_minute}


async def _workflows(fixtures: Fixtures, count: int) -> dict[str, float]:
    """Measure Argo workflows; the first one does not count, because the controller is still starting."""
    async with argo.controller(fixtures.control_plane):
        await run_batch(fixtures.api, fixtures.meter, argo.WORKFLOW, 1)
        batch = await run_batch(fixtures.api, fixtures.meter, argo.WORKFLOW, count)
        with step("deleting workflows"):
            await argo.clear(fixtures.api)
    describe("Argo workflows", batch)
    return batch_values("throughput.argo", batch, ARGO_OWNER)


async def _runs(fixtures: Fixtures, count: int) -> dict[str, float]:
    """Measure runs; the first one does not count, because the operator then tests the store."""
    with Operator(fixtures.control_plane, **fixtures.loader) as operator:
        for number in (1, count):
            batch = await run_batch(
                fixtures.api, fixtures.meter, RUN, number, operator=operator, agents=fixtures.agents
            )
        await _clear(fixtures, RUN)
    describe("runs", batch)
    return {
        **batch_values("throughput.run", batch, RUN_OWNER),
        "throughput.run.rate.pods": batch.per_minute,
        "throughput.run.rate.argo": batch.per_minute,
    }


async def _clear(fixtures: Fixtures, kind: Kind) -> None:
    """Delete all objects of a kind and all pods, and wait until they are gone."""
    with step(f"deleting objects of kind {kind.name}"):
        for each in (kind, POD):
            await fixtures.api.delete(f"{each.path}?labelSelector={BATCH}")
            await fixtures.api.empty(each.path, BATCH)
