"""A proxy between an operator and the API server that injects faults of networks and busy API servers.

It forwards everything, including streams, and applies rules that a test adds and removes.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import yaml
from aiohttp import web

from componentrun.process.kubernetes.connections import LivelySockets
from tests.integration.collector.front import HOP_BY_HOP, _pem

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path


LOST = -1


@dataclass(frozen=True)
class Rule:
    """A fault for requests whose method is one of `methods` and whose path contains `path`.

    Attributes:
        status: HTTP status to answer with instead of forwarding the request. 0: no answer while the rule is active,
            then 504. `LOST`: the request is forwarded, and its response is lost.
        headers: headers of that response.
        reason: reason in its Status object.
    """

    status: int
    methods: str = "GET POST PATCH DELETE"
    path: str = "/"
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def fits(self, request: web.Request) -> bool:
        return request.method in self.methods.split() and self.path in request.path


class ApiFront:
    """Serves at `url` in its own thread. Use it as a context manager.

    Attributes:
        late: seconds by which each watch event is delayed.
        refused: number of times that a rule was applied.
        watches: number of started watches.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.late = 0.0
        self.refused = 0
        self.watches = 0
        self._kubeconfig = kubeconfig
        self._rules: list[Rule] = []
        self._streams: list[web.Request] = []
        self._expire = False
        self._lifted = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def rule(self, rule: Rule) -> Iterator[None]:
        """Apply the rule within the block."""
        self._rules.append(rule)
        self._lifted = asyncio.Event()
        try:
            yield
        finally:
            self._rules.remove(rule)
            self._loop.call_soon_threadsafe(self._lifted.set)

    def drop_watches(self, *, expired: bool = False) -> None:
        """Abort all open watches. `expired`: the next watch of each kind gets the error that its version is too old."""
        self._call(self._drop(expired))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        config = yaml.safe_load(self._kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=_pem(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w") as both:
            both.write(_pem(user, "client-certificate") + "\n" + _pem(user, "client-key"))
            both.flush()
            context.load_cert_chain(both.name)
        self._server = cluster["server"]
        self._sockets = LivelySockets()
        connector = aiohttp.TCPConnector(limit=0, ssl=context, socket_factory=self._sockets)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        await self._drop(False)
        await self._runner.cleanup()
        await self._session.close()
        await self._sockets.closed()

    async def _drop(self, expired: bool) -> None:
        self._expire = expired
        for request in self._streams:
            if request.transport is not None:
                request.transport.abort()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        rule = next((rule for rule in self._rules if rule.fits(request)), None)
        if rule is not None and rule.status != LOST:
            return await self._follow(rule)
        if request.query.get("watch") == "true":
            return await self._watch(request)
        async with self._session.request(
            request.method,
            self._server + request.raw_path,
            data=await request.read() or None,
            headers=_kept(request.headers),
        ) as answer:
            body = await answer.read()
            if rule is not None:
                self.refused += 1
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=answer.status, headers=_kept(answer.headers), body=body)

    async def _follow(self, rule: Rule) -> web.StreamResponse:
        self.refused += 1
        if not rule.status:
            await self._lifted.wait()
        status = {"kind": "Status", "code": rule.status, "reason": rule.reason, "message": "as the test wants it"}
        return web.json_response(status, status=rule.status or 504, headers=dict(rule.headers))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.watches += 1
        if self._expire and request.query.get("resourceVersion"):
            self._expire = False
            gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"}}
            return web.Response(text=json.dumps(gone) + "\n", content_type="application/json")
        self._streams.append(request)
        try:
            async with self._session.get(self._server + request.raw_path, headers=_kept(request.headers)) as answer:
                response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
                await response.prepare(request)
                with suppress(aiohttp.ClientError, ConnectionError):
                    async for chunk in answer.content.iter_any():
                        if self.late:
                            await asyncio.sleep(self.late)
                        await response.write(chunk)
                return response
        finally:
            self._streams.remove(request)


def _kept(headers: Any) -> dict[str, str]:
    left_out = HOP_BY_HOP | {"content-encoding", "accept-encoding", "authorization"}
    return {key: value for key, value in headers.items() if key.lower() not in left_out}
