"""The process: answers requests on one port, health and metrics on another."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from componentrun.loader.metrics import Metrics
from componentrun.loader.service.server import LoaderServer
from componentrun.process.guard import Guard
from componentrun.process.kubernetes.client import connect
from componentrun.process.launch import listen_to_signals
from componentrun.process.serving.certificate import Certificate
from componentrun.process.serving.server import HealthServer
from componentrun.process.serving.tlsserver import work_until
from componentrun.wire import loaderaccess

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.loader.service.engine import Engine, LoadObserver
    from componentrun.loader.settings import Settings

__all__ = ["serve"]

log = logging.getLogger(__name__)

_SPARE_THREADS: Final = 8
"""For documents that are read and written, and addresses of hosts."""


async def serve(make_engine: Callable[[Settings, LoadObserver], Engine], chosen: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in progress.

    Raises:
        PlatformError: no Kubernetes API server is known, there is no certificate, or a port is taken.
    """
    told_to_end = asyncio.Event()
    listen_to_signals(told_to_end)
    # The default, four more than processors, would have requests that hang hold up those that have a slot.
    threads = chosen.loads + chosen.plans + _SPARE_THREADS
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="blocking"))
    metrics = Metrics()
    process = chosen.process
    async with await connect(metrics) as kube:
        certificate = Certificate(chosen.tls_folder, "loader", "loader.tls")
        guard = Guard(kube, chosen.callers, loaderaccess.AUDIENCE)
        server = LoaderServer(chosen, make_engine(chosen, metrics), guard, metrics, certificate)
        health = HealthServer(process.host, process.port, server.unready, metrics.render)
        await health.start()
        await server.start()
        log.info("serving %s", ", ".join(chosen.callers))
        try:
            await work_until(told_to_end, (certificate.tend(),))
        finally:
            await server.stop()
            await health.stop()
            log.info("stopped")
