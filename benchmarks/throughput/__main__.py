"""`python -m benchmarks.throughput [KIND] [--count N]`: print what a batch of one kind of object costs; record nothing.

For work on the operator: shows the writes by client, verb and resource. A small batch overstates CPU time, because the
background work of the control plane is divided by few objects. On a busy machine phases last longer, and more of them
are written.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Final

from benchmarks.throughput.batches import run_batch
from benchmarks.throughput.costs.figures import describe
from benchmarks.throughput.fixtures import set_up
from benchmarks.throughput.manifests import KINDS, RUN
from benchmarks.throughput.operator_process import Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.throughput.costs.measured import Batch
    from benchmarks.throughput.fixtures import Fixtures
    from benchmarks.throughput.manifests import Kind

_BY_NAME: Final = {kind.name: kind for kind in KINDS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("kind", nargs="?", choices=_BY_NAME, default=RUN.name, help="kind of object")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="number of objects")
    given = parser.parse_args(arguments)
    describe(given.kind, asyncio.run(_measure(_BY_NAME[given.kind], given.count)))
    return 0


async def _measure(kind: Kind, count: int) -> Batch:
    async with set_up() as fixtures:
        if kind is not RUN:
            return await run_batch(fixtures.api, fixtures.meter, kind, count)
        with Operator(fixtures.control_plane, **fixtures.loader) as operator:
            await _runs(fixtures, operator, 1)  # the operator tests the store before its first run
            return await _runs(fixtures, operator, count)


async def _runs(fixtures: Fixtures, operator: Operator, count: int) -> Batch:
    return await run_batch(fixtures.api, fixtures.meter, RUN, count, operator=operator, agents=fixtures.agents)


if __name__ == "__main__":
    sys.exit(main())
