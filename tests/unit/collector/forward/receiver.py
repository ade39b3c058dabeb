"""A receiver on this machine: a real HTTP server whose answers are scripted."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RESET: Final = 0
"""Instead of a status: the connection breaks off."""
KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = bytes(range(64))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass(frozen=True)
class Request:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        """Ids of its CloudEvents."""
        return [event["id"] for event in self.json]


@dataclass
class Answering:
    """Answers with the scripted ones, then with `status`."""

    script: list[int | tuple[int, dict[str, str]]] = field(default_factory=list)
    status: int = 204
    body: bytes = b""
    requests: list[Request] = field(default_factory=list)
    taken: list[Request] = field(default_factory=list)
    hold: asyncio.Event | None = None
    """Where given, answers wait for it."""
    decides: Callable[[Request], int] | None = None
    url: str = ""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def until(self, check: Callable[[], bool]) -> None:
        """Wait for what requests bring."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(check)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        came = Request(request.path, dict(request.headers), await request.read())
        if self.hold is not None:
            await self.hold.wait()
        status, headers = self._next(came)
        async with self._news:
            self.requests.append(came)
            if status in range(200, 300):
                self.taken.append(came)
            self._news.notify_all()
        if status == RESET:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 500, headers=headers, body=self.body)

    def _next(self, came: Request) -> tuple[int, dict[str, str]]:
        if self.decides is not None:
            return self.decides(came), {}
        found = self.script.pop(0) if self.script else self.status
        return found if isinstance(found, tuple) else (found, {})


def secret(**values: str) -> dict[str, Any]:
    return {"data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}}


def got(receiver: Answering) -> list[str]:
    return [event_id for request in receiver.taken for event_id in request.ids]
