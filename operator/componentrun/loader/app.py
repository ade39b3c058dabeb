"""The loader process: serves requests on one port, and health and metrics on another."""

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
"""Additional threads for encoding and decoding documents, and for DNS lookups."""


async def serve(make_engine: Callable[[Settings, LoadObserver], Engine], settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in progress.

    Raises:
        PlatformError: no Kubernetes API server is configured, the certificate is missing, or a port is in use.
    """
    stop = asyncio.Event()
    listen_to_signals(stop)
    # With the default number of threads (processors + 4), hanging requests would delay those that hold a slot.
    threads = settings.loader_loads + settings.loader_plans + _SPARE_THREADS
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="blocking"))
    metrics = Metrics()
    async with await connect(metrics) as kube:
        certificate = Certificate(settings.loader_tls_folder, "loader", "loader.tls")
        guard = Guard(kube, settings.loader_callers, loaderaccess.AUDIENCE)
        server = LoaderServer(settings, make_engine(settings, metrics), guard, metrics, certificate)
        health = HealthServer(settings.listen_address, settings.port, server.unready, metrics.render)
        await health.start()
        await server.start()
        log.info("serving %s", ", ".join(settings.loader_callers))
        try:
            await work_until(stop, (certificate.tend(),))
        finally:
            await server.stop()
            await health.stop()
            log.info("stopped")
