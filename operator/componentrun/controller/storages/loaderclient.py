"""Client of the loader: requests of `componentrun.wire.loader` over TLS, and the errors for their failures.

    no loader is installed, or it refuses (4xx)         PlatformError
    no connection, no trust, no response, 503           TransientError
    the body was sent, and no response can be read      UnknownOutcomeError
    the response is a `Failure`                         by its kind, or UnknownOutcomeError if its outcome is unknown

Only a request whose error is `unknown` may have changed something. The body is sent only when the loader requests it
(100 Continue), so without that the request has certainly not begun. A request that may change something uses a new
connection, so that the loader's Service distributes loads over its pods, and none is sent over a connection that the
loader is closing. Plans, which every run with input tables needs, share connections (decision 0083).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar

import aiohttp

from componentrun.errors import (
    ComponentRunError,
    PlatformError,
    Reason,
    TransientError,
    UnknownOutcomeError,
    UserError,
    without_advice,
)
from componentrun.process.kubernetes.connections import LivelySockets
from componentrun.process.kubernetes.tokenfile import TokenFile
from componentrun.process.serving.authority import Authority
from componentrun.wire import loaderaccess
from componentrun.wire.documents import from_json, to_json
from componentrun.wire.loader import (
    CHECK_PATH,
    FENCE_PATH,
    LOAD_PATH,
    PLAN_PATH,
    CheckAnswer,
    CheckRequest,
    FenceAnswer,
    FenceRequest,
    LoadAnswer,
    LoadRequest,
    PlanAnswer,
    PlanRequest,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from componentrun.controller.settings import LoaderSettings
    from componentrun.wire.loader import Failure

__all__ = ["CatalogAwayError", "LoaderClient", "UnansweredCommitError"]

Answer = TypeVar("Answer", LoadAnswer, FenceAnswer, PlanAnswer, CheckAnswer)

_CONNECT_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 5.0
"""Seconds that an unused connection is kept for the next plan; less than the loader keeps it."""
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_TRY_LATER: Final = frozenset({429, 503})
_QUOTED: Final = 300
_IN_THREAD_BYTES: Final = 2**20
"""Larger documents are encoded and decoded in a thread, so that they don't block the event loop."""
_KINDS: Final[dict[str, type[ComponentRunError]]] = {
    "user": UserError,
    "platform": PlatformError,
    "transient": TransientError,
}


class CatalogAwayError(TransientError):
    """The catalog did not respond at all, so nothing was changed."""


class UnansweredCommitError(UnknownOutcomeError):
    """The catalog did not respond to a commit."""


