"""The process: settings, watches, workers, and an HTTP server for probes and metrics."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from aiohttp import web

from componentrun.api import names
from componentrun.collector import logs, settings
from componentrun.collector.kube import PODS, RUNS, connect
from componentrun.collector.metrics import CONTENT_TYPE, Metrics
from componentrun.collector.registry import PodTarget, Registry, RunTarget
from componentrun.collector.stores import Stores
from componentrun.collector.watch import Watch
from componentrun.collector.worker import Services
from componentrun.errors import ComponentRunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.kube import Kube
    from componentrun.collector.settings import Settings

__all__ = ["collect", "main"]

log = logging.getLogger(__name__)

_LAST_WORDS: Final = 20.0
"""Seconds for all workers to write what they hold when the process is told to end."""


def main() -> int:
    """Run the collector until SIGTERM; the exit code."""
    try:
        chosen = settings.from_environment(os.environ)
    except settings.SettingsError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - logging is not set up yet
        return 2
    logs.set_up(chosen.log_level, chosen.log_format)
    try:
        asyncio.run(collect(chosen))
    except ComponentRunError as error:
        log.critical("%s", error.message)
        return 1
    return 0


async def collect(chosen: Settings) -> None:
    """Collect until SIGTERM or SIGINT.

    Raises:
        PlatformError: no Kubernetes API server is known.
    """
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    metrics = Metrics()
    async with await connect(metrics.request_done) as kube:
        registry = Registry(Services(kube, Stores(kube), metrics, chosen))
        watches = _watches(kube, chosen, registry)
        server = await _serve(chosen, metrics, watches)
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        log.info("collecting events of runs in %s", ", ".join(chosen.namespaces) or "all namespaces")
        try:
            await _until(told_to_end, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await _end(registry)
            await server.cleanup()


def _watches(kube: Kube, chosen: Settings, registry: Registry) -> list[Watch]:
    made: list[Watch] = []
    for namespace in chosen.namespaces or (None,):
        # Pods first: a run that is told has its pods then, mostly.
        made += [
            Watch(kube, PODS, namespace, names.RUN_LABEL, PodTarget(registry)),
            Watch(kube, RUNS, namespace, "", RunTarget(registry)),
        ]
    return made


async def _until(told_to_end: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal. A watch that ends has failed: its error ends the process, which is started again."""
    signalled = asyncio.create_task(told_to_end.wait())
    done, _ = await asyncio.wait([signalled, *tasks], return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    for task in done - {signalled}:
        await task


async def _end(registry: Registry) -> None:
    try:
        async with asyncio.timeout(_LAST_WORDS):
            await registry.stop()
    except TimeoutError:
        log.warning("not all segments could be written in time; their lines will be read again")


async def _serve(chosen: Settings, metrics: Metrics, watches: Sequence[Watch]) -> web.AppRunner:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        ready = all(watch.synced for watch in watches)
        return web.Response(text="ok\n" if ready else "the watches are not synced yet\n", status=200 if ready else 503)

    async def render(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", render)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, chosen.host, chosen.port).start()
    return runner
