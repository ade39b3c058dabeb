"""Measuring in turns: A, B, C, A, B, C. What disturbs one then disturbs the others as well."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks import machine
from benchmarks.record import Figure
from dev.cluster.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Measure", "Values", "figures", "in_turns"]

Measure: TypeAlias = Callable[[], Mapping[str, float]]
"""Does one thing once; returns what it measured, by the figures' names."""
Values: TypeAlias = dict[str, list[float]]
"""Everything measured, by the figures' names, in the order of the turns."""
_SIGNIFICANT: Final = 4


def in_turns(measures: Sequence[Measure], repeats: int, *, warm_ups: int = 1) -> Values:
    """Take turns.

    Args:
        measures: what is measured.
        repeats: turns that count.
        warm_ups: turns before these that don't: images are pulled and files read for the first time.
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
    """Figures to record: medians, spread, ratios.

    Args:
        values: what `in_turns` returned.
        unit: of all of them.
        against: name of a figure to the name of the one it is compared with.
    """
    pairs = against or {}
    medians = {name: statistics.median(found) for name, found in values.items()}
    about = {
        "machine": machine.describe(),
        "commit": machine.commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return [
        Figure(
            name=name,
            value=_short(medians[name]),
            unit=unit,
            against=pairs.get(name),
            ratio=_short(medians[name] / medians[pairs[name]]) if name in pairs else None,
            repeats=len(found),
            spread=(_short(min(found)), _short(max(found))),
            **about,
        )
        for name, found in values.items()
    ]


def _short(value: float) -> float:
    """What is measured has no more digits than these."""
    return float(f"{value:.{_SIGNIFICANT}g}")


def _tell(turn: int, found: Mapping[str, float]) -> None:
    title = "warm-up" if turn < 0 else f"turn {turn + 1}"
    say(f"      {title}: " + ", ".join(f"{name} {value:.3g}" for name, value in found.items()))
