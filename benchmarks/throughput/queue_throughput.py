"""The benchmark `throughput.queue`: the operator's cost for a run while thousands of others wait in the same queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from benchmarks.harness.interleave import interleave
from benchmarks.throughput.api_client import until
from benchmarks.throughput.batches import collect, create_all, run_batch
from benchmarks.throughput.costs.audit_log import OPERATOR
from benchmarks.throughput.costs.figures import to_figures
from benchmarks.throughput.costs.measured import Batch
from benchmarks.throughput.fixtures import set_up
from benchmarks.throughput.manifests import RUN
from benchmarks.throughput.operator_process import Operator
from dev.cluster.progress import say

if TYPE_CHECKING:
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from benchmarks.throughput.fixtures import Fixtures

__all__ = ["queue"]

_LONG: Final = 10_000
_SHORT: Final = 300
_ROOM: Final = 20
"""Number of runs that may have a pod at the same time."""
_PATIENCE: Final = 600.0
_AGAINST: Final = {
    "throughput.queue.long.cpu.operator": "throughput.queue.short.cpu.operator",
    "throughput.queue.long.writes": "throughput.queue.short.writes",
}


def queue(testbed: Testbed, repeats: int) -> list[Figure]:
    """A short queue, from its first run to its last; then a long one: joining it, and starting from its head."""
    values = interleave([lambda: asyncio.run(_measure(testbed.scale))], repeats, warm_ups=0)
    return to_figures(values, _AGAINST)


async def _measure(scale: float) -> dict[str, float]:
    short, long = max(1, round(_SHORT * scale)), max(1, round(_LONG * scale))
    async with set_up() as fixtures:
        await fixtures.limit(_ROOM)
        with Operator(fixtures.control_plane, **fixtures.loader) as operator:
            few = await run_batch(fixtures.api, fixtures.meter, RUN, short, operator=operator, agents=fixtures.agents)
            collecting = asyncio.create_task(collect(fixtures.api, RUN, fixtures.agents))
            await fixtures.limit(1)
            joined = await _join(fixtures, operator, long)
            await fixtures.limit(_ROOM)
            turned = await _turns(fixtures, operator, short)
            collecting.cancel()
            await asyncio.wait({collecting})
    for name, batch in (("through a short queue", few), ("joined a long one", joined), ("had a turn in it", turned)):
        say(
            f"      {name}: {batch.count} in {batch.seconds:.1f} s; for each: operator "
            f"{batch.cpu_ms('operator'):.1f} ms, {batch.writes(OPERATOR):.2f} writes"
        )
    return {
        "throughput.queue.short.cpu.operator": few.cpu_ms("operator"),
        "throughput.queue.short.writes": few.writes(OPERATOR),
        "throughput.queue.long.cpu.operator": joined.cpu_ms("operator") + turned.cpu_ms("operator"),
        "throughput.queue.long.writes": joined.writes(OPERATOR) + turned.writes(OPERATOR),
    }


async def _join(fixtures: Fixtures, operator: Operator, count: int) -> Batch:
    """Add `count` runs to the queue and wait until they have their position; hardly any starts in the meantime."""
    before, begun = fixtures.meter.read(operator), asyncio.get_running_loop().time()
    await create_all(fixtures.api, RUN, count, fixtures.agents)

    async def joined() -> bool:
        return operator.waiting() + operator.ended() >= count and operator.backlog() == 0

    await until(joined, _PATIENCE, f"{count} runs have a position in the queue")
    seconds = asyncio.get_running_loop().time() - begun
    return Batch(count, seconds, fixtures.meter.read(operator).since(before))


async def _turns(fixtures: Fixtures, operator: Operator, count: int) -> Batch:
    """Wait until `count` runs, or a few more, have ended."""
    before, begun = fixtures.meter.read(operator), asyncio.get_running_loop().time()
    ended = operator.ended()

    async def through() -> bool:
        return operator.ended() >= ended + count

    await until(through, _PATIENCE, f"{count} runs of the queue have finished")
    seconds = asyncio.get_running_loop().time() - begun
    cost = fixtures.meter.read(operator).since(before)
    return Batch(round(operator.ended() - ended), seconds, cost)
