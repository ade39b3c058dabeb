"""The benchmark `throughput.run`: bare pods, Jobs, and runs, one kind after the other on the same control plane."""

from __future__ import annotations

import asyncio
import statistics
from typing import TYPE_CHECKING, Final

from benchmarks import costs
from benchmarks.throughput import argo
from benchmarks.throughput.load import all_through, one_at_a_time
from benchmarks.throughput.manifests import BATCH, JOB, POD, RUN
from benchmarks.throughput.operator import Operator
from benchmarks.throughput.plane import API_SERVER, ARGO, MANAGER
from benchmarks.throughput.prepared import prepared
from benchmarks.turns import figures
from dev.cluster.progress import say

if TYPE_CHECKING:
    from benchmarks.lab import Lab
    from benchmarks.record import Figure
    from benchmarks.throughput.load import Batch
    from benchmarks.throughput.prepared import Ground
    from benchmarks.turns import Values

__all__ = ["run", "told"]

_MANY: Final = 10_000
_SOME: Final = 1_000
_HELD_BACK: Final = 100
"""Jobs of a controller manager that its client holds back: more of them would only take longer."""
_SINGLE: Final = 11
_AGAINST: Final = {
    "throughput.job.rate": "throughput.pod.rate",
    "throughput.job.default.rate": "throughput.job.rate",
    "throughput.run.rate": "throughput.job.rate",
    "throughput.run.rate.pods": "throughput.pod.rate",
    "throughput.run.rate.argo": "throughput.argo.rate",
    "throughput.argo.rate": "throughput.job.rate",
    "throughput.run.cpu.operator": "throughput.job.cpu.manager",
    "throughput.run.cpu.server": "throughput.job.cpu.server",
    "throughput.run.many.cpu.operator": "throughput.run.cpu.operator",
    "throughput.run.many.cpu.server": "throughput.run.cpu.server",
    "throughput.run.many.rate": "throughput.run.rate",
    "throughput.run.writes.all": "throughput.job.writes.all",
}
_UNITS: Final = {"rate": "1/min", "cpu": "ms", "writes": "", "start": "s", "ready": "s", "memory": "MiB"}


def run(lab: Lab, repeats: int) -> list[Figure]:
    """Everything once, or as often as is wanted, each time on a control plane of its own."""
    values: Values = {}
    for _ in range(repeats):
        for name, value in asyncio.run(_measure(lab.scale)).items():
            values.setdefault(name, []).append(value)
    return told(values, _AGAINST)


def told(values: Values, against: dict[str, str]) -> list[Figure]:
    """The figures, each in the unit that its name says."""
    kinds = {name: next(word for word in name.split(".") if word in _UNITS) for name in values}
    return [
        figure
        for kind, unit in _UNITS.items()
        for figure in _of_kind({name: found for name, found in values.items() if kinds[name] == kind}, unit, against)
    ]


def _of_kind(values: Values, unit: str, against: dict[str, str]) -> list[Figure]:
    return figures(values, unit, {name: other for name, other in against.items() if name in values and other in values})


async def _measure(scale: float) -> dict[str, float]:
    async with prepared() as ground:
        return await _others(ground, scale) | await _workflows(ground, scale) | await _runs(ground, scale)


async def _others(ground: Ground, scale: float) -> dict[str, float]:
    """Pods, and Jobs both ways."""
    some = max(1, round(_SOME * scale))
    pods = await all_through(ground.api, ground.plane, POD, some)
    await _clear(ground)
    jobs = await all_through(ground.api, ground.plane, JOB, some)
    await _clear(ground)
    ground.plane.limits(lifted=False)
    held_back = await all_through(ground.api, ground.plane, JOB, max(1, round(_HELD_BACK * scale)))
    ground.plane.limits(lifted=True)
    await _clear(ground)
    for name, batch in (("pods", pods), ("Jobs", jobs), ("Jobs, default limits", held_back)):
        _say(name, batch)
    return {
        "throughput.pod.rate": pods.per_minute,
        "throughput.pod.cpu.server": pods.cpu_ms(API_SERVER),
        "throughput.pod.writes.all": pods.cost.writes / pods.count,
        "throughput.job.rate": jobs.per_minute,
        "throughput.job.default.rate": held_back.per_minute,
        "throughput.job.cpu.manager": jobs.cpu_ms(MANAGER),
        "throughput.job.cpu.server": jobs.cpu_ms(API_SERVER),
        "throughput.job.writes.all": jobs.cost.writes / jobs.count,
    }


