"""Creates many objects, waits until all have finished, and measures the cost.

Waiting ends with an error if nothing is written for a while or the time runs out; it says what was waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.throughput.costs.measured import Batch
from benchmarks.throughput.manifests import BATCH, NAMESPACE
from componentrun.api.names import RUN_LABEL
from componentrun.collector.runs.facts import run_facts
from componentrun.process.kubernetes.resources import PODS, SECRETS
from dev.cluster.host import processes
from dev.cluster.progress import say

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from benchmarks.throughput.api_client import Api
    from benchmarks.throughput.costs.measured import Meter
    from benchmarks.throughput.manifests import Kind
    from benchmarks.throughput.operator_process import Operator
    from benchmarks.throughput.simulation.agents import SimulatedAgents

__all__ = ["collect", "copy_finished", "create_all", "run_batch", "start_latencies"]

_CREATORS: Final = 30
"""Number of concurrent requests."""
_STALLED_AFTER: Final = 120.0
"""Seconds without a write after which nothing more is expected to happen."""
_PATIENCE: Final = 300.0
_PATIENCE_EACH: Final = 0.3
"""Additional seconds for each object."""
_REPORT_EVERY: Final = 10.0
_SINGLE_PATIENCE: Final = 60.0
_NAMED: Final = 3
"""Number of unfinished objects that an error names."""


@dataclass(slots=True)
class _Progress:
    """Progress of a batch."""

    kind: Kind
    batch: str
    count: int
    """Number of objects that are to finish."""
    created: int = 0
    finished: set[str] = field(default_factory=set)
    """Names of finished objects."""

    def __str__(self) -> str:
        """Progress in words."""
        return f"{self.created} of {self.count} objects of kind {self.kind.name} created, {len(self.finished)} finished"

    def names(self) -> list[str]:
        """Return the names of all objects."""
        return [f"{self.batch}-{number:05}" for number in range(self.count)]


async def run_batch(
    api: Api,
    meter: Meter,
    kind: Kind,
    count: int,
    *,
    operator: Operator | None = None,
    agents: SimulatedAgents | None = None,
) -> Batch:
    """Create `count` objects as fast as the API server accepts them, and wait until all have finished.

    Raises:
        ExceptionGroup: a request failed, or the objects do not finish; the errors say what was waited for.
        TimeoutError: the control plane does not become idle, or pods or Secrets of finished runs are not deleted.
    """
    version = await api.version(kind.path)
    await meter.idle()
    progress = _Progress(kind, _batch(kind), count)
    before, begun = meter.read(operator), time.monotonic()
    async with asyncio.TaskGroup() as group:
        supervision = group.create_task(_supervise(api, meter, progress, operator))
        creation = group.create_task(_create_all(api, progress, agents))
        await _wait(api, progress, version, agents)
        await creation
        supervision.cancel()
    seconds = time.monotonic() - begun
    if agents is not None:
        # Deleting their pods and Secrets is part of the cost, but not of the time.
        for resource in (PODS, SECRETS):
            await api.empty(resource.path(NAMESPACE), RUN_LABEL)
    return Batch(count, seconds, meter.read(operator).since(before))


async def _supervise(api: Api, meter: Meter, progress: _Progress, operator: Operator | None) -> None:
    """Print the progress at regular intervals. Many objects advance together, so all may finish late.

    Raises:
        TimeoutError: nothing was written for a while, or not all objects finished in time.
    """
    begun = time.monotonic()
    changed, written = begun, -1
    limit = _PATIENCE + _PATIENCE_EACH * progress.count
    problem = ""
    while not problem:
        await asyncio.sleep(_REPORT_EVERY)
        now, before, written = time.monotonic(), written, meter.written()
        changed = now if written != before else changed
        say(f"        {progress}, {written} writes to the API server so far")
        if now - changed >= _STALLED_AFTER:
            problem = f"nothing was written to the API server for {_STALLED_AFTER:.0f} s"
        elif now - begun >= limit:
            problem = f"not all objects finished within {limit:.0f} s"
    log = f"\n{processes.tail(operator.log)}" if operator is not None else ""
    raise TimeoutError(f"{problem}: {progress}. Unfinished: {await _unfinished(api, progress)}{log}")


async def _unfinished(api: Api, progress: _Progress) -> str:
    """Return the first unfinished objects with their phases, and the phases of all pods."""
    items = (await api.get(f"{progress.kind.path}?labelSelector={BATCH}={progress.batch}"))["items"]
    left = [item for item in items if item["metadata"]["name"] not in progress.finished]
    named = [f"{item['metadata']['name']} ({_phase(item)})" for item in left[:_NAMED]]
    pods = Counter(_phase(pod) for pod in (await api.get(PODS.path(NAMESPACE)))["items"])
    return f"{', '.join(named) or 'none'}; pods: {dict(pods)}"


def _phase(item: Mapping[str, Any]) -> str:
    return str((item.get("status") or {}).get("phase") or "without a phase")


async def create_all(api: Api, kind: Kind, count: int, agents: SimulatedAgents | None = None) -> None:
    """Create `count` objects as fast as the API server accepts them."""
    await _create_all(api, _Progress(kind, _batch(kind), count), agents)


async def _create_all(api: Api, progress: _Progress, agents: SimulatedAgents | None) -> None:
    names = iter(progress.names())
    async with asyncio.TaskGroup() as group:
        for _ in range(_CREATORS):
            group.create_task(_create(api, progress, names, agents))


async def _create(api: Api, progress: _Progress, names: Iterator[str], agents: SimulatedAgents | None) -> None:
    for name in names:
        created = await api.create(progress.kind.path, progress.kind.body(name, progress.batch))
        progress.created += 1
        if agents is not None:
            await agents.created(created)


async def copy_finished(api: Api, kind: Kind, count: int) -> None:
    """Create copies of a finished object, while no controller runs.

    Raises:
        LookupError: there is no finished object.
    """
    listed = await api.get(f"{kind.path}?limit=1&fieldSelector={kind.ended}")
    if not listed["items"]:
        raise LookupError(f"there is no finished object of kind {kind.name} to copy")
    status = listed["items"][0]["status"]
    progress = _Progress(kind, f"{_batch(kind)}-copy", count)

    async def copies(names: Iterator[str]) -> None:
        for name in names:
            await api.create(kind.path, kind.body(name, progress.batch))
            await api.patch(f"{kind.path}/{name}/status", {"status": status})

    names = iter(progress.names())
    async with asyncio.TaskGroup() as group:
        for _ in range(_CREATORS):
            group.create_task(copies(names))


def _batch(kind: Kind) -> str:
    return f"{kind.name}-{int(time.time())}"


async def _wait(api: Api, progress: _Progress, version: str, agents: SimulatedAgents | None) -> None:
    """Wait until all objects have finished and the simulated agents have reported it."""
    async with asyncio.TaskGroup() as group:
        async for ended in _ended(api, progress.kind, version, progress.batch):
            if ended["metadata"]["name"] in progress.finished:
                continue
            progress.finished.add(ended["metadata"]["name"])
            if agents is not None:
                group.create_task(agents.ended(ended))
            if len(progress.finished) == progress.count:
                break


async def _ended(api: Api, kind: Kind, version: str, batch: str = "") -> AsyncGenerator[dict[str, Any]]:
    labels = [f"{BATCH}={batch}" if batch else BATCH, *([kind.ended_label] if kind.ended_label else [])]
    selectors = {"fieldSelector": kind.ended, "labelSelector": ",".join(labels)}
    async with contextlib.aclosing(api.watch(kind.path, version, **selectors)) as events:
        async for event in events:
            if event["type"] != "DELETED":
                yield event["object"]


async def collect(api: Api, kind: Kind, agents: SimulatedAgents) -> None:
    """Report the events of each run that ends as delivered, until cancelled."""
    async for ended in _ended(api, kind, await api.version(kind.path)):
        if not run_facts(ended).delivered:
            await agents.ended(ended)


async def start_latencies(api: Api, kind: Kind, count: int, agents: SimulatedAgents) -> list[float]:
    """Return the seconds from the create call of a run to the event of its pod, on an idle control plane.

    One additional run comes first, because the operator then tests the store.

    Raises:
        TimeoutError: a run does not get a pod, or does not finish.
    """
    found = []
    for number in range(-1, count):
        name = f"single-{int(time.time())}-{number + 1:03}"
        try:
            async with asyncio.timeout(_SINGLE_PATIENCE):
                seconds = await _start_latency(api, kind, name, agents)
        except TimeoutError as error:
            raise TimeoutError(f"{name} did not get a pod and finish within {_SINGLE_PATIENCE:.0f} s") from error
        if number >= 0:
            found.append(seconds)
        say(f"        {name}: a pod after {seconds:.3f} s")
    return found


async def _start_latency(api: Api, kind: Kind, name: str, agents: SimulatedAgents) -> float:
    pods, runs = await asyncio.gather(api.version(PODS.path(NAMESPACE)), api.version(kind.path))
    selectors = {"labelSelector": f"{RUN_LABEL}={name}"}
    async with contextlib.aclosing(api.watch(PODS.path(NAMESPACE), pods, **selectors)) as events:
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.2)  # until the watch is established and the previous run is idle
        begun = time.monotonic()
        created = await api.create(kind.path, kind.body(name, "single"))
        await first
        seconds = time.monotonic() - begun
    await agents.created(created)
    async for ended in _ended(api, kind, runs, "single"):
        if ended["metadata"]["name"] == name:
            await agents.ended(ended)
            break
    return seconds
