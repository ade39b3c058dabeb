"""`python -m benchmarks [NAME] [--repeats N]`: measure, append to results.jsonl, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from benchmarks import machine, page, record
from benchmarks.lab import Lab
from benchmarks.registry import BENCHMARKS, chosen
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say, step

if TYPE_CHECKING:
    from collections.abc import Sequence

_FAILURES: Final = (ClusterError, ValueError, AssertionError, RuntimeError, TimeoutError)
"""What a benchmark ends with when what it measures does not work."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    given = _parser().parse_args(arguments)
    if given.page:
        page.write()
        return 0
    try:
        benchmarks = chosen(given.name)
        say(f"measuring on {machine.describe()}")
        lab = Lab(install=not given.no_install, scale=given.scale)
        for benchmark in benchmarks:
            with step(f"{benchmark.name}, {given.repeats or benchmark.repeats} turns"):
                figures = benchmark.run(lab, given.repeats or benchmark.repeats)
            _tell(figures)
            if not given.no_record and given.scale == 1:
                record.append(figures)
                page.write()
    except _FAILURES as error:
        say(f"error: {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(item.name for item in BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", default="", help=f"what the names of the benchmarks begin with: {names}")
    parser.add_argument("--repeats", type=int, metavar="N", help="turns that count, instead of each benchmark's own")
    parser.add_argument("--no-record", action="store_true", help="print the figures, write nothing")
    parser.add_argument("--no-install", action="store_true", help="measure the operator as it is on the cluster")
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="of thousands do this part; records nothing"
    )
    parser.add_argument("--page", action="store_true", help="only write docs/benchmarks.md")
    return parser


def _tell(figures: Sequence[record.Figure]) -> None:
    for figure in figures:
        ratio = f"   {figure.ratio:.2f} x {figure.against}" if figure.ratio is not None else ""
        low, high = figure.spread
        print(f"{figure.name:36} {figure.value:8.4g} {figure.unit}  ({low:.4g} - {high:.4g}){ratio}")


if __name__ == "__main__":
    sys.exit(main())
