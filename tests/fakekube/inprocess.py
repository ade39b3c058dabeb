"""The project's clients at the server, without HTTP: their retries, and what they make of answers, are real."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self, cast

from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.blocking import BlockingKube
from componentrun.process.kubernetes.client import Kube
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.kubernetes.errors import UnavailableError, error_for
from tests.fakekube.messages import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    import aiohttp

    from componentrun.process.kubernetes.client import RequestObserver
    from componentrun.process.kubernetes.httpconnection import Request as Sent
    from tests.fakekube.messages import Response
    from tests.fakekube.server import ApiServer

_FIRST_ERROR: Final = 300
_AT_ONCE: Final = 64


class _NoPause(Random):
    """Chooses a pause of no length before each repetition of a request."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 - it does not depend on them
        return 0.0


class _Ignored:
    def request_done(self, method: str, code: str, host: str) -> None:
        """No metrics."""


class InProcessKube(Kube):
    """The client. It opens nothing, so it may be made without an event loop and needs not be closed."""

    def __init__(self, server: ApiServer, observer: RequestObserver | None = None) -> None:
        """A client of this server. It does not pause before it tries again."""
        self.server = server
        self.host = "https://api.test"
        self.clock = ApiClock()
        self._observer = observer or _Ignored()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._random = _NoPause()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        kind: str = "application/json",
        limits: Any = None,  # noqa: ARG002 - silence has no limit here
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        request, code = Request(method, path, dict(query or {}), data or b"", kind), "cancelled"
        try:
            response = await self.server.carry(request)
            code = str(response.status)
            if response.status >= _FIRST_ERROR:
                refusal = error_for(response.status, response.body, f"{method} {path}")
                refusal.retry_after = float(response.headers.get("Retry-After", "0"))
                raise refusal
            yield cast("Any", Answer(response))
        except ConnectionResetError as error:
            raise UnavailableError(f"{method} {path}: no answer: {error}") from error
        finally:
            self._observer.request_done(method, code, "api.test")


class Answer:
    """As much of aiohttp's response as the operator's programs use."""

    def __init__(self, response: Response) -> None:
        """The response, carried over."""
        self._response = response
        self.status = response.status
        self.headers = response.headers
        self.content = self

    async def read(self) -> bytes:
        """The whole body."""
        return self._response.body

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        if self._response.body:
            yield self._response.body
        if self._response.stream is not None:
            async for chunk in self._response.stream:
                yield chunk

    def close(self) -> None:
        """Read no more of it."""
        self._response.on_close()


class InProcessBlockingKube(BlockingKube):
    """The blocking client, for the command line. It opens nothing and needs not be closed."""

    def __init__(self, server: ApiServer, url: str = "https://api.test") -> None:
        """A client of this server, which messages name by the URL. It does not pause before it tries again."""
        super().__init__(Access(url))
        self.server = server
        self._random = _NoPause()

    def _content(self, request: Sent) -> bytes:
        response = self.server.handle(
            Request(request.method, request.path, dict(request.query), request.data or b"", request.kind)
        )
        if response.status >= _FIRST_ERROR:
            raise error_for(response.status, response.body, request.what)
        return response.body

    def _lines(self, request: Sent) -> Iterator[bytes]:
        yield from self._content(request).splitlines(keepends=True)
