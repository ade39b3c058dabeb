"""Measures in turns (A, B, C, A, B, C), so that disturbances affect all measurements equally."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks.report import machine
from benchmarks.report.results import Figure
from dev.cluster.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Measure", "Values", "figures", "interleave"]

Measure: TypeAlias = Callable[[], Mapping[str, float]]
"""Runs a measurement once; returns values by the names of figures."""
Values: TypeAlias = dict[str, list[float]]
"""All values by the names of figures, in the order of the turns."""
_SIGNIFICANT: Final = 4


def interleave(measures: Sequence[Measure], repeats: int, *, warm_ups: int = 1) -> Values:
    """Run all measurements in turns.

    Args:
        measures: the measurements.
        repeats: number of turns that count.
        warm_ups: number of turns before these that don't count, in which images are pulled and files are cached.
    """
    values: Values = {}
    for turn in range(-warm_ups, repeats):
        for measure in measures:
            found = measure()
            _tell(turn, found)
            if turn >= 0:
                for name, value in found.items():
                    values.setdefault(name, []).append(value)
    return values


def figures(values: Values, unit: str, against: Mapping[str, str] | None = None) -> list[Figure]:
    """Return figures to record: medians, spread, ratios.

    Args:
        values: the result of `interleave`.
        unit: unit of all figures.
        against: names of figures to compare with, by name of figure.
    """
    pairs = against or {}
    medians = {name: statistics.median(found) for name, found in values.items()}
    described, commit = machine.describe(), machine.commit()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        Figure(
            name=name,
            value=_short(medians[name]),
            unit=unit,
            against=pairs.get(name),
            ratio=_short(medians[name] / medians[pairs[name]]) if name in pairs else None,
            repeats=len(found),
            spread=(_short(min(found)), _short(max(found))),
            machine=described,
            commit=commit,
            date=date,
        )
        for name, found in values.items()
    ]


def _short(value: float) -> float:
    """Round to the significant digits of a measurement."""
    return float(f"{value:.{_SIGNIFICANT}g}")


def _tell(turn: int, found: Mapping[str, float]) -> None:
    title = "warm-up" if turn < 0 else f"turn {turn + 1}"
    say(f"      {title}: " + ", ".join(f"{name} {value:.3g}" for name, value in found.items()))
