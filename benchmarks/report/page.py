"""docs/benchmarks.md, generated from the newest figure of each name."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.report.goals import GOALS
from benchmarks.report.results import newest, read
from benchmarks.report.sections import SECTIONS
from benchmarks.report.summary import amount, answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.report.goals import Goal
    from benchmarks.report.results import Figure

__all__ = ["PAGE", "render", "write"]

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
_HEAD: Final = """# Benchmarks

Generated from `benchmarks/results.jsonl` by `python -m benchmarks`; do not edit. The newest figures, in short:
"""
_METHOD: Final = """## How to read the figures

Compare ratios rather than times. A ratio is a figure divided by the one in the column *Against*: the two are measured
alternately, in the same session on the same machine. The median and the spread (smallest - largest) are those of all
repeats. The last section lists when and on which machine each figure was measured: most were measured on two processors
that also ran the store and the control plane.

`make bench` measures everything on your machine; `make bench ONLY=overhead.tiny` runs the benchmarks whose names start
with `overhead.tiny`. With `python -m benchmarks throughput --scale 0.4 --record`, the numbers of objects are multiplied
by 0.4, which takes less time; the page then shows the scale.
"""


def write(figures: Iterable[Figure] | None = None) -> None:
    """Write the page, from results.jsonl unless figures are given."""
    PAGE.write_text(render(read() if figures is None else figures), encoding="utf-8")


def render(figures: Iterable[Figure]) -> str:
    """The page's text."""
    found = newest(figures)
    parts = [_HEAD, _table("", ("Question", "Answer", "Measured"), answers(found)), _METHOD, _goals(found)]
    for area, (title, text) in SECTIONS.items():
        members = [figure for figure in found.values() if figure.name.startswith(f"{area}.")]
        if members:
            parts.append(_area(title, text, members))
    parts.append(_conditions(list(found.values())))
    return "\n".join(parts)


def _goals(found: Mapping[str, Figure]) -> str:
    missed = [goal for goal in GOALS if goal.met(found) is False]
    others = [goal for goal in GOALS if goal not in missed]
    met = sum(goal.met(found) is True for goal in others)
    parts = [f"## Goals\n\n{met} of {len(GOALS)} goals are met, {len(missed)} are missed.\n"]
    if missed:
        reasons = [(*_goal(goal, found), goal.reason or "not known") for goal in missed]
        parts.append(_table("### Missed", ("Goal", "Bound", "Measured", "Reason"), reasons))
    remaining = [_goal(goal, found) for goal in others]
    parts.append(_table("### Met, or not measured", ("Goal", "Bound", "Measured"), remaining))
    return "\n".join(parts)


def _goal(goal: Goal, found: Mapping[str, Figure]) -> tuple[str, str, str]:
    reached = goal.reached(found)
    return (
        f"{goal.sentence} (`{goal.name}`)",
        f"{'at least' if goal.least else 'at most'} {amount(goal.bound)} {goal.unit}".rstrip(),
        "not measured" if reached is None else f"{amount(reached)} {goal.unit}".rstrip() + _scale(found[goal.name]),
    )


def _scale(figure: Figure) -> str:
    return "" if figure.scale == 1 else f" (scale {figure.scale:g})"


def _area(title: str, text: str, members: Sequence[Figure]) -> str:
    paragraphs = [f"## {title}\n"]
    if text:
        paragraphs.append(f"{text}\n")
    paragraphs += _scaled(members)
    for _, group in groupby(members, key=_group):
        rows = [_row(figure) for figure in group]
        paragraphs.append(_table("", ("Figure", "Median", "Spread", "Against", "Ratio", "Repeats"), rows))
    return "\n".join(paragraphs)


def _scaled(members: Sequence[Figure]) -> list[str]:
    """A paragraph about figures that were measured with other numbers than the text says."""
    groups = sorted({(figure.scale, _group(figure)) for figure in members if figure.scale != 1})
    return [f"Scale of `{group}`: {scale:g} times the numbers above.\n" for scale, group in groups]


def _group(figure: Figure) -> str:
    """Key of the table that a figure belongs to: its area and subject."""
    return ".".join(figure.name.split(".")[:2])


def _row(figure: Figure) -> tuple[str, ...]:
    low, high = figure.spread
    return (
        f"`{figure.name}`",
        f"{amount(figure.value)} {figure.unit}".rstrip(),
        f"{amount(low)} - {amount(high)}",
        f"`{figure.against}`" if figure.against else "",
        f"{figure.ratio:.2f}" if figure.ratio is not None else "",
        str(figure.repeats),
    )


def _conditions(members: Sequence[Figure]) -> str:
    rows = sorted({(figure.date[:10], figure.commit, figure.machine, _group(figure)) for figure in members})
    grouped = [
        (date, f"`{commit}`", machine, ", ".join(f"`{row[3]}`" for row in group))
        for (date, commit, machine), group in groupby(rows, key=lambda row: row[:3])
    ]
    return _table("## When and where it was measured", ("Date", "Commit", "Machine", "Figures"), grouped)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([*([title, ""] if title else []), *lines, ""])
