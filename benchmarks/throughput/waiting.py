"""The benchmark `throughput.queue`: what a run costs the operator while thousands of others wait in the same queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from benchmarks.throughput.client import until
from benchmarks.throughput.load import Batch, all_through, collect, create_all, snapshot
from benchmarks.throughput.manifests import RUN
from benchmarks.throughput.operator import Operator
from benchmarks.throughput.prepared import prepared
from benchmarks.throughput.runs import told
from dev.cluster.progress import say

if TYPE_CHECKING:
    from benchmarks.lab import Lab
    from benchmarks.record import Figure
    from benchmarks.throughput.prepared import Ground
    from benchmarks.turns import Values

__all__ = ["queue"]

_LONG: Final = 10_000
_SHORT: Final = 300
_ROOM: Final = 20
"""Runs that may have a pod at a time."""
_PATIENCE: Final = 600.0
_AGAINST: Final = {
    "throughput.queue.long.cpu.operator": "throughput.queue.short.cpu.operator",
    "throughput.queue.long.writes": "throughput.queue.short.writes",
}


def queue(lab: Lab, repeats: int) -> list[Figure]:
    """A short queue, from its first run to its last; then a long one: joining it, and having a turn in it."""
    values: Values = {}
    for _ in range(repeats):
        for name, value in asyncio.run(_measure(lab.scale)).items():
            values.setdefault(name, []).append(value)
    return told(values, _AGAINST)


async def _measure(scale: float) -> dict[str, float]:
    short, long = max(1, round(_SHORT * scale)), max(1, round(_LONG * scale))
    async with prepared() as ground:
        await ground.limit(_ROOM)
        with Operator(ground.plane, **ground.loader) as operator:
            few = await all_through(ground.api, ground.plane, RUN, short, operator=operator, others=ground.others)
            collecting = asyncio.create_task(collect(ground.api, RUN, ground.others))
            await ground.limit(1)
            joined = await _join(ground, operator, long)
            await ground.limit(_ROOM)
            turned = await _turns(ground, operator, short)
            collecting.cancel()
            await asyncio.wait({collecting})
    for name, batch in (("through a short queue", few), ("joined a long one", joined), ("had a turn in it", turned)):
        say(
            f"      {name}: {batch.count} in {batch.seconds:.1f} s; for each: operator "
            f"{batch.cpu_ms('operator'):.1f} ms, {batch.cost.own_writes / batch.count:.2f} writes"
        )
    return {
        "throughput.queue.short.cpu.operator": few.cpu_ms("operator"),
        "throughput.queue.short.writes": few.cost.own_writes / few.count,
        "throughput.queue.long.cpu.operator": joined.cpu_ms("operator") + turned.cpu_ms("operator"),
        "throughput.queue.long.writes": joined.cost.own_writes / joined.count + turned.cost.own_writes / turned.count,
    }


async def _join(ground: Ground, operator: Operator, count: int) -> Batch:
    """So many runs join the queue and are told their place; hardly any has a turn meanwhile."""
    before, begun = await snapshot(ground.api, ground.plane, operator), asyncio.get_running_loop().time()
    await create_all(ground.api, RUN, count, ground.others)

    async def joined() -> bool:
        return operator.waiting() + operator.ended() >= count and operator.backlog() == 0

    await until(joined, _PATIENCE)
    seconds = asyncio.get_running_loop().time() - begun
    return Batch(count, seconds, (await snapshot(ground.api, ground.plane, operator)).since(before))


async def _turns(ground: Ground, operator: Operator, count: int) -> Batch:
    """So many runs, or a few more, have their turn."""
    before, begun = await snapshot(ground.api, ground.plane, operator), asyncio.get_running_loop().time()
    ended = operator.ended()

    async def through() -> bool:
        return operator.ended() >= ended + count

    await until(through, _PATIENCE)
    seconds = asyncio.get_running_loop().time() - begun
    cost = (await snapshot(ground.api, ground.plane, operator)).since(before)
    return Batch(round(operator.ended() - ended), seconds, cost)
