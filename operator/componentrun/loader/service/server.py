"""HTTP server of the loader: authenticates callers, queues requests, and answers all of them before the process ends.

A body, and with it the keys of a Storage, is read only when the request has a slot: the caller waits for `100 Continue`
(RFC 9110, 10.1.1). Therefore waiting requests take no memory, and if the loader stops, they have certainly not started.
"""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web

from componentrun.loader.service.carrying import CHECK, FENCE, LOAD, PLAN, carry_out, outcome_of, read_request
from componentrun.loader.service.slots import CHECKS, FullError, Slots, StoppedError
from componentrun.process.fairqueue import Flow
from componentrun.process.serving.tlsserver import TlsServer, refusal, refuse_caller
from componentrun.wire import loaderaccess
from componentrun.wire.documents import to_json

if TYPE_CHECKING:
    from componentrun.loader.metrics import Metrics
    from componentrun.loader.service.carrying import Answer, Operation, Request
    from componentrun.loader.service.engine import Engine
    from componentrun.loader.service.slots import Turn
    from componentrun.loader.settings import Settings
    from componentrun.process.guard import Guard
    from componentrun.process.serving.certificate import Certificate

__all__ = ["LoaderServer"]

_BODY_SECONDS: Final = 60.0
_LAST_SECONDS: Final = 5.0
"""Time for requests that are cancelled at shutdown."""
_STORAGE: Final = re.compile(r"([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)")
_OUTCOMES: Final = {401: "refused", 429: "busy", 503: "unavailable"}
_GONE: Final = "gone"
_CONTINUE: Final = "100-continue"


