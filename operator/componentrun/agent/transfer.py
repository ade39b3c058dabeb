"""HTTP to the object store over capability URLs: connections, retries, and the meaning of responses.

Uses `http.client` instead of urllib3: it reads into a buffer without a copy, sends from any iterable, and takes a
third of the time to import. Each thread keeps one connection alive to each host.

A URL is a capability, so messages never contain one. They name the table or object instead.
"""

from __future__ import annotations

import http.client
import random
import re
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

from componentrun.errors import AWAY_STATUSES, ComponentRunError, PlatformError, Reason, TransientError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Client", "Failure", "Patience", "Request", "Stop", "explain"]

_TRY_AGAIN_CODES: Final = frozenset({"RequestTimeout", "SlowDown", "InternalError", "OperationAborted", "BadDigest"})
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_ERROR_BYTES: Final = 64 * 1024
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0

Answer = TypeVar("Answer")
Response = http.client.HTTPResponse
_Connection = http.client.HTTPConnection


@dataclass(frozen=True, slots=True)
class Patience:
    """Timeouts for a store that does not respond, in seconds."""

    stall: float = 30.0
    """How long a connection may be silent before it counts as broken."""
    budget: float = 120.0
    """How long one object may make no progress, over any number of tries."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `headers` and `body` are called for each try."""

    method: str
    url: str
    """Never part of a message."""
    subject: str
    """The object, as messages call it."""
    headers: Callable[[], dict[str, str]] = dict
    body: Callable[[], Iterable[bytes]] = tuple
    next_request: Callable[[], Request] | None = None
    """Creates the request for the next try; None: the same request."""


class Failure(Exception):  # noqa: N818 - not an error that leaves the agent
    """One try failed and a retry may succeed. The text is the cause, without an address."""


class Stop:
    """Signals all threads to stop after an error in one of them. They check it between blocks and before retries."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._event = threading.Event()

    def set(self) -> None:
        """Stop: nothing is retried from now on."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, at most until the stop signal."""
        self._event.wait(seconds)


class Client:
    """Sends requests to the store, with retries if these may help. Thread-safe.

    Args:
        ca_bundle: PEM of additional certificate authorities to trust; None: only those of the image.
        patience: timeouts.
    """

    def __init__(self, ca_bundle: str | None = None, patience: Patience = Patience()) -> None:
        """Open no connection yet."""
        self.patience = patience
        self.stop = Stop()
        self._ca_bundle = ca_bundle
        self._tls: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._local = threading.local()
        self._open: set[_Connection] = set()

    def __enter__(self) -> Self:
        """Open nothing: the first request of each thread opens its connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def send(
        self, request: Request, use: Callable[[Response], Answer], progress: Callable[[], int] | None = None
    ) -> Answer:
        """Send one request, with retries until it succeeds or makes no progress for `patience.budget` seconds.

        Args:
            request: what to send.
            use: reads the response (status 200 to 206) and returns the result; raises `Failure` for a retry.
            progress: returns a number that grows when a try makes progress, which restarts the budget.

        Raises:
            TransientError: (StorageUnavailable) the store did not respond, or responded with errors, for too long;
                or (StageInFailed) the object was replaced during the download.
            PlatformError: (StorageAccessDenied, InputNotFound, StorageBucketNotFound, Internal) refused by the store.
            UserError: (OutputInvalid) the object is larger than the grant allows.
        """
        pause, tries, last_count = _FIRST_PAUSE, 0, progress() if progress else 0
        last_progress = time.monotonic()
        while True:
            tries += 1
            try:
                return self._try(request, use)
            except ssl.SSLCertVerificationError as error:
                raise _untrusted(error, request.subject) from error
            except ComponentRunError:
                # A part of the response may be unread, and this thread may send another request.
                self.forget_connection(request.url)
                raise
            except (Failure, OSError, http.client.HTTPException) as error:
                self.forget_connection(request.url)
                problem = _trouble(error)
                if progress is None and tries == 1:
                    # Without progress to measure, the budget starts when the first try fails, not when it begins.
                    last_progress = time.monotonic()
                if progress and progress() > last_count:
                    pause, last_count, last_progress = _FIRST_PAUSE, progress(), time.monotonic()
                stalled_seconds = time.monotonic() - last_progress
                if self.stop.is_set() or stalled_seconds + pause > self.patience.budget:
                    raise TransientError(
                        f"{request.subject}: the object store failed for {stalled_seconds:.0f} s, {tries} "
                        f"{'try' if tries == 1 else 'tries'}; the last time: {problem}",
                        Reason.STORAGE_UNAVAILABLE,
                    ) from error
            request = request.next_request() if request.next_request is not None else request
            self.stop.wait(random.uniform(pause / 2, pause))  # noqa: S311 - spreads load, guards nothing
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _try(self, request: Request, use: Callable[[Response], Answer]) -> Answer:
        connection = self._connection(request.url)
        parts = urlsplit(request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.putrequest(request.method, target, skip_accept_encoding=True)
        for name, value in request.headers().items():
            connection.putheader(name, value)
        refused_early: OSError | None = None
        try:
            connection.endheaders()
            for block in request.body():
                connection.send(block)
        except (BrokenPipeError, ConnectionResetError) as error:
            # A store that refuses need not read the body, so a response may be available.
            refused_early = error
        try:
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            if refused_early is not None:
                raise refused_early from None
            raise
        with response:
            if not 200 <= response.status < 207:  # noqa: PLR2004 - success, including no content and partial content
                _refuse(response, request.subject)
            if refused_early is not None:
                raise Failure("it took the request but not the whole body")
            return use(response)

    def _connection(self, url: str) -> _Connection:
        parts = urlsplit(url)
        connections: dict[str, _Connection] = self._local.__dict__.setdefault("connections", {})
        place = f"{parts.scheme}://{parts.netloc}"
        if place not in connections:
            connections[place] = self._connect(parts.scheme, parts.hostname or "", parts.port)
            with self._lock:
                self._open.add(connections[place])
        return connections[place]

    def _connect(self, scheme: str, host: str, port: int | None) -> _Connection:
        if scheme == "http":
            return _Connection(host, port, timeout=self.patience.stall)
        if scheme != "https":
            raise PlatformError(f"the grant holds an address that is neither http nor https: `{scheme}`")
        with self._lock:
            if self._tls is None:
                self._tls = _tls(self._ca_bundle)
        return http.client.HTTPSConnection(host, port, timeout=self.patience.stall, context=self._tls)

    def authorities(self) -> str:
        """PEM of all trusted certificate authorities: those of the image, and the additional ones."""
        # The context lists only certificates of authorities that may sign others, so append the bundle itself.
        usual = _tls(None).get_ca_certs(binary_form=True)
        return "".join([*map(ssl.DER_cert_to_PEM_cert, usual), self._ca_bundle or ""])

    def forget_connection(self, url: str) -> None:
        """Close this thread's connection, whatever its state; the next request opens a new one."""
        parts = urlsplit(url)
        connection = self._local.__dict__.get("connections", {}).pop(f"{parts.scheme}://{parts.netloc}", None)
        if connection is not None:
            connection.close()
            with self._lock:
                self._open.discard(connection)


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_bundle:
        try:
            context.load_verify_locations(cadata=ca_bundle)
        except ssl.SSLError as error:
            raise PlatformError(
                "the Storage's `caBundle` is not a list of PEM certificates", Reason.STORAGE_UNAVAILABLE
            ) from error
    return context


