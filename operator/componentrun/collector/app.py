"""The process: watches, workers, and an HTTP server for probes and metrics."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.collector.events.stores import Stores
from componentrun.collector.forward.forwarder import Forwarder
from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.node.servers import NodeLogs
from componentrun.collector.runs.registry import PodTarget, Registry, RunTarget
from componentrun.collector.runs.worker import Services
from componentrun.process import nodelogs
from componentrun.process.kubernetes.client import connect
from componentrun.process.kubernetes.resources import PODS, RUNS
from componentrun.process.kubernetes.watch import Watch
from componentrun.process.launch import listen_to_signals
from componentrun.process.serving.server import HealthServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.settings import Settings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["collect"]

log = logging.getLogger(__name__)

_LAST_WORDS: Final = 20.0
"""Seconds for all workers to write what they hold when the process is told to end."""

_LAST_MARKS: Final = 3.0
"""Seconds behind that to mark how far events were sent to others."""


async def collect(chosen: Settings) -> None:
    """Collect until SIGTERM or SIGINT.

    Raises:
        PlatformError: no Kubernetes API server is known, or the port is taken.
    """
    told_to_end = asyncio.Event()
    listen_to_signals(told_to_end)
    metrics = Metrics()
    async with await connect(metrics) as kube, AsyncExitStack() as stack:
        metrics.observe_clock(kube.clock)
        nodes = None
        if chosen.node_logs is not None:
            nodes = await stack.enter_async_context(NodeLogs(chosen.node_logs))
        forwarder = Forwarder(kube, metrics, chosen.is_ours)
        stores = Stores(kube, metrics, forwarder)
        registry = Registry(Services(kube, stores, metrics, chosen, nodes))
        watches = _watches(kube, chosen, registry, nodes, metrics)
        process = chosen.process
        server = HealthServer(process.host, process.port, lambda: _unready(watches), metrics.render)
        await server.start()
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        tasks.append(asyncio.create_task(forwarder.run(stores, chosen.process.namespaces)))
        log.info("collecting events of runs in %s", ", ".join(chosen.process.namespaces) or "all namespaces")
        try:
            await _until(told_to_end, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await _end(registry, forwarder)
            await server.stop()


def _watches(kube: Kube, chosen: Settings, registry: Registry, nodes: NodeLogs | None, metrics: Metrics) -> list[Watch]:
    made: list[Watch] = []
    if nodes is not None and chosen.node_logs is not None:
        made.append(Watch(kube, PODS, chosen.node_logs.namespace, nodelogs.SELECTOR, nodes, metrics))
    for namespace in chosen.process.namespaces or (None,):
        # Pods first: a run that is told has its pods then, mostly.
        made += [
            Watch(kube, PODS, namespace, names.RUN_LABEL, PodTarget(registry), metrics),
            Watch(kube, RUNS, namespace, "", RunTarget(registry), metrics),
        ]
    return made


async def _until(told_to_end: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal. A watch that ends has failed: its error ends the process, which is started again."""
    signalled = asyncio.create_task(told_to_end.wait())
    done, _ = await asyncio.wait([signalled, *tasks], return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    for task in done - {signalled}:
        await task


async def _end(registry: Registry, forwarder: Forwarder) -> None:
    try:
        async with asyncio.timeout(_LAST_WORDS):
            await registry.stop()
    except TimeoutError:
        log.warning("not all segments could be written in time; their lines will be read again")
    try:
        async with asyncio.timeout(_LAST_MARKS):
            await forwarder.stop()
    except TimeoutError:
        log.warning("how far events were sent could not be marked in time; some will be sent again")


def _unready(watches: Sequence[Watch]) -> str:
    return "" if all(watch.synced for watch in watches) else "waiting for the watches"
