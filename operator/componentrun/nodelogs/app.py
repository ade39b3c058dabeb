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
from componentrun.process import nodelogs
from componentrun.process.guard import Guard
from componentrun.process.kubernetes.client import connect
from componentrun.process.launch import listen_to_signals
from componentrun.process.serving.certificate import Certificate
from componentrun.process.serving.server import HealthServer
from componentrun.process.serving.tlsserver import TlsServer, refusal, refuse_caller, work_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.nodelogs.settings import Settings

__all__ = ["LogServer", "serve"]

log = logging.getLogger(__name__)

_LAST_ANSWERS: Final = 0.2
"""Seconds that open requests have when the process is told to end: most only wait, and all are asked again."""
_MOST_OFFSET: Final = 2**62
_QUOTED: Final = 80
_OUTCOMES: Final = {200: "ok", 404: "not_found", 400: "refused", 401: "refused", 403: "refused", 429: "refused"}


async def serve(chosen: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        PlatformError: no Kubernetes API server is known, there is no certificate, or a port is taken.
    """
    told_to_end = asyncio.Event()
    listen_to_signals(told_to_end)
    _have_many_files()
    metrics = Metrics()
    process = chosen.process
    async with await connect(metrics) as kube:
        folders, certificate = (
            Folders(chosen.folder, metrics),
            Certificate(chosen.tls_folder, "log server", "nodeLogs.tls"),
        )
        guard = Guard(kube, (chosen.reader,), nodelogs.AUDIENCE)
        server = LogServer(chosen, folders, guard, metrics, certificate)
        health = HealthServer(process.host, process.port, folders.unready, metrics.render)
        await health.start()
        await server.start()
        log.info("serving the logs of runs below %s to %s", chosen.folder, chosen.reader)
        try:
            await work_until(told_to_end, (folders.tend(), certificate.tend()))
        finally:
            await server.stop()
            await health.stop()
            folders.close()


def _have_many_files() -> None:
    """Each container that is read takes some descriptors; the soft limit is meant for programs that use `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class LogServer:
    """Answers requests for logs."""

    def __init__(
        self, chosen: Settings, folders: Folders, guard: Guard, metrics: Metrics, certificate: Certificate
    ) -> None:
        """Nothing is listened on yet."""
        self._chosen, self._folders, self._guard, self._metrics = chosen, folders, guard, metrics
        application = web.Application()
        application.add_routes([web.get(nodelogs.PATH, self._answer)])
        # A reader that goes away ends its request: it must not be waited for, nor count as one that waits.
        self._server = TlsServer(
            application, certificate, chosen.process.host, chosen.port, variable="NODELOGS_PORT", last=_LAST_ANSWERS
        )

    async def start(self) -> None:
        """Listen.

        Raises:
            PlatformError: the port can't be listened on.
        """
        await self._server.start()

    @property
    def port(self) -> int:
        """Where it listens; of use where it was told to find a free port (0)."""
        return self._server.port

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.stop()

    async def _answer(self, request: web.Request) -> web.Response:
        response = await self._judge(request)
        self._metrics.requests.labels(_OUTCOMES.get(response.status, "failed")).inc()
        return response

    async def _judge(self, request: web.Request) -> web.Response:
        """Look at who asks, and for what."""
        expected = f"a token of {self._chosen.reader} for the audience {nodelogs.AUDIENCE}"
        return await refuse_caller(self._guard, request, expected) or await self._refuse_or_read(request)

    async def _refuse_or_read(self, request: web.Request) -> web.Response:
        where = Where(**request.match_info)
        wrong = where.wrong()
        if wrong:
            return refusal(400, f"the {wrong} is none that Kubernetes could have given")
        namespaces = self._chosen.process.namespaces
        if where.container not in names.CONTAINERS or (namespaces and where.namespace not in namespaces):
            return refusal(403, f"only containers of runs are served ({', '.join(names.CONTAINERS)})")
        try:
            place, wait = _place(request.query), _wait(request.query)
        except ValueError as error:
            return refusal(400, str(error))
        return await self._read(where, place, wait)

    async def _read(self, where: Where, place: tuple[str, int], wait: float) -> web.Response:
        try:
            found = await self._folders.answer(where, place, wait)
        except FileNotFoundError:
            return refusal(404, "the node has no such log (any more)")
        except PermissionError as error:
            log.error("%s: %s; see `nodeLogs.runAsUser` of the chart", "/".join(where), error)  # noqa: TRY400 - where it was opened says nothing
            return refusal(500, f"the log server may not read the file: {error.strerror}")
        except (OSError, NoLogError) as error:
            log.warning("%s: %s", "/".join(where), error)
            return refusal(500, f"the log can't be read: {error}")
        self._metrics.bytes.inc(len(found.data))
        headers = {nodelogs.FILE: found.file, nodelogs.OFFSET: str(found.offset), nodelogs.LATER: str(found.later)}
        if found.missing is not None:
            headers[nodelogs.MISSING] = str(found.missing)
        if found.removed:
            headers[nodelogs.REMOVED] = "true"
        return web.Response(body=found.data, headers=headers, content_type="application/octet-stream")


def _place(query: Mapping[str, str]) -> tuple[str, int]:
    """Where to read from."""
    file, offset = query.get("file", ""), query.get("offset", "0")
    if file and not nodelogs.FILE_ID.fullmatch(file):
        raise ValueError(f"file is {file[:_QUOTED]!r}; expected what {nodelogs.FILE} of an earlier answer said")
    if not (offset.isascii() and offset.isdigit() and int(offset) <= _MOST_OFFSET):
        raise ValueError(f"offset is {offset[:_QUOTED]!r}; expected a number of bytes")
    return file, int(offset)


def _wait(query: Mapping[str, str]) -> float:
    text = query.get("wait", "0")
    try:
        wait = float(text)
    except ValueError:
        wait = -1.0
    if not 0 <= wait <= nodelogs.LONGEST_WAIT:
        raise ValueError(f"wait is {text[:_QUOTED]!r}; expected seconds from 0 to {nodelogs.LONGEST_WAIT:.0f}")
    return wait
