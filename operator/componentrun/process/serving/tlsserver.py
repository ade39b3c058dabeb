"""A TLS server for callers inside the cluster, and its refusals."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from componentrun.errors import ComponentRunError, PlatformError
from componentrun.process.guard import BusyError
from componentrun.process.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from typing import Any

    from componentrun.process.guard import Guard
    from componentrun.process.serving.certificate import Certificate

__all__ = ["TlsServer", "refusal", "refuse_caller", "work_until"]

log = logging.getLogger(__name__)


class TlsServer:
    """An application on one port, over TLS."""

    def __init__(
        self,
        application: web.Application,
        certificate: Certificate,
        host: str,
        port: int,
        *,
        variable: str,
        last: float,
    ) -> None:
        """Create the server without listening.

        Args:
            application: what answers. A caller that goes away ends its request.
            certificate: what the server shows.
            host: address to listen on.
            port: port to listen on; 0: a free one.
            variable: the setting of the port, for messages: `NODELOGS_PORT`.
            last: seconds that requests in progress have when the server stops.
        """
        self._certificate, self._host, self._port, self._variable = certificate, host, port, variable
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=last)

    async def start(self) -> None:
        """Listen.

        Raises:
            PlatformError: the port can't be listened on.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, ssl_context=self._certificate.context).start()
        except OSError as error:
            raise PlatformError(
                f"can't serve on {self._host}:{self._port}: {error.strerror or error}; "
                f"set {PREFIX}{self._variable} to a free port"
            ) from error

    @property
    def port(self) -> int:
        """The port that it listens on, also if it was started with port 0."""
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening, and end what is in progress."""
        await self._runner.cleanup()


async def refuse_caller(guard: Guard, request: web.Request, expected: str) -> web.Response | None:
    """The refusal of a caller that is not allowed; None if it is.

    Args:
        guard: knows who is allowed.
        request: the request.
        expected: what should be shown, for the refusal.
    """
    try:
        if not await guard.admits(request.headers.get("Authorization", "")):
            return refusal(401, f"show {expected}")
    except BusyError as error:
        return refusal(429, error.message)
    except ComponentRunError as error:
        log.warning("can't find out who makes a request: %s", error.message)
        return refusal(503, "the API server can't say whose token this is; try again")
    return None


def refusal(status: int, text: str) -> web.Response:
    """A response of one sentence."""
    return web.Response(status=status, text=text)


async def work_until(told_to_end: asyncio.Event, work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run endless tasks until the event is set; an error of one of them is raised."""
    ended = asyncio.create_task(told_to_end.wait())
    tasks = {asyncio.create_task(item) for item in work}
    try:
        done, _ = await asyncio.wait({*tasks, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
    finally:
        for task in (*tasks, ended):
            task.cancel()
        await asyncio.wait({*tasks, ended})
