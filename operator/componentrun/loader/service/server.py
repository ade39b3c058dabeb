"""Answers requests over HTTP: who may ask, whose turn it is, and that the process ends with all requests answered.

A body, and with it the keys of a Storage, is read only when the request has a slot: the caller waits for `100 Continue`
(RFC 9110, 10.1.1). So requests that wait take no memory, and one whose loader ends meanwhile was certainly not begun.
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
"""For requests that are cancelled at the end."""
_STORAGE: Final = re.compile(r"([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)")
_OUTCOMES: Final = {401: "refused", 429: "busy", 503: "unavailable"}
_GONE: Final = "gone"
_CONTINUE: Final = "100-continue"


class LoaderServer:
    """The loader's port."""

    def __init__(
        self, chosen: Settings, engine: Engine, guard: Guard, metrics: Metrics, certificate: Certificate
    ) -> None:
        """Nothing is listened on yet."""
        self._chosen, self._engine, self._guard, self._metrics = chosen, engine, guard, metrics
        self._loads = Slots(chosen.loads, chosen.places)
        self._others = Slots(chosen.plans, chosen.places)
        self._checks = Slots(CHECKS, chosen.places)
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
            application, certificate, chosen.process.host, chosen.port, variable="LOADER_PORT", last=chosen.stop_seconds
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

    def unready(self) -> str:
        """Why no request is begun; nothing if requests are."""
        return "it ends" if self._stopping else ""

    async def stop(self) -> None:
        """Turn away what waits, finish what is in progress, and end; what takes too long is cancelled."""
        self._stopping = True
        deadline = time.monotonic() + self._chosen.stop_seconds
        self._loads.stop()
        self._others.stop()
        self._checks.stop()
        await self._server.stop()
        # Also those whose callers are gone.
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
        """The answer, and its outcome for the metrics."""
        expected = f"a token of {' or '.join(self._chosen.callers)} for the audience {loaderaccess.AUDIENCE}"
        refused = await refuse_caller(self._guard, request, expected)
        if refused is not None:
            return refused, _OUTCOMES[refused.status]
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
        asked_at = time.monotonic()
        with self._metrics.queued.labels(operation.name).track_inprogress():
            turn = await slots.take(flow)
        self._metrics.waited(operation.name, time.monotonic() - asked_at)
        try:
            asked = await read_request(operation, await _body(request))
        except BaseException:
            slots.release(turn)
            raise
        # A caller that goes away from here on does not stop it: nobody would know what became of it.
        answer = await asyncio.shield(self._work(operation, asked, slots, turn))
        body = (await asyncio.to_thread(to_json, answer)).encode()
        return web.Response(body=body, content_type="application/json"), outcome_of(answer)

    def _work(
        self, operation: Operation[Request, Answer], asked: Request, slots: Slots, turn: Turn
    ) -> asyncio.Task[Answer]:
        """Carry a request out; its slot is released at the end."""
        in_progress = self._metrics.in_progress.labels(operation.name)
        task = asyncio.create_task(carry_out(operation, self._engine, asked, self._metrics))

        def ended(_: asyncio.Task[Answer]) -> None:
            in_progress.dec()
            self._working.discard(task)
            slots.release(turn)

        in_progress.inc()
        self._working.add(task)
        task.add_done_callback(ended)
        return task


def _flow_of(request: web.Request) -> Flow:
    """Whose request it is.

    Raises:
        ValueError: it does not say.
    """
    found = _STORAGE.fullmatch(request.headers.get(loaderaccess.STORAGE, ""))
    if found is None:
        raise ValueError(f"the header {loaderaccess.STORAGE} has to be the Storage's `<namespace>/<name>`")
    return Flow(found[1], found[2])


def _check_size(request: web.Request) -> None:
    """Look at what a request says of its body.

    Raises:
        HTTPRequestEntityTooLarge: it is too large.
    """
    size = request.content_length or 0
    if size > loaderaccess.BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(loaderaccess.BODY_BYTES, size)


async def _expect_later(_: web.Request) -> None:
    """Don't ask for the body yet: see the module."""


async def _body(request: web.Request) -> bytes:
    """Ask for the body, and read it.

    Raises:
        HTTPRequestEntityTooLarge: it is too large.
        ValueError: it does not arrive.
    """
    if request.headers.get(hdrs.EXPECT, "").lower() == _CONTINUE:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ValueError(f"the request's body did not arrive within {_BODY_SECONDS:.0f} s") from None