class LoaderServer:
    """The loader's port."""

    def __init__(
        self, settings: Settings, engine: Engine, guard: Guard, metrics: Metrics, certificate: Certificate
    ) -> None:
        """Configure the server; `start` opens the port."""
        self._settings, self._engine, self._guard, self._metrics = settings, engine, guard, metrics
        self._loads = Slots(settings.loader_loads, settings.loader_places)
        self._others = Slots(settings.loader_plans, settings.loader_places)
        self._checks = Slots(CHECKS, settings.loader_places)
        self._working: set[asyncio.Task[Any]] = set()
        self._stopping = False
        application = web.Application(client_max_size=loaderaccess.BODY_BYTES)
        application.add_routes(
            [
                self._route(LOAD, self._loads),
                self._route(FENCE, self._others),
                self._route(PLAN, self._others),
                self._route(CHECK, self._checks),
            ]
        )
        self._server = TlsServer(
            application,
            certificate,
            settings.listen_address,
            settings.loader_port,
            variable="LOADER_PORT",
            last=settings.loader_stop_seconds,
        )

    async def start(self) -> None:
        """Start listening.

        Raises:
            PlatformError: the port can't be opened.
        """
        await self._server.start()

    @property
    def port(self) -> int:
        """The port on which the server listens. Useful if it was configured to choose a free port (0)."""
        return self._server.port

    def unready(self) -> str:
        """Why the server is not ready; empty if it is ready."""
        return "it ends" if self._stopping else ""

    async def stop(self) -> None:
        """Refuse waiting requests, finish those in progress, and stop. Requests that take too long are cancelled."""
        self._stopping = True
        deadline = time.monotonic() + self._settings.loader_stop_seconds
        self._loads.stop()
        self._others.stop()
        self._checks.stop()
        await self._server.stop()
        # This includes requests whose callers have closed the connection.
        await self._wait(max(deadline - time.monotonic(), 0.0))
        for task in self._working:
            task.cancel()
        await self._wait(_LAST_SECONDS)

    async def _wait(self, seconds: float) -> None:
        if self._working:
            await asyncio.wait(self._working, timeout=seconds)

    def _route(self, operation: Operation[Request, Answer], slots: Slots) -> web.RouteDef:
        handler = partial(self._answer, operation, slots)
        return web.post(operation.path, handler, expect_handler=_expect_later)

    async def _answer(self, operation: Operation[Request, Answer], slots: Slots, request: web.Request) -> web.Response:
        outcome = _GONE
        try:
            response, outcome = await self._judge(operation, slots, request)
        finally:
            self._metrics.request_ended(operation.name, outcome)
        return response

    async def _judge(
        self, operation: Operation[Request, Answer], slots: Slots, request: web.Request
    ) -> tuple[web.Response, str]:
        """The response, and its outcome for the metrics."""
        expected = f"a token of {' or '.join(self._settings.loader_callers)} for the audience {loaderaccess.AUDIENCE}"
        denial = await refuse_caller(self._guard, request, expected)
        if denial is not None:
            return denial, _OUTCOMES[denial.status]
        try:
            _check_size(request)
            return await self._begin(operation, slots, request, _flow_of(request))
        except FullError as error:
            return refusal(429, error.message), "busy"
        except StoppedError as error:
            return refusal(503, error.message), "unavailable"
        except ValueError as error:
            return refusal(400, str(error)), "invalid"
        except web.HTTPRequestEntityTooLarge:
            return refusal(413, f"the request has more than {loaderaccess.BODY_BYTES} bytes"), "invalid"

    async def _begin(
        self, operation: Operation[Request, Answer], slots: Slots, request: web.Request, flow: Flow
    ) -> tuple[web.Response, str]:
        start = time.monotonic()
        with self._metrics.queued.labels(operation.name).track_inprogress():
            turn = await slots.take(flow)
        self._metrics.waited(operation.name, time.monotonic() - start)
        try:
            payload = await read_request(operation, await _body(request))
        except BaseException:
            slots.release(turn)
            raise
        # From here on, a caller that disconnects does not cancel the request: its outcome would be unknown.
        answer = await asyncio.shield(self._work(operation, payload, slots, turn))
        body = (await asyncio.to_thread(to_json, answer)).encode()
        return web.Response(body=body, content_type="application/json"), outcome_of(answer)

    def _work(
        self, operation: Operation[Request, Answer], payload: Request, slots: Slots, turn: Turn
    ) -> asyncio.Task[Answer]:
        """Execute a request, and release its slot at the end."""
        in_progress = self._metrics.in_progress.labels(operation.name)
        task = asyncio.create_task(carry_out(operation, self._engine, payload, self._metrics))

        def ended(_: asyncio.Task[Answer]) -> None:
            in_progress.dec()
            self._working.discard(task)
            slots.release(turn)

        in_progress.inc()
        self._working.add(task)
        task.add_done_callback(ended)
        return task


def _flow_of(request: web.Request) -> Flow:
    """Namespace and Storage of a request, for fair queueing.

    Raises:
        ValueError: the header is missing or invalid.
    """
    match = _STORAGE.fullmatch(request.headers.get(loaderaccess.STORAGE, ""))
    if match is None:
        raise ValueError(f"the header {loaderaccess.STORAGE} has to be the Storage's `<namespace>/<name>`")
    return Flow(match[1], match[2])


def _check_size(request: web.Request) -> None:
    """Check the declared size of a request's body.

    Raises:
        HTTPRequestEntityTooLarge: the body is too large.
    """
    size = request.content_length or 0
    if size > loaderaccess.BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(loaderaccess.BODY_BYTES, size)


async def _expect_later(_: web.Request) -> None:
    """Do not send `100 Continue` yet; see the module's docstring."""


async def _body(request: web.Request) -> bytes:
    """Send `100 Continue` if the caller waits for it, and read the body.

    Raises:
        HTTPRequestEntityTooLarge: the body is too large.
        ValueError: the body did not arrive in time.
    """
    if request.headers.get(hdrs.EXPECT, "").lower() == _CONTINUE:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ValueError(f"the request's body did not arrive within {_BODY_SECONDS:.0f} s") from None
