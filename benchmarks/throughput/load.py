"""Create many objects, wait until all have ended, and tell what that cost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks import costs
from benchmarks.throughput.manifests import BATCH, NAMESPACE
from componentrun.api.names import RUN_LABEL
from componentrun.collector.runs.facts import run_facts
from componentrun.process.kubernetes.resources import PODS, SECRETS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from benchmarks.throughput.client import Api
    from benchmarks.throughput.manifests import Kind
    from benchmarks.throughput.operator import Operator
    from benchmarks.throughput.others import Others
    from benchmarks.throughput.plane import Plane

__all__ = ["Batch", "Cost", "all_through", "collect", "create_all", "one_at_a_time", "snapshot"]

_CREATORS: Final = 30
"""Requests under way at once."""
_PATIENCE: Final = 1200.0
_SINGLE_PATIENCE: Final = 60.0
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_NOT_COUNTED: Final = frozenset({"leases", "events", "nodes"})
"""What is written whether anything runs or not."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What everything has cost so far, or between two looks."""

    cpu: Mapping[str, float]
    """Seconds by process."""
    writes: float
    """Writes that the API server was sent, by whomever."""
    own_writes: float
    """Those of the operator."""
    own_reads: float

    def since(self, before: Cost) -> Cost:
        """What was added."""
        cpu = {name: value - before.cpu.get(name, 0.0) for name, value in self.cpu.items()}
        return Cost(
            cpu,
            self.writes - before.writes,
            self.own_writes - before.own_writes,
            self.own_reads - before.own_reads,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Some that went through."""

    count: int
    seconds: float
    """From the first create call to the last end."""
    cost: Cost

    @property
    def per_minute(self) -> float:
        """How many went through in a minute."""
        return 60 * self.count / self.seconds

    def cpu_ms(self, process: str) -> float:
        """CPU time of a process for each."""
        return 1000 * self.cost.cpu[process] / self.count


async def snapshot(api: Api, plane: Plane, operator: Operator | None) -> Cost:
    """What everything has cost so far."""
    text = await api.text("/metrics")
    writes = costs.counted(text, "apiserver_request_total", _is_counted)
    pids = plane.pids() | ({"operator": operator.pid} if operator is not None else {})
    return Cost(
        {name: costs.cpu_seconds(pid) for name, pid in pids.items()} | {"benchmark": time.process_time()},
        writes,
        operator.writes() if operator is not None else 0.0,
        operator.reads() if operator is not None else 0.0,
    )


def _is_counted(labels: Mapping[str, str]) -> bool:
    return labels["verb"] in _WRITES and labels["resource"] not in _NOT_COUNTED


async def all_through(
    api: Api, plane: Plane, kind: Kind, count: int, *, operator: Operator | None = None, others: Others | None = None
) -> Batch:
    """Create that many, as fast as the API server takes them, and wait until all have ended.

    Raises:
        TimeoutError: they did not.
    """
    batch = _batch(kind)
    version = await api.version(kind.path)
    before, begun = await snapshot(api, plane, operator), time.monotonic()
    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(_wait(api, kind, count, batch, version, others))
        group.create_task(_create_all(api, kind, count, batch, others))
    seconds = time.monotonic() - begun
    if others is not None:
        # What they leave behind is part of what they cost, though nobody waits for it.
        for resource in (PODS, SECRETS):
            await api.empty(resource.path(NAMESPACE), RUN_LABEL)
    return Batch(count, seconds, (await snapshot(api, plane, operator)).since(before))


async def create_all(api: Api, kind: Kind, count: int, others: Others | None = None) -> None:
    """Create that many, as fast as the API server takes them."""
    await _create_all(api, kind, count, _batch(kind), others)


async def _create_all(api: Api, kind: Kind, count: int, batch: str, others: Others | None) -> None:
    names = iter([f"{batch}-{number:05}" for number in range(count)])
    async with asyncio.TaskGroup() as group:
        for _ in range(_CREATORS):
            group.create_task(_create(api, kind, batch, names, others))


async def _create(api: Api, kind: Kind, batch: str, names: Iterator[str], others: Others | None) -> None:
    for name in names:
        created = await api.create(kind.path, kind.body(name, batch))
        if others is not None:
            await others.created(created)


def _batch(kind: Kind) -> str:
    return f"{kind.name}-{int(time.time())}"


async def _wait(api: Api, kind: Kind, count: int, batch: str, version: str, others: Others | None) -> None:
    """Until so many have ended, and everybody has said what they say then."""
    seen: set[str] = set()
    async with asyncio.TaskGroup() as group:
        async for ended in _ended(api, kind, version, batch):
            if ended["metadata"]["name"] in seen:
                continue
            seen.add(ended["metadata"]["name"])
            if others is not None:
                group.create_task(others.ended(ended))
            if len(seen) == count:
                break


async def _ended(api: Api, kind: Kind, version: str, batch: str = "") -> AsyncGenerator[dict[str, Any]]:
    labels = [f"{BATCH}={batch}" if batch else BATCH, *([kind.ended_label] if kind.ended_label else [])]
    selectors = {"fieldSelector": kind.ended, "labelSelector": ",".join(labels)}
    async with contextlib.aclosing(api.watch(kind.path, version, **selectors)) as events:
        async for event in events:
            if event["type"] != "DELETED":
                yield event["object"]


async def collect(api: Api, kind: Kind, others: Others) -> None:
    """Have the events of each run that ends from now on delivered, until cancelled."""
    async for ended in _ended(api, kind, await api.version(kind.path)):
        if not run_facts(ended).delivered:
            await others.ended(ended)


async def one_at_a_time(api: Api, kind: Kind, count: int, others: Others) -> list[float]:
    """Seconds from the call that creates a run to the event that tells of its pod, when nothing else goes on.

    One more runs before these: the first finds out what the store can do.
    """
    found = []
    for number in range(-1, count):
        async with asyncio.timeout(_SINGLE_PATIENCE):
            name = f"single-{int(time.time())}-{number + 1:03}"
            pods, runs = await asyncio.gather(api.version(PODS.path(NAMESPACE)), api.version(kind.path))
            selectors = {"labelSelector": f"{RUN_LABEL}={name}"}
            async with contextlib.aclosing(api.watch(PODS.path(NAMESPACE), pods, **selectors)) as events:
                first = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0.2)  # the watch stands, and the run before has come to rest
                begun = time.monotonic()
                created = await api.create(kind.path, kind.body(name, "single"))
                await first
                if number >= 0:
                    found.append(time.monotonic() - begun)
            await others.created(created)
            async for ended in _ended(api, kind, runs, "single"):
                if ended["metadata"]["name"] == name:
                    await others.ended(ended)
                    break
    return found
