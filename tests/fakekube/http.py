"""The server on a socket of this machine, over plain HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from aiohttp import web

from tests.fakekube.messages import Request

if TYPE_CHECKING:
    from tests.fakekube.messages import Response
    from tests.fakekube.server import ApiServer

_MOST_BYTES = 16 * 2**20


class HttpServer:
    """Serves at `url` within `async with`, on the event loop that enters it."""

    def __init__(self, server: ApiServer) -> None:
        """Nothing is opened yet."""
        self.server = server
        self.url = ""
        self._requests: list[web.Request] = []

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=_MOST_BYTES)
        application.router.add_route("*", "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for request in self._requests:
            _abort(request)
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        asked = Request(
            request.method,
            request.rel_url.raw_path,
            dict(request.query),
            await request.read(),
            request.content_type,
            request.headers,
        )
        self._requests.append(request)
        try:
            return await self._respond(request, await self.server.carry(asked))
        except ConnectionResetError:
            _abort(request)
            return web.Response()
        finally:
            self._requests.remove(request)

    async def _respond(self, request: web.Request, response: Response) -> web.StreamResponse:
        if response.stream is None:
            return web.Response(status=response.status, body=response.body, headers=response.headers)
        streamed = web.StreamResponse(status=response.status, headers=response.headers)
        await streamed.prepare(request)
        async for chunk in response.stream:
            await streamed.write(chunk)
        return streamed


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
