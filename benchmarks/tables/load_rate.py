"""Number of small tables that two loaders load per minute, and the cost of each load.

A loader is a process that does four loads at a time. Receiving requests is not measured: TLS, and the verification of
callers, which the API server does once for each token.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import uuid
from typing import TYPE_CHECKING, Final

from benchmarks.harness import usage
from benchmarks.harness.interleave import figures
from benchmarks.harness.sandbox import SHARE, open_sandbox
from benchmarks.harness.seaweedfs import private_seaweedfs
from componentrun.loader.service.tables import TableEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness.interleave import Values
    from benchmarks.harness.sandbox import Sandbox
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from componentrun.wire.loader import LoadRequest

__all__ = ["rate"]

_LOADS: Final = 1_000
_LOADERS: Final = 2
_ROWS: Final = b"1,first,plain\n2,second,more\n3,third,last\n"


def rate(testbed: Testbed, repeats: int) -> list[Figure]:
    """1,000 loads of three rows: half of them create a table, half of them replace its rows."""
    rates: Values = {}
    spent: Values = {}
    for _ in range(repeats):
        with private_seaweedfs() as own, open_sandbox(own.lake, disposable=True) as sandbox:
            count = max(2 * _LOADERS, round(_LOADS * testbed.scale))
            requests = asyncio.run(_staged(sandbox, count))
            store = usage.cpu_seconds(own.pid)
            seconds, loaders = _carried_out(sandbox, requests)
            found = {
                "tables.rate.cpu.loader": 1000 * loaders / count,
                "tables.rate.cpu.store": 1000 * (usage.cpu_seconds(own.pid) - store) / count,
            }
            rates.setdefault("tables.rate.loads", []).append(60 * count / seconds)
            for name, value in found.items():
                spent.setdefault(name, []).append(value)
    return [*figures(rates, "1/min"), *figures(spent, "ms")]


async def _staged(sandbox: Sandbox, count: int) -> list[list[LoadRequest]]:
    """Return the requests of both rounds; the second one uses the tables of the first."""

    async def request(number: int) -> LoadRequest:
        run = str(uuid.uuid4())
        table = f"out.c-bench{number % 10}.small{number}"
        written = await sandbox.stage(run, table, ("id", "name", "text"), _ROWS, count=3)
        return sandbox.request(run, [written])

    return [[await request(number) for number in range(count // 2)] for _ in range(2)]


def _carried_out(sandbox: Sandbox, rounds: Sequence[Sequence[LoadRequest]]) -> tuple[float, float]:
    """Return the elapsed seconds, and the CPU seconds of the loaders."""
    context = multiprocessing.get_context("spawn")
    seconds = cpu = 0.0
    with context.Pool(_LOADERS) as pool:
        # The loaders start and connect before the measurement.
        for requests in (rounds[0][:_LOADERS], *rounds):
            parts = [(sandbox.scratch, requests[number::_LOADERS]) for number in range(_LOADERS)]
            begun = time.monotonic()
            spent = pool.starmap(_loader, parts, chunksize=1)
            if len(requests) > _LOADERS:
                seconds += time.monotonic() - begun
                cpu += sum(spent)
    return seconds, cpu


_engines: list[TableEngine] = []


def _loader(scratch: str, requests: Sequence[LoadRequest]) -> float:
    """Process requests, four at a time; return CPU seconds."""
    if not _engines:
        _engines.append(TableEngine(scratch, _Unheard(), loads=SHARE, plans=1))
    (engine,), turns = _engines, asyncio.Semaphore(SHARE)

    async def one(request: LoadRequest) -> None:
        async with turns:
            await engine.load(request)

    async def every() -> None:
        await asyncio.gather(*map(one, requests))

    begun = time.process_time()
    asyncio.run(every())
    return time.process_time() - begun


class _Unheard:
    """Ignores reports of conflicts."""

    def conflict_retried(self) -> None:
        """Never called, because each load has its own table."""
