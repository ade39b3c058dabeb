"""The process: serves logs on one port, health and metrics on another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from typing import TYPE_CHECKING, Final

from aiohttp import web

from componentrun.api import names
from componentrun.nodelogs.files import NoLogError
from componentrun.nodelogs.folders import Folders, Where
from componentrun.nodelogs.metrics import Metrics
from componentrun.process.guard import Guard
from componentrun.process.kubernetes.client import connect
from componentrun.process.launch import listen_to_signals
from componentrun.process.serving.certificate import Certificate
from componentrun.process.serving.server import HealthServer
from componentrun.process.serving.tlsserver import TlsServer, refusal, refuse_caller, work_until
from componentrun.wire import logserver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.nodelogs.settings import Settings

__all__ = ["LogServer", "serve"]

log = logging.getLogger(__name__)

_LAST_ANSWERS: Final = 0.2
"""Seconds that open requests have to end at shutdown: most only wait, and the collector repeats all of them."""
_MOST_OFFSET: Final = 2**62
_QUOTED: Final = 80
_OUTCOMES: Final = {200: "ok", 404: "not_found", 400: "refused", 401: "refused", 403: "refused", 429: "refused"}


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        PlatformError: no Kubernetes API server is known, there is no certificate, or a port is taken.
    """
    stop = asyncio.Event()
    listen_to_signals(stop)
    _have_many_files()
    metrics = Metrics()
    async with await connect(metrics) as kube:
        folders, certificate = (
            Folders(settings.nodelogs_folder, metrics),
            Certificate(settings.nodelogs_tls_folder, "log server", "nodeLogs.tls"),
        )
        guard = Guard(kube, (settings.nodelogs_reader,), logserver.AUDIENCE)
        server = LogServer(settings, folders, guard, metrics, certificate)
        health = HealthServer(settings.listen_address, settings.port, folders.unready, metrics.render)
        await health.start()
        await server.start()
        log.info("serving the logs of runs below %s to %s", settings.nodelogs_folder, settings.nodelogs_reader)
        try:
            await work_until(stop, (folders.tend(), certificate.tend()))
        finally:
            await server.stop()
            await health.stop()
            folders.close()


def _have_many_files() -> None:
    """Raise the soft limit, which is meant for programs that use `select`: each container takes some descriptors."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class LogServer:
    """Answers requests for logs."""

    def __init__(
        self, settings: Settings, folders: Folders, guard: Guard, metrics: Metrics, certificate: Certificate
    ) -> None:
        """Create the server without listening."""
        self._settings, self._folders, self._guard, self._metrics = settings, folders, guard, metrics
        application = web.Application()
        application.add_routes([web.get(logserver.PATH, self._answer)])
        # If a reader disconnects, its request ends and no longer counts as waiting.
        self._server = TlsServer(
            application,
            certificate,
            settings.listen_address,
            settings.nodelogs_port,
            variable="NODELOGS_PORT",
            last=_LAST_ANSWERS,
        )

    async def start(self) -> None:
        """Listen.

        Raises:
            PlatformError: the port can't be listened on.
        """
        await self._server.start()

    @property
    def port(self) -> int:
        """The port that it listens on, also if it was started with port 0."""
        return self._server.port

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.stop()

    async def _answer(self, request: web.Request) -> web.Response:
        response = await self._judge(request)
        self._metrics.requests.labels(_OUTCOMES.get(response.status, "failed")).inc()
        return response

    async def _judge(self, request: web.Request) -> web.Response:
        """Check the caller and the path."""
        expected = f"a token of {self._settings.nodelogs_reader} for the audience {logserver.AUDIENCE}"
        return await refuse_caller(self._guard, request, expected) or await self._refuse_or_read(request)

    async def _refuse_or_read(self, request: web.Request) -> web.Response:
        where = Where(**request.match_info)
        field = where.wrong()
        if field:
            return refusal(400, f"the {field} is not one that Kubernetes could have assigned")
        namespaces = self._settings.namespaces
        if not names.is_of_a_run(where.container) or (namespaces and where.namespace not in namespaces):
            return refusal(403, f"only containers of runs are served ({', '.join(names.CONTAINERS)} and processors)")
        try:
            place, wait = _place(request.query), _wait(request.query)
        except ValueError as error:
            return refusal(400, str(error))
        return await self._read(where, place, wait)

    async def _read(self, where: Where, place: tuple[str, int], wait: float) -> web.Response:
        try:
            answer = await self._folders.answer(where, place, wait)
        except FileNotFoundError:
            return refusal(404, "the node has no such log (any more)")
        except PermissionError as error:
            log.error("%s: %s; see `nodeLogs.runAsUser` of the chart", "/".join(where), error)  # noqa: TRY400 - where it was opened says nothing
            return refusal(500, f"the log server may not read the file: {error.strerror}")
        except (OSError, NoLogError) as error:
            log.warning("%s: %s", "/".join(where), error)
            return refusal(500, f"the log can't be read: {error}")
        self._metrics.bytes.inc(len(answer.data))
        headers = {
            logserver.FILE: answer.file,
            logserver.OFFSET: str(answer.offset),
            logserver.LATER: str(answer.later),
        }
        if answer.missing is not None:
            headers[logserver.MISSING] = str(answer.missing)
        if answer.removed:
            headers[logserver.REMOVED] = "true"
        return web.Response(body=answer.data, headers=headers, content_type="application/octet-stream")


def _place(query: Mapping[str, str]) -> tuple[str, int]:
    """The position to read from."""
    file, offset = query.get("file", ""), query.get("offset", "0")
    if file and not logserver.FILE_ID.fullmatch(file):
        raise ValueError(f"file is {file[:_QUOTED]!r}; expected what {logserver.FILE} of an earlier answer said")
    if not (offset.isascii() and offset.isdigit() and int(offset) <= _MOST_OFFSET):
        raise ValueError(f"offset is {offset[:_QUOTED]!r}; expected a number of bytes")
    return file, int(offset)


def _wait(query: Mapping[str, str]) -> float:
    text = query.get("wait", "0")
    try:
        wait = float(text)
    except ValueError:
        wait = -1.0
    if not 0 <= wait <= logserver.LONGEST_WAIT:
        raise ValueError(f"wait is {text[:_QUOTED]!r}; expected seconds from 0 to {logserver.LONGEST_WAIT:.0f}")
    return wait
