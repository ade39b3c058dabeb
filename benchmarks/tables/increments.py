"""Many increments on one table, with maintenance in between: the cost of the last ones compared with the first."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.harness import usage
from benchmarks.harness.interleave import figures
from benchmarks.harness.sandbox import open_sandbox
from benchmarks.harness.seaweedfs import private_seaweedfs
from componentrun.loader.maintenance.round import Round, RoundLimits
from dev.cluster.progress import say

if TYPE_CHECKING:
    from benchmarks.harness.interleave import Values
    from benchmarks.harness.sandbox import Sandbox
    from benchmarks.harness.seaweedfs import PrivateSeaweedFS
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["increments"]

_TABLE: Final = "out.c-main.log"
_LOADS: Final = 10_000
_ROWS: Final = 10
_EVERY: Final = 2_500
"""Number of loads between two maintenance rounds. Rounds are more frequent than the default, once an hour."""
_TOLD: Final = 500
_COUNTED: Final = 50
"""Number of loads that a figure covers."""


@dataclass(frozen=True, slots=True)
class _Cost:
    seconds: float
    loader: float
    """CPU seconds of the loader's work."""
    store: float
    """CPU seconds of store and catalog."""


def increments(testbed: Testbed, repeats: int) -> list[Figure]:
    """10,000 increments of ten rows each, one after another. None of their versions is old enough to expire."""
    values: Values = {}
    for _ in range(repeats):
        with private_seaweedfs() as own, open_sandbox(own.lake, disposable=True) as sandbox:
            for name, value in _measure(own, sandbox, max(2 * _COUNTED, round(_LOADS * testbed.scale))).items():
                values.setdefault(name, []).append(value)
    parts = ("time", "cpu.loader", "cpu.store")
    pairs = {f"tables.increments.last.{part}": f"tables.increments.first.{part}" for part in parts}
    return figures(values, "ms", pairs)


def _measure(own: PrivateSeaweedFS, sandbox: Sandbox, loads: int) -> dict[str, float]:
    spent: list[_Cost] = []
    for number in range(loads):
        spent.append(_load(own, sandbox, number))
        if number % _EVERY == _EVERY - 1:
            begun = time.monotonic()
            Round(sandbox.catalog, RoundLimits(), sandbox.scratch).one_table(sandbox.name(_TABLE), scans=False)
            say(f"      a round of maintenance: {time.monotonic() - begun:.1f} s")
        if number % _TOLD == _TOLD - 1:
            _tell(number + 1, spent[-_COUNTED:])
    return _named("first", spent[1 : _COUNTED + 1]) | _named("last", spent[-_COUNTED:])


def _load(own: PrivateSeaweedFS, sandbox: Sandbox, number: int) -> _Cost:
    run, first = str(uuid.uuid4()), number * _ROWS
    rows = "".join(f"{key},{key % 7},row {key} with some text in it\n" for key in range(first, first + _ROWS)).encode()
    written = asyncio.run(sandbox.stage(run, _TABLE, ("id", "kind", "text"), rows, count=_ROWS, increment=True))
    begun, cpu, store = time.monotonic(), time.process_time(), usage.cpu_seconds(own.pid)
    sandbox.load(run, [written])
    return _Cost(time.monotonic() - begun, time.process_time() - cpu, usage.cpu_seconds(own.pid) - store)


def _named(which: str, spent: list[_Cost]) -> dict[str, float]:
    name = f"tables.increments.{which}"
    return {
        f"{name}.time": 1000 * statistics.median(item.seconds for item in spent),
        f"{name}.cpu.loader": 1000 * statistics.fmean(item.loader for item in spent),
        f"{name}.cpu.store": 1000 * statistics.fmean(item.store for item in spent),
    }


def _tell(loads: int, spent: list[_Cost]) -> None:
    now = ", ".join(f"{value:.1f}" for value in _named("now", spent).values())
    say(f"      {loads:,} loads; ms of the last ones: {now}")