def _refuse(response: Response, subject: str) -> NoReturn:
    # Use only the code in the response: its message and resource may contain keys and signatures.
    text = response.read(_ERROR_BYTES)
    match = _CODE.search(text)
    code = match.group(1).decode() if match else ""
    raise explain(response.status, code, subject)


_MEANINGS: Final[dict[int | str, tuple[type[ComponentRunError], Reason, str]]] = {
    403: (
        PlatformError,
        Reason.STORAGE_ACCESS_DENIED,
        "the object store refused ({}). Has the grant expired, or was the key that signed it withdrawn?",
    ),
    404: (
        PlatformError,
        Reason.INPUT_NOT_FOUND,
        "the object is not in the store any more ({}); it was there when the run was planned",
    ),
    412: (
        TransientError,
        Reason.STAGE_IN_FAILED,
        "the object was replaced after the run was planned ({}), so it was not delivered; a new attempt reads the new",
    ),
    "NoSuchBucket": (PlatformError, Reason.STORAGE_BUCKET_NOT_FOUND, "the object store has no such bucket ({})"),
    "EntityTooLarge": (UserError, Reason.OUTPUT_INVALID, "larger than what the run may store in one object ({})"),
}


def explain(status: int, code: str, subject: str) -> Exception:
    """The meaning of an error response: a `Failure` if a retry may help, otherwise an error to raise.

    Args:
        status: status of the response.
        code: error code of the store (`AccessDenied`), or empty.
        subject: the object, as messages call it.
    """
    answer = f"{status} {code}".strip()
    if status in AWAY_STATUSES or code in _TRY_AGAIN_CODES:
        return Failure(f"it answered {answer}")
    explanation = _MEANINGS.get(code) or _MEANINGS.get({401: 403, 410: 404}.get(status, status))
    if explanation is None:
        return PlatformError(f"{subject}: the object store answered {answer}, which is not expected here")
    kind, reason, sentence = explanation
    return kind(f"{subject}: {sentence.format(answer)}", reason)


def _untrusted(error: ssl.SSLCertVerificationError, subject: str) -> PlatformError:
    return PlatformError(
        f"{subject}: the object store's certificate is not trusted ({error.verify_message})",
        Reason.STORAGE_UNAVAILABLE,
        advice="Set `caBundle` of the Storage to the certificate of the authority that signed it.",
    )


def _trouble(error: Exception) -> str:
    """The cause of a failed try in words, without an address."""
    if isinstance(error, TimeoutError):
        return "it was silent for too long"
    if isinstance(error, ConnectionResetError | BrokenPipeError | http.client.RemoteDisconnected):
        return "the connection broke"
    if isinstance(error, http.client.IncompleteRead):
        return "the response was incomplete"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) if isinstance(error, Failure) else type(error).__name__