class LoaderClient:
    """Client of the loader. Every method may be called again after any error."""

    def __init__(self, chosen: LoaderSettings | None) -> None:
        """With None, no loader is installed."""
        self._chosen = chosen
        self._session: aiohttp.ClientSession | None = None
        self._plan_session: aiohttp.ClientSession | None = None
        self._sockets = LivelySockets()
        if chosen is not None:
            self._authority = Authority(chosen.authority_file)
            self._token = TokenFile(chosen.token_file)

    async def __aenter__(self) -> Self:
        """Open no connection yet."""
        # No proxy: the loader is a Service of the cluster.
        connector = aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=self._sockets)
        self._session = aiohttp.ClientSession(connector=connector)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS, socket_factory=self._sockets)
        self._plan_session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        for session in (self._session, self._plan_session):
            if session is not None:
                await session.close()
        await self._sockets.closed()

    async def load(self, request: LoadRequest, storage: str) -> LoadAnswer:
        """Publish an attempt's tables.

        Args:
            request: the tables to publish.
            storage: `<namespace>/<name>` of the Storage.

        Raises:
            UserError: the tables do not fit the existing ones.
            PlatformError: no loader is installed, or it, the catalog or the store refused.
            TransientError: a service does not respond.
            UnknownOutcomeError: the tables may be published; call again.
        """
        return await self._ask(LOAD_PATH, request, LoadAnswer, storage)

    async def fence(self, request: FenceRequest, storage: str) -> FenceAnswer:
        """Make sure that an attempt is never published from now on.

        Raises:
            PlatformError, TransientError, UnknownOutcomeError: not certain (yet); see `load`.
        """
        return await self._ask(FENCE_PATH, request, FenceAnswer, storage)

    async def plan(self, request: PlanRequest, storage: str) -> PlanAnswer:
        """The files that contain the rows of tables, in one consistent snapshot.

        Raises:
            UserError, PlatformError, TransientError: see `load`. The request changes nothing.
        """
        return await self._ask(PLAN_PATH, request, PlanAnswer, storage)

    async def check(self, request: CheckRequest, storage: str) -> CheckAnswer:
        """Check whether a Storage's catalog supports what publishing needs.

        Raises:
            PlatformError, TransientError: see `load`; the state of the catalog is unknown.
        """
        return await self._ask(CHECK_PATH, request, CheckAnswer, storage)

    @property
    def installed(self) -> bool:
        """Whether a loader is installed."""
        return self._chosen is not None

    async def _ask(
        self,
        path: str,
        request: LoadRequest | FenceRequest | PlanRequest | CheckRequest,
        kind: type[Answer],
        storage: str,
    ) -> Answer:
        session = self._plan_session if path == PLAN_PATH else self._session
        if self._chosen is None or session is None:
            raise PlatformError(
                f"Storage `{storage}` keeps its tables in a catalog, and no loader is installed to read and write them",
                Reason.LOADER_UNAVAILABLE,
                advice="Install the chart with `loader.enabled=true`.",
            )
        text = to_json(request) if path != LOAD_PATH else await asyncio.to_thread(to_json, request)
        body = text.encode()
        if len(body) > loaderaccess.BODY_BYTES:
            raise PlatformError(
                f"the request to the loader has {len(body)} bytes; expected at most {loaderaccess.BODY_BYTES}",
                Reason.PUBLISH_FAILED,
                advice="Let the run write fewer slices or tables.",
            )
        sending = _Sending(body, changes=kind in {LoadAnswer, FenceAnswer})
        data = await self._send(session, path, sending, storage)
        try:
            answer = await _read(kind, data)
        except ValueError as error:
            raise sending.failed(f"the loader's answer can't be read: {error}") from error
        if answer.failure is not None:
            _raise(answer.failure)
        return answer

    async def _send(self, session: aiohttp.ClientSession, path: str, sending: _Sending, storage: str) -> bytes:
        assert self._chosen is not None  # noqa: S101 - checked by the caller
        url = self._chosen.url
        total = self._chosen.load_seconds if path == LOAD_PATH else self._chosen.answer_seconds
        limits = aiohttp.ClientTimeout(total=total, sock_connect=_CONNECT_SECONDS)
        headers, tls = self._shown(), self._tls()
        headers |= {loaderaccess.STORAGE: storage, "Content-Length": str(len(sending.body))}
        try:
            async with session.post(
                url + path, data=sending.once_asked(), headers=headers, timeout=limits, expect100=True,
                ssl=tls, server_hostname=loaderaccess.SERVER_NAME, allow_redirects=False,
            ) as response:  # fmt: skip
                if response.status != _OK:
                    await self._refused(response, sending)
                return await response.read()
        except aiohttp.ClientConnectorCertificateError as error:
            self._authority.invalidate()
            raise TransientError(
                f"the server at {url} is not the loader: its certificate is not valid: {error.certificate_error}",
                Reason.LOADER_UNAVAILABLE,
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise sending.failed(f"the loader at {url} did not answer: {type(error).__name__}: {error}") from error

    def _shown(self) -> dict[str, str]:
        try:
            return self._token.authorization()
        except (OSError, ValueError) as error:
            raise _unreadable("a token", error) from error

    def _tls(self) -> ssl.SSLContext:
        try:
            return self._authority.context()
        except (OSError, ValueError) as error:
            raise _unreadable("the certificates of its authority", error) from error

    async def _refused(self, response: aiohttp.ClientResponse, sending: _Sending) -> NoReturn:
        text = (await response.content.read(_QUOTED)).decode(errors="replace").strip()
        told = f"the loader answers {response.status}: {text}"
        if response.status == _UNAUTHORIZED:
            self._token.invalidate()
        if response.status not in loaderaccess.NOTHING_DONE:
            raise sending.failed(told)
        kind = TransientError if response.status in _TRY_LATER else PlatformError
        raise kind(told, Reason.LOADER_UNAVAILABLE)


class _Sending:
    """The body of one request. Once it is sent, the loader may have begun the request."""

    def __init__(self, body: bytes, *, changes: bool) -> None:
        """Send nothing yet."""
        self.body = body
        self._changes = changes
        self._sent = False

    async def once_asked(self) -> AsyncIterator[bytes]:
        """Yield the body; called when the loader requests it."""
        self._sent = True
        yield self.body

    def failed(self, told: str) -> TransientError:
        """The error for a request without a response."""
        if self._sent and self._changes:
            return UnknownOutcomeError(told, Reason.LOADER_UNAVAILABLE)
        return TransientError(told, Reason.LOADER_UNAVAILABLE)


def _unreadable(what: str, error: OSError | ValueError) -> PlatformError:
    told = getattr(error, "strerror", None) or error
    file = getattr(error, "filename", None) or "a file"
    return PlatformError(f"can't ask the loader without {what}: {file}: {told}", Reason.LOADER_UNAVAILABLE)


async def _read(kind: type[Answer], data: bytes) -> Answer:
    if len(data) < _IN_THREAD_BYTES:
        return from_json(kind, data)
    return await asyncio.to_thread(from_json, kind, data)


def _raise(failure: Failure) -> NoReturn:
    """Raise the error that the loader reports."""
    known = failure.reason in Reason.__members__.values()
    reason = Reason(failure.reason) if known else Reason.INTERNAL
    summary = without_advice(failure.message, failure.advice)
    if failure.unknown:
        kind = UnansweredCommitError if failure.no_answer else UnknownOutcomeError
        raise kind(summary, reason, advice=failure.advice)
    if failure.no_answer:
        raise CatalogAwayError(summary, reason, advice=failure.advice)
    # A loader of another release may send other kinds.
    raise _KINDS.get(failure.kind, PlatformError)(summary, reason, advice=failure.advice)
