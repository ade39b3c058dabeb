"""The benchmark `throughput.run.many`: single runs, 1,000, then 10,000; then an operator with 11,000 finished runs.

At a smaller scale, copies of a finished run make up the 11,000, so that memory and start are measured with as many.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Final

from benchmarks.harness import usage
from benchmarks.harness.interleave import interleave
from benchmarks.throughput.batches import copy_finished, run_batch, start_latencies
from benchmarks.throughput.control_plane import API_SERVER
from benchmarks.throughput.costs.audit_log import OPERATOR
from benchmarks.throughput.costs.figures import describe, to_figures
from benchmarks.throughput.costs.measured import Batch
from benchmarks.throughput.fixtures import set_up
from benchmarks.throughput.manifests import NAMESPACE, RUN
from benchmarks.throughput.operator_process import Operator
from componentrun.api.names import RUN_LABEL
from componentrun.process.kubernetes.resources import PODS
from dev.cluster.progress import say, step

if TYPE_CHECKING:
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from benchmarks.throughput.fixtures import Fixtures

__all__ = ["UNSCALED", "copies_needed", "many"]

_SINGLE: Final = 11
_SOME: Final = 1_000
_MANY: Final = 10_000
_FINISHED: Final = 11_000
_TRIAL_SCALE: Final = 0.1
"""Below this scale, the number of finished runs is scaled too, because it is only a trial."""
UNSCALED: Final = (
    "throughput.run.start",
    "throughput.run.single.cpu.operator",
    "throughput.run.single.writes",
    "throughput.run.many.memory",
    "throughput.run.many.ready",
)
"""Figures that do not depend on the scale."""
_AGAINST: Final = {
    "throughput.run.many.rate": "throughput.run.many.first.rate",
    "throughput.run.many.cpu.operator": "throughput.run.many.first.cpu.operator",
    "throughput.run.many.cpu.server": "throughput.run.many.first.cpu.server",
    "throughput.run.many.writes": "throughput.run.many.first.writes",
}


def many(testbed: Testbed, repeats: int) -> list[Figure]:
    """Measure everything `repeats` times, each time on a new control plane."""
    values = interleave([lambda: asyncio.run(_measure(testbed.scale))], repeats, warm_ups=0)
    return to_figures(values, _AGAINST)


async def _measure(scale: float) -> dict[str, float]:
    single, some, many = (max(1, round(number * scale)) for number in (_SINGLE, _SOME, _MANY))
    async with set_up() as fixtures:
        with Operator(fixtures.control_plane, **fixtures.loader) as operator:
            starts, singles = await _singles(fixtures, operator, single)
            first = await _batch(fixtures, operator, some)
            batch = await _batch(fixtures, operator, many)
            memory = usage.resident_mib(operator.pid)
        copies = copies_needed(scale, some + many)
        with step(f"copying {copies} finished runs"):
            await copy_finished(fixtures.api, RUN, copies)
        await fixtures.meter.idle()
        with Operator(fixtures.control_plane, **fixtures.loader) as operator:
            ready = operator.seconds_to_ready
            memory = max(memory, usage.resident_mib(operator.pid))
    say(f"      operator with {some + many + copies} finished runs: ready after {ready:.1f} s, {memory:.0f} MiB")
    return {
        "throughput.run.start": statistics.median(starts),
        "throughput.run.single.cpu.operator": singles.cpu_ms("operator"),
        "throughput.run.single.writes": singles.writes(OPERATOR),
        **_values("throughput.run.many.first", first),
        **_values("throughput.run.many", batch),
        "throughput.run.many.memory": memory,
        "throughput.run.many.ready": ready,
    }


def copies_needed(scale: float, finished: int) -> int:
    """Return how many copies of finished runs make up 11,000."""
    return max(0, _FINISHED - finished) if scale >= _TRIAL_SCALE else 0


async def _singles(fixtures: Fixtures, operator: Operator, count: int) -> tuple[list[float], Batch]:
    """Measure runs one at a time, so that phases last as long as the kubelet's updates are apart."""
    await run_batch(fixtures.api, fixtures.meter, RUN, 1, operator=operator, agents=fixtures.agents)
    before, begun = fixtures.meter.read(operator), time.monotonic()
    starts = await start_latencies(fixtures.api, RUN, count, fixtures.agents)
    await fixtures.api.empty(PODS.path(NAMESPACE), RUN_LABEL)
    seconds = time.monotonic() - begun
    batch = Batch(count + 1, seconds, fixtures.meter.read(operator).since(before))  # one more than `starts`
    describe("single runs", batch)
    return starts, batch


async def _batch(fixtures: Fixtures, operator: Operator, count: int) -> Batch:
    batch = await run_batch(fixtures.api, fixtures.meter, RUN, count, operator=operator, agents=fixtures.agents)
    describe("runs", batch)
    return batch


def _values(name: str, batch: Batch) -> dict[str, float]:
    return {
        f"{name}.rate": batch.per_minute,
        f"{name}.cpu.operator": batch.cpu_ms("operator"),
        f"{name}.cpu.server": batch.cpu_ms(API_SERVER),
        f"{name}.writes": batch.writes(OPERATOR),
    }
