"""Endpoints for the kubelet and Prometheus: /healthz, /readyz, /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from componentrun.errors import PlatformError
from componentrun.process.serving.metrics import CONTENT_TYPE
from componentrun.process.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HealthServer"]


class HealthServer:
    """HTTP server of a process."""

    def __init__(self, host: str, port: int, unready: Callable[[], str], metrics: Callable[[], bytes]) -> None:
        """`unready` returns why the process is not ready, or an empty text; `metrics` renders the metrics."""
        self._host = host
        self._port = port
        self._unready = unready
        self._metrics = metrics
        application = web.Application()
        application.add_routes(
            [web.get("/healthz", _alive), web.get("/readyz", self._ready), web.get("/metrics", self._render)]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)

    async def start(self) -> None:
        """Listen.

        Raises:
            PlatformError: it can't listen on the port.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            raise PlatformError(
                f"can't serve health and metrics on {self._host}:{self._port}: {error.strerror or error}; "
                f"set {PREFIX}PORT to a free port"
            ) from error

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _ready(self, _: web.Request) -> web.Response:
        why = self._unready()
        return web.Response(text=why or "ready", status=503 if why else 200)

    async def _render(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE})


async def _alive(_: web.Request) -> web.Response:
    """A response shows that the event loop runs."""
    return web.Response(text="alive")
