"""The operator's way to the loader: requests of `componentrun.wire.loader` over TLS, and what their failures mean.

    no loader is installed, or it refuses (4xx)       PlatformError
    no connection, no trust, no answer, 503           TransientError
    the body was sent, and no answer can be read      UnknownOutcomeError
    it answers with a `Failure`                       by its kind, or UnknownOutcomeError if its outcome is unknown

Only an error whose `unknown` is True may have changed something. The body is sent when the loader asks for it (100
Continue), so a request that was not begun is known for certain. Each request has a connection of its own, so that the
loader's Service spreads requests over its pods, and none is sent into a connection that its other end is closing.
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
)
from componentrun.process.kubernetes.connections import lively_socket
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
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_TRY_LATER: Final = frozenset({429, 503})
_QUOTED: Final = 300
_IN_THREAD_BYTES: Final = 2**20
"""Longer documents are written and read in a thread, so that they don't hold up the event loop."""
_KINDS: Final[dict[str, type[ComponentRunError]]] = {
    "user": UserError,
    "platform": PlatformError,
    "transient": TransientError,
}


class CatalogAwayError(TransientError):
    """The catalog gave no answer at all. Nothing was changed."""


class UnansweredCommitError(UnknownOutcomeError):
    """The catalog gave no answer to a commit."""


class LoaderClient:
    """The loader, as the operator sees it. Every method can be called again after any error."""

    def __init__(self, chosen: LoaderSettings | None) -> None:
        """None: no loader is installed."""
        self._chosen = chosen
        self._session: aiohttp.ClientSession | None = None
        if chosen is not None:
            self._authority = Authority(chosen.authority_file)
            self._token = TokenFile(chosen.token_file)

    async def __aenter__(self) -> Self:
        """Prepare; connections are opened by requests."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=lively_socket)
        # No proxy: the loader is a Service of the cluster.
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def load(self, request: LoadRequest, storage: str) -> LoadAnswer:
        """Publish an attempt's tables.

        Args:
            request: what is to be published.
            storage: `<namespace>/<name>` of the Storage.

        Raises:
            UserError: the tables can't become what the run asks for.
            PlatformError: no loader is installed, or it, the catalog or the store refused.
            TransientError: something does not respond.
            UnknownOutcomeError: the tables may be published; ask again.
        """
        return await self._ask(LOAD_PATH, request, LoadAnswer, storage)

    async def fence(self, request: FenceRequest, storage: str) -> FenceAnswer:
        """Have it that an attempt is never published any more.

        Raises:
            PlatformError, TransientError, UnknownOutcomeError: that is not certain (yet); as `load`.
        """
        return await self._ask(FENCE_PATH, request, FenceAnswer, storage)

    async def plan(self, request: PlanRequest, storage: str) -> PlanAnswer:
        """Which files hold the rows of tables, as of one moment.

        Raises:
            UserError, PlatformError, TransientError: as `load`. Nothing is changed in any case.
        """
        return await self._ask(PLAN_PATH, request, PlanAnswer, storage)

    async def check(self, request: CheckRequest, storage: str) -> CheckAnswer:
        """Whether a Storage's catalog can do what publishing needs.

        Raises:
            PlatformError, TransientError: as `load`; then nothing is known of the catalog.
        """
        return await self._ask(CHECK_PATH, request, CheckAnswer, storage)

    @property
    def installed(self) -> bool:
        """Whether there is a loader."""
        return self._chosen is not None

    async def _ask(
        self,
        path: str,
        request: LoadRequest | FenceRequest | PlanRequest | CheckRequest,
        kind: type[Answer],
        storage: str,
    ) -> Answer:
        if self._chosen is None or self._session is None:
            raise PlatformError(
                f"Storage `{storage}` keeps its tables in a catalog, and no loader is installed that reads and writes "
                "these. Install the chart with `loader.enabled=true`",
                Reason.LOADER_UNAVAILABLE,
            )
        body = (await asyncio.to_thread(to_json, request)).encode()
        if len(body) > loaderaccess.BODY_BYTES:
            raise PlatformError(
                f"what the loader is asked for has {len(body)} bytes; expected at most {loaderaccess.BODY_BYTES}. "
                "Have the run write fewer slices or tables",
                Reason.PUBLISH_FAILED,
            )
        sending = _Sending(body, changes=kind in {LoadAnswer, FenceAnswer})
        data = await self._send(path, sending, storage)
        try:
            answer = await _read(kind, data)
        except ValueError as error:
            raise sending.failed(f"the loader's answer can't be read: {error}") from error
        if answer.failure is not None:
            _raise(answer.failure)
        return answer

    async def _send(self, path: str, sending: _Sending, storage: str) -> bytes:
        assert self._chosen is not None  # noqa: S101 - looked at by the caller
        assert self._session is not None  # noqa: S101 - likewise
        url = self._chosen.url
        total = self._chosen.load_seconds if path == LOAD_PATH else self._chosen.answer_seconds
        limits = aiohttp.ClientTimeout(total=total, sock_connect=_CONNECT_SECONDS)
        headers, tls = self._shown(), self._tls()
        headers |= {loaderaccess.STORAGE: storage, "Content-Length": str(len(sending.body))}
        try:
            async with self._session.post(
                url + path, data=sending.once_asked(), headers=headers, timeout=limits, expect100=True,
                ssl=tls, server_hostname=loaderaccess.SERVER_NAME, allow_redirects=False,
            ) as response:  # fmt: skip
                if response.status != _OK:
                    await self._refused(response, sending)
                return await response.read()
        except aiohttp.ClientConnectorCertificateError as error:
            self._authority.invalidate()
            raise TransientError(
                f"what answers at {url} is no loader: its certificate is not valid: {error.certificate_error}",
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
    """One request, and whether its body was sent: then the loader may have begun it."""

    def __init__(self, body: bytes, *, changes: bool) -> None:
        """Nothing is sent yet."""
        self.body = body
        self._changes = changes
        self._sent = False

    async def once_asked(self) -> AsyncIterator[bytes]:
        """The body; read when the loader asks for it."""
        self._sent = True
        yield self.body

    def failed(self, told: str) -> TransientError:
        """The error of a request that was not answered."""
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
    """Raise the error that the loader describes."""
    known = failure.reason in Reason.__members__.values()
    reason = Reason(failure.reason) if known else Reason.INTERNAL
    if failure.unknown:
        kind = UnansweredCommitError if failure.no_answer else UnknownOutcomeError
        raise kind(failure.message, reason)
    if failure.no_answer:
        raise CatalogAwayError(failure.message, reason)
    # A loader of another release may know further kinds.
    raise _KINDS.get(failure.kind, PlatformError)(failure.message, reason)
