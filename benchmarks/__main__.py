"""`python -m benchmarks [NAME] [--repeats N] [--scale X]`: measure, append to results.jsonl, write the page."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks.harness.testbed import Testbed
from benchmarks.registry import BENCHMARKS, chosen
from benchmarks.report import machine, page, results
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.registry import Benchmark

_FAILURES: Final = (ClusterError, ValueError, AssertionError, RuntimeError, TimeoutError)
"""Exceptions of a benchmark whose subject fails."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    given = _parser().parse_args(arguments)
    if given.page:
        page.write()
        return 0
    return_code = 0
    try:
        benchmarks = chosen(given.name)
        say(f"measuring on {machine.describe()}")
        testbed = Testbed(install=not given.no_install, scale=given.scale)
        for benchmark in benchmarks:
            with step(f"{benchmark.name}, {given.repeats or benchmark.repeats} turns"):
                figures = benchmark.run(testbed, given.repeats or benchmark.repeats)
            _tell(figures)
            if given.record or (given.record is None and given.scale == 1):
                results.append(_scaled(benchmark, figures, given.scale))
                page.write()
    except* _FAILURES as group:
        for error in _flat(group):
            say(f"error: {error}")
        return_code = 1
    return return_code


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(item.name for item in BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", default="", help=f"name of a benchmark, or its beginning: {names}")
    parser.add_argument("--repeats", type=int, metavar="N", help="number of turns that count")
    parser.add_argument(
        "--record",
        action=argparse.BooleanOptionalAction,
        help="record the figures, with their scale; by default only at scale 1",
    )
    parser.add_argument("--no-install", action="store_true", help="measure the installed operator")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="factor for numbers in the thousands")
    parser.add_argument("--page", action="store_true", help="only generate docs/benchmarks.md")
    return parser


def _scaled(benchmark: Benchmark, figures: Sequence[results.Figure], scale: float) -> list[results.Figure]:
    """Return the figures with the scale at which they were measured."""
    return [figure if figure.name in benchmark.unscaled else replace(figure, scale=scale) for figure in figures]


def _flat(error: BaseException) -> list[BaseException]:
    """The errors in a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        return [each for member in error.exceptions for each in _flat(member)]
    return [error]


def _tell(figures: Sequence[results.Figure]) -> None:
    for figure in figures:
        ratio = f"   {figure.ratio:.2f} x {figure.against}" if figure.ratio is not None else ""
        low, high = figure.spread
        print(f"{figure.name:36} {figure.value:8.4g} {figure.unit}  ({low:.4g} - {high:.4g}){ratio}")


if __name__ == "__main__":
    sys.exit(main())
