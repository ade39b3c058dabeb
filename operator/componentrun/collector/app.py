"""The collector's process: watches, workers, and an HTTP server for probes and metrics."""

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
from componentrun.collector.runs.registry import BuildPodTarget, PodTarget, Registry, RunTarget
from componentrun.collector.runs.worker import Services
from componentrun.process.kubernetes.client import connect
from componentrun.process.kubernetes.resources import PODS, RUNS
from componentrun.process.kubernetes.watch import Watch
from componentrun.process.launch import listen_to_signals
from componentrun.process.serving.server import HealthServer
from componentrun.wire import logserver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.settings import Settings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["collect"]

log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 20.0
"""Seconds after SIGTERM for all workers to write pending events."""

_MARK_SECONDS: Final = 3.0
"""Seconds after that to record how far events were forwarded."""


async def collect(chosen: Settings) -> None:
    """Collect until SIGTERM or SIGINT.

    Raises:
        PlatformError: no Kubernetes API server is known, or the port is taken.
    """
    stop_requested = asyncio.Event()
    listen_to_signals(stop_requested)
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
        server = HealthServer(chosen.listen_address, chosen.port, lambda: _unready(watches), metrics.render)
        await server.start()
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        tasks.append(asyncio.create_task(forwarder.run(stores, chosen.namespaces)))
        log.info("collecting events of runs in %s", ", ".join(chosen.namespaces) or "all namespaces")
        try:
            await _until(stop_requested, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await _end(registry, forwarder)
            await server.stop()


def _watches(kube: Kube, chosen: Settings, registry: Registry, nodes: NodeLogs | None, metrics: Metrics) -> list[Watch]:
    made: list[Watch] = []
    if nodes is not None and chosen.node_logs is not None:
        made.append(Watch(kube, PODS, chosen.node_logs.namespace, logserver.SELECTOR, nodes, metrics))
    if chosen.builds_namespace is not None:
        target = BuildPodTarget(registry)
        made.append(Watch(kube, PODS, chosen.builds_namespace, names.PODS_OF_BUILDS, target, metrics))
    for namespace in chosen.namespaces or (None,):
        # Pods first, so that the pods of a run are mostly known when the run is seen.
        made += [
            Watch(kube, PODS, namespace, names.RUN_LABEL, PodTarget(registry), metrics),
            Watch(kube, RUNS, namespace, "", RunTarget(registry), metrics),
        ]
    return made


async def _until(stop_requested: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal. A watch that ends has failed; its error ends the process, and Kubernetes restarts it."""
    signalled = asyncio.create_task(stop_requested.wait())
    done, _ = await asyncio.wait([signalled, *tasks], return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    for task in done - {signalled}:
        await task


async def _end(registry: Registry, forwarder: Forwarder) -> None:
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await registry.stop()
    except TimeoutError:
        log.warning("some segments could not be written in time; the next collector reads their lines again")
    try:
        async with asyncio.timeout(_MARK_SECONDS):
            await forwarder.stop()
    except TimeoutError:
        log.warning("how far events were forwarded could not be recorded in time; some will be sent again")


def _unready(watches: Sequence[Watch]) -> str:
    return "" if all(watch.synced for watch in watches) else "waiting for the watches"
