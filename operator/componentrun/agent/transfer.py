"""HTTP to the object store over capability URLs: connections, patience, and what an answer means.

`http.client` rather than urllib3: it reads into a buffer without a copy, sends from any iterable, and is imported in a
third of the time. Every thread has one connection of its own to each host, which is kept alive.

An URL is a capability: nothing in here puts one into a message. Messages name the table or object instead.
"""

from __future__ import annotations

import http.client
import random
import re
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar
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
    """How long trouble is borne. Seconds."""

    stall: float = 30.0
    """How long a connection may be silent before it counts as broken."""
    budget: float = 120.0
    """How long one object may make no progress at all, over any number of tries."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `headers` and `body` are asked anew before each try."""

    method: str
    url: str
    """Never shown to anybody."""
    what: str
    """The object, as messages call it."""
    headers: Callable[[], dict[str, str]] = dict
    body: Callable[[], Iterable[bytes]] = tuple
    again: Callable[[], Request] | None = None
    """Makes the request for the next try; None: it is the same one."""


class Failure(Exception):  # noqa: N818 - not an error that leaves the agent
    """One try failed and another one may succeed. Holds why, without an address."""


class Stop:
    """Tells all threads that one of them met an error that ends the whole: they give up at their next chance."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._event = threading.Event()

    def set(self) -> None:
        """From now on nothing is tried again."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether something ended the whole."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until something ends the whole."""
        self._event.wait(seconds)


class Client:
    """Sends requests to the store, again where that may help. Safe to use from several threads.

    Args:
        ca_bundle: PEM of further authorities to trust; None: the usual ones only.
        patience: how long trouble is borne.
    """

    def __init__(self, ca_bundle: str | None = None, patience: Patience = Patience()) -> None:
        """No connection is made yet."""
        self.patience = patience
        self.stop = Stop()
        self._ca_bundle = ca_bundle
        self._tls: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._own = threading.local()

    def send(
        self, request: Request, use: Callable[[Response], Answer], progress: Callable[[], int] | None = None
    ) -> Answer:
        """Send one request, again and again until it succeeds or nothing has moved for `patience.budget` seconds.

        Args:
            request: what to send.
            use: reads the answer (status 200 to 206) and returns what is wanted; may raise `Failure` to try again.
            progress: any number that grows when a try got further; then the budget starts anew.

        Raises:
            TransientError: (StorageUnavailable) the store did not answer, or answered with errors, for too long;
                or (StageInFailed) the object was replaced while it was read.
            PlatformError: (StorageAccessDenied, InputNotFound, StorageBucketNotFound, Internal) it refused.
            UserError: (OutputInvalid) the object is larger than the grant allows.
        """
        pause, tries, reached = _FIRST_PAUSE, 0, progress() if progress else 0
        last_progress = time.monotonic()
        while True:
            tries += 1
            try:
                return self._try(request, use)
            except ssl.SSLCertVerificationError as error:
                raise _untrusted(error, request.what) from error
            except ComponentRunError:
                # Something of the answer may be left unread; another object may still be asked for by this thread.
                self.forget_connection(request.url)
                raise
            except (Failure, OSError, http.client.HTTPException) as error:
                self.forget_connection(request.url)
                trouble = _trouble(error)
                if progress is None and tries == 1:
                    # What is sent anew each time: how long the first try went well is no part of the trouble.
                    last_progress = time.monotonic()
                if progress and progress() > reached:
                    pause, reached, last_progress = _FIRST_PAUSE, progress(), time.monotonic()
                spent = time.monotonic() - last_progress
                if self.stop.is_set() or spent + pause > self.patience.budget:
                    raise TransientError(
                        f"{request.what}: the object store failed for {spent:.0f} s, {tries} "
                        f"{'try' if tries == 1 else 'tries'}; the last time: {trouble}",
                        Reason.STORAGE_UNAVAILABLE,
                    ) from error
            request = request.again() if request.again is not None else request
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
            # A store that refuses need not read the body: its answer may be there to be read.
            refused_early = error
        try:
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            if refused_early is not None:
                raise refused_early from None
            raise
        with response:
            if not 200 <= response.status < 207:  # noqa: PLR2004 - success, also without or with part of a body
                _refuse(response, request.what)
            if refused_early is not None:
                raise Failure("it took the request but not the whole body")
            return use(response)

    def _connection(self, url: str) -> _Connection:
        parts = urlsplit(url)
        own: dict[str, _Connection] = self._own.__dict__.setdefault("connections", {})
        place = f"{parts.scheme}://{parts.netloc}"
        if place not in own:
            own[place] = self._connect(parts.scheme, parts.hostname or "", parts.port)
        return own[place]

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
        """PEM of all authorities that are trusted: the usual ones, and those that were given."""
        # Of what was given, the context tells only certificates that may sign others.
        usual = _tls(None).get_ca_certs(binary_form=True)
        return "".join([*map(ssl.DER_cert_to_PEM_cert, usual), self._ca_bundle or ""])

    def forget_connection(self, url: str) -> None:
        """Close this thread's connection, in whatever state it is; the next request makes a new one."""
        parts = urlsplit(url)
        connection = self._own.__dict__.get("connections", {}).pop(f"{parts.scheme}://{parts.netloc}", None)
        if connection is not None:
            connection.close()


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_bundle:
        try:
            context.load_verify_locations(cadata=ca_bundle)
        except ssl.SSLError as error:
            raise PlatformError(
                "the Storage's caBundle is no PEM of certificates", Reason.STORAGE_UNAVAILABLE
            ) from error
    return context


def _refuse(response: Response, what: str) -> NoReturn:
    # Only the code is taken from the answer: its message and resource may hold keys and signatures.
    text = response.read(_ERROR_BYTES)
    found = _CODE.search(text)
    code = found.group(1).decode() if found else ""
    raise explain(response.status, code, what)


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


def explain(status: int, code: str, what: str) -> Exception:
    """What an answer that is no success means: a `Failure` where trying again may help, else an error to raise.

    Args:
        status: of the answer.
        code: the store's own word for it (`AccessDenied`), or empty.
        what: the object, as messages call it.
    """
    answer = f"{status} {code}".strip()
    if status in AWAY_STATUSES or code in _TRY_AGAIN_CODES:
        return Failure(f"it answered {answer}")
    meaning = _MEANINGS.get(code) or _MEANINGS.get({401: 403, 410: 404}.get(status, status))
    if meaning is None:
        return PlatformError(f"{what}: the object store answered {answer}, which is not expected here")
    kind, reason, sentence = meaning
    return kind(f"{what}: {sentence.format(answer)}", reason)


def _untrusted(error: ssl.SSLCertVerificationError, what: str) -> PlatformError:
    return PlatformError(
        f"{what}: the object store's certificate is not trusted ({error.verify_message}); give the Storage the "
        "authority that signed it as `caBundle`",
        Reason.STORAGE_UNAVAILABLE,
    )


def _trouble(error: Exception) -> str:
    """One try's trouble in words, without an address."""
    if isinstance(error, TimeoutError):
        return "it was silent for too long"
    if isinstance(error, ConnectionResetError | BrokenPipeError | http.client.RemoteDisconnected):
        return "the connection broke"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer broke off"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) if isinstance(error, Failure) else type(error).__name__
