"""How many loads of small tables two loaders carry out in a minute, and what each costs.

A loader here is what it does with requests that have come in: four loads at a time, in a process of its own. Left out
is how they come in (TLS, and who asks, which the loader has the API server tell once for each token).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import uuid
from typing import TYPE_CHECKING, Final

from benchmarks import costs
from benchmarks.lake import SHARE, lake_place
from benchmarks.seaweed import seaweed
from benchmarks.turns import figures
from componentrun.loader.service.tables import TableEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.lab import Lab
    from benchmarks.lake import LakePlace
    from benchmarks.record import Figure
    from benchmarks.turns import Values
    from componentrun.wire.loader import LoadRequest

__all__ = ["rate"]

_LOADS: Final = 1_000
_LOADERS: Final = 2
_ROWS: Final = b"1,first,plain\n2,second,more\n3,third,last\n"


def rate(lab: Lab, repeats: int) -> list[Figure]:
    """1,000 loads of three rows: half of them make a table, half of them replace what is in one."""
    rates: Values = {}
    spent: Values = {}
    for _ in range(repeats):
        with seaweed() as own, lake_place(own.lake, goes=True) as place:
            count = max(2 * _LOADERS, round(_LOADS * lab.scale))
            requests = asyncio.run(_staged(place, count))
            store = costs.cpu_seconds(own.pid)
            seconds, loaders = _carried_out(place, requests)
            found = {
                "tables.rate.cpu.loader": 1000 * loaders / count,
                "tables.rate.cpu.store": 1000 * (costs.cpu_seconds(own.pid) - store) / count,
            }
            rates.setdefault("tables.rate.loads", []).append(60 * count / seconds)
            for name, value in found.items():
                spent.setdefault(name, []).append(value)
    return [*figures(rates, "1/min"), *figures(spent, "ms")]


async def _staged(place: LakePlace, count: int) -> list[list[LoadRequest]]:
    """The requests of both rounds: the second one finds the tables of the first."""

    async def request(number: int) -> LoadRequest:
        run = str(uuid.uuid4())
        table = f"out.c-bench{number % 10}.small{number}"
        written = await place.stage(run, table, ("id", "name", "text"), _ROWS, count=3)
        return place.request(run, [written])

    return [[await request(number) for number in range(count // 2)] for _ in range(2)]


def _carried_out(place: LakePlace, rounds: Sequence[Sequence[LoadRequest]]) -> tuple[float, float]:
    """Seconds that it took, and CPU seconds of the loaders."""
    context = multiprocessing.get_context("spawn")
    seconds = cpu = 0.0
    with context.Pool(_LOADERS) as pool:
        # They have started, and made their connections, before anything is measured.
        for requests in (rounds[0][:_LOADERS], *rounds):
            parts = [(place.scratch, requests[number::_LOADERS]) for number in range(_LOADERS)]
            begun = time.monotonic()
            spent = pool.starmap(_loader, parts, chunksize=1)
            if len(requests) > _LOADERS:
                seconds += time.monotonic() - begun
                cpu += sum(spent)
    return seconds, cpu


_engines: list[TableEngine] = []


def _loader(scratch: str, requests: Sequence[LoadRequest]) -> float:
    """Carry requests out, four at a time; CPU seconds."""
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
    """Nobody is told of conflicts."""

    def conflict_retried(self) -> None:
        """There are none: each load has a table of its own."""
