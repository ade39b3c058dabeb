"""The time that a processor adds to a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import csvfiles
from benchmarks.harness.interleave import figures, interleave
from benchmarks.overhead.watch_log import PODS, RUNS, WatchLog
from benchmarks.overhead.workloads import CopyTask, Run, timed
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from e2e.tenant import Tenant

__all__ = ["AREA", "COUNTS", "added", "chain", "run"]

AREA: Final = "processors.run"
COUNTS: Final = (0, 1, 3)
"""Numbers of processors, in the order of a turn."""
_PROCESSOR: Final = "copy"
_TABLE: Final = "in.c-main.table"


def run(testbed: Testbed, repeats: int) -> list[Figure]:
    """Turns of three runs: without a processor, with one, and with three. All steps copy a table of three rows."""
    with testbed.tenant("bench") as tenant:
        put = tenant.cli("table", "put", str(csvfiles.tiny()), _TABLE)
        assert not put.returncode, put.stderr
        _add_processor(tenant, testbed.components)
        with WatchLog(tenant, (PODS, RUNS)) as watch_log:
            values = interleave([partial(_turn, tenant, testbed.components, watch_log)], repeats)
    return figures(values, "s", {f"{AREA}.{count}": f"{AREA}.{COUNTS[0]}" for count in COUNTS[1:]})


def chain(count: int) -> dict[str, Any] | None:
    """`spec.processors` with this number of processors, on both sides of the component if there are several."""
    step = {"component": _PROCESSOR}
    before = (count + 1) // 2
    return {"before": [step] * before, "after": [step] * (count - before)} if count else None


def added(seconds: Mapping[int, float]) -> dict[str, float]:
    """What each processor added in one turn, by the names of figures.

    Args:
        seconds: time of a run by its number of processors.
    """
    none, *others = COUNTS
    first, last = others[0], others[-1]
    return {
        f"{AREA}.added": (seconds[last] - seconds[none]) / (last - none),
        f"{AREA}.added.first": (seconds[first] - seconds[none]) / (first - none),
    }


def _add_processor(tenant: Tenant, image: str) -> None:
    name, _, tag = image.rpartition(":")
    spec = {"type": "processor", "image": name, "tag": tag, "args": ["copy"], "resources": SMALL}
    tenant.apply("Component", _PROCESSOR, spec)


def _turn(tenant: Tenant, image: str, watch_log: WatchLog) -> dict[str, float]:
    task = CopyTask(
        subject="processors",
        table=_TABLE,
        object="",
        component_image=image,
        s5cmd_image="",
        resources=SMALL,
        bare_pod_moves_data=False,
    )
    seconds = {}
    for count in COUNTS:
        found = timed(watch_log, Run(tenant, task, containers=(), processors=chain(count)))
        seconds[count] = found.ended - found.begun
    return {f"{AREA}.{count}": value for count, value in seconds.items()} | added(seconds)