async def _workflows(ground: Ground, scale: float) -> dict[str, float]:
    """Workflows of Argo; the first is not counted: its controller has to begin."""
    async with argo.controller(ground.api, ground.plane):
        await all_through(ground.api, ground.plane, argo.WORKFLOW, 1)
        found = await all_through(ground.api, ground.plane, argo.WORKFLOW, max(1, round(_SOME * scale)))
        await argo.clear(ground.api)
    _say("workflows of Argo", found)
    return {
        "throughput.argo.rate": found.per_minute,
        "throughput.argo.cpu.controller": found.cpu_ms(ARGO),
        "throughput.argo.cpu.server": found.cpu_ms(API_SERVER),
        "throughput.argo.writes.all": found.cost.writes / found.count,
    }


async def _runs(ground: Ground, scale: float) -> dict[str, float]:
    """One at a time, 1,000, 10,000; then the operator starts anew with all that have ended."""
    with Operator(ground.plane, **ground.loader) as operator:
        starts = await one_at_a_time(ground.api, RUN, max(1, round(_SINGLE * scale)), ground.others)
        some = await _through(ground, operator, max(1, round(_SOME * scale)))
        many = await _through(ground, operator, max(1, round(_MANY * scale)))
        memory = costs.resident_mib(operator.pid)
    with Operator(ground.plane, **ground.loader) as operator:
        ready = operator.seconds_to_ready
        memory = max(memory, costs.resident_mib(operator.pid))
    _say("runs", some)
    _say("many runs", many)
    return {
        "throughput.run.start": statistics.median(starts),
        "throughput.run.rate": some.per_minute,
        "throughput.run.rate.pods": some.per_minute,
        "throughput.run.rate.argo": some.per_minute,
        "throughput.run.cpu.operator": some.cpu_ms("operator"),
        "throughput.run.cpu.server": some.cpu_ms(API_SERVER),
        "throughput.run.writes": some.cost.own_writes / some.count,
        "throughput.run.writes.all": some.cost.writes / some.count,
        "throughput.run.many.rate": many.per_minute,
        "throughput.run.many.cpu.operator": many.cpu_ms("operator"),
        "throughput.run.many.cpu.server": many.cpu_ms(API_SERVER),
        "throughput.run.many.writes": many.cost.own_writes / many.count,
        "throughput.run.many.memory": memory,
        "throughput.run.many.ready": ready,
    }


async def _through(ground: Ground, operator: Operator, count: int) -> Batch:
    return await all_through(ground.api, ground.plane, RUN, count, operator=operator, others=ground.others)


async def _clear(ground: Ground) -> None:
    """Delete all Jobs and pods, and wait until they are gone."""
    for kind in (JOB, POD):
        await ground.api.delete(f"{kind.path}?labelSelector={BATCH}")
        await ground.api.empty(kind.path, BATCH)


def _say(name: str, batch: Batch) -> None:
    cost = batch.cost
    cpu = ", ".join(f"{process} {batch.cpu_ms(process):.1f}" for process in cost.cpu)
    each = f"{cost.writes / batch.count:.1f} writes, {cost.own_writes / batch.count:.2f} of them the operator's"
    reads = f"{cost.own_reads / batch.count:.2f} reads of the operator"
    say(f"      {name}: {batch.count} in {batch.seconds:.1f} s; for each: {each}, {reads}; CPU ms: {cpu}")
