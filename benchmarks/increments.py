"""Many increments on one table, with maintenance in between: what the last ones cost against the first ones."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import costs
from benchmarks.lake import lake_place
from benchmarks.seaweed import seaweed
from benchmarks.turns import figures
from componentrun.loader.maintenance.round import Round, RoundLimits
from dev.cluster.progress import say

if TYPE_CHECKING:
    from benchmarks.lab import Lab
    from benchmarks.lake import LakePlace
    from benchmarks.record import Figure
    from benchmarks.seaweed import Seaweed
    from benchmarks.turns import Values

__all__ = ["increments"]

_TABLE: Final = "out.c-main.log"
_LOADS: Final = 500
"""10,000 take hours: a load takes longer with each version of the table that is kept, see the figures."""
_ROWS: Final = 10
_EVERY: Final = 60
"""Loads between two rounds of maintenance: 10,000 in the seven days that history is kept, and a round each hour."""
_COUNTED: Final = 50
"""Loads that a figure is of."""


@dataclass(frozen=True, slots=True)
class _Cost:
    seconds: float
    loader: float
    """CPU seconds of the loader's work."""
    store: float
    """CPU seconds of store and catalog."""


def increments(lab: Lab, repeats: int) -> list[Figure]:
    """500 increments of ten rows each, all of them within the time for which versions are kept."""
    values: Values = {}
    for _ in range(repeats):
        with seaweed() as own, lake_place(own.lake, goes=True) as place:
            for name, value in _measure(own, place, max(2 * _COUNTED, round(_LOADS * lab.scale))).items():
                values.setdefault(name, []).append(value)
    parts = ("time", "cpu.loader", "cpu.store")
    pairs = {f"tables.increments.last.{part}": f"tables.increments.first.{part}" for part in parts}
    return figures(values, "ms", pairs)


def _measure(own: Seaweed, place: LakePlace, loads: int) -> dict[str, float]:
    spent: list[_Cost] = []
    for number in range(loads):
        spent.append(_load(own, place, number))
        if number % _EVERY == _EVERY - 1:
            begun = time.monotonic()
            maintenance = Round(place.catalog, RoundLimits(), place.scratch)
            maintenance.one_table(place.name(_TABLE), scans=False)
            _tell(number + 1, spent[-_COUNTED:], time.monotonic() - begun)
    return _named("first", spent[1 : _COUNTED + 1]) | _named("last", spent[-_COUNTED:])


def _load(own: Seaweed, place: LakePlace, number: int) -> _Cost:
    run, first = str(uuid.uuid4()), number * _ROWS
    rows = "".join(f"{key},{key % 7},row {key} with some text in it\n" for key in range(first, first + _ROWS)).encode()
    written = asyncio.run(place.stage(run, _TABLE, ("id", "kind", "text"), rows, count=_ROWS, increment=True))
    begun, cpu, store = time.monotonic(), time.process_time(), costs.cpu_seconds(own.pid)
    place.load(run, [written])
    return _Cost(time.monotonic() - begun, time.process_time() - cpu, costs.cpu_seconds(own.pid) - store)


def _named(which: str, spent: list[_Cost]) -> dict[str, float]:
    name = f"tables.increments.{which}"
    return {
        f"{name}.time": 1000 * statistics.median(item.seconds for item in spent),
        f"{name}.cpu.loader": 1000 * statistics.fmean(item.loader for item in spent),
        f"{name}.cpu.store": 1000 * statistics.fmean(item.store for item in spent),
    }


def _tell(loads: int, spent: list[_Cost], seconds: float) -> None:
    now = ", ".join(f"{value:.1f}" for value in _named("now", spent).values())
    say(f"      {loads:,} loads; ms of the last ones: {now}; round: {seconds:.1f} s")
