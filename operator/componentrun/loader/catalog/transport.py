"""How requests to a catalog are sent: each with a limit for all of it, and for the size of its answer.

A timeout of a socket is one for the next bytes: a catalog that sends a byte every few seconds would hold a thread for
ever. So a timer shuts the connection down when the time for the whole request is over.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from types import TracebackType

    from urllib3 import HTTPResponse

__all__ = ["AnswerTooLargeError", "LimitedAdapter"]

_CONNECT_SECONDS: Final = 5.0
_MOST_BYTES: Final = 64 * 2**20
"""The metadata of a table with ten thousand snapshots has some 10 MiB."""
_CHUNK: Final = 2**16


class AnswerTooLargeError(requests.RequestException):
    """The answer has more bytes than any that is of use."""


class LimitedAdapter(HTTPAdapter):
    """Sends requests within limits; mount it for all URLs of a session.

    Attributes:
        ends_at: when all requests must have ended, in `time.monotonic` seconds; None: there is no such time.
    """

    def __init__(self, seconds: float) -> None:
        """`seconds` is the limit of a request with its answer, unless it has a timeout of its own."""
        super().__init__()
        self._seconds = seconds
        self.ends_at: float | None = None
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """See `requests`; the answer has been read when it is returned.

        Raises:
            ReadTimeout: the request, or the time for all of them, has ended.
            AnswerTooLargeError: see there.
            RequestException: see `requests`.
        """
        own = options.get("timeout")
        seconds = own if isinstance(own, int | float) else self._seconds
        if self.ends_at is not None:
            seconds = min(seconds, self.ends_at - time.monotonic())
        if seconds <= 0:
            raise requests.ReadTimeout("no time is left for it", request=request)
        options |= {"timeout": (min(_CONNECT_SECONDS, seconds), seconds), "stream": True}
        with _Watch(seconds) as watch:
            try:
                response = super().send(request, *arguments, **options)
                content = _read(response)
            except AnswerTooLargeError:
                raise
            except requests.RequestException as error:
                if watch.fired:
                    raise _too_late(seconds, request) from error
                raise
            if watch.fired:
                raise _too_late(seconds, request)
        response.raw = io.BytesIO(content)
        return response


def _too_late(seconds: float, request: requests.PreparedRequest) -> requests.ReadTimeout:
    return requests.ReadTimeout(f"not answered within {seconds:.0f} s", request=request)


def _read(response: requests.Response) -> bytes:
    content = bytearray()
    raw: HTTPResponse = response.raw
    try:
        for chunk in raw.stream(_CHUNK, decode_content=True):
            content += chunk
            if len(content) > _MOST_BYTES:
                raise AnswerTooLargeError(f"an answer of more than {_MOST_BYTES // 2**20} MiB")
    except HTTPError as error:
        raise requests.ConnectionError(error, request=response.request) from error
    finally:
        # Of one that was read to its end, the connection is in the pool again.
        raw.close()
    return bytes(content)


class _Watch:
    """Shuts the connection of this thread's request down when its time is over."""

    _current = threading.local()

    def __init__(self, seconds: float) -> None:
        self.fired = False
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._is_last = False
        """Whether nobody else closes the handle."""
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._current.watch = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._current.watch = None
        with self._lock:
            if self._is_last and self._handle is not None:
                self._handle.close()
            self._handle = None

    @classmethod
    def release(cls, handle: socket.socket) -> None:
        """Close a handle, but not before the request that is watched by it has ended.

        A connection whose answer ends with it is closed by `http.client` before the answer is read.
        """
        watch: _Watch | None = getattr(cls._current, "watch", None)
        if watch is None or watch._handle is not handle:  # noqa: SLF001 - its own class
            handle.close()
        else:
            watch._is_last = True  # noqa: SLF001 - likewise

    @classmethod
    def over(cls, handle: socket.socket | None) -> None:
        """Have the request of this thread use this connection."""
        watch: _Watch | None = getattr(cls._current, "watch", None)
        if watch is not None and handle is not None:
            with watch._lock:  # noqa: SLF001 - its own class
                watch._handle = handle  # noqa: SLF001 - likewise
                if watch.fired:
                    _shut(handle)

    def _fire(self) -> None:
        with self._lock:
            self.fired = True
            if self._handle is not None:
                _shut(self._handle)


def _shut(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        handle.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    """A connection that can be shut down from another thread, also while it shakes hands."""

    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        # TLS takes the socket over; a duplicate of it stays good for a shutdown.
        self._handle = made.dup()
        _Watch.over(self._handle)
        return made

    def request(self, *arguments: Any, **options: Any) -> None:
        _Watch.over(self._handle)
        super().request(*arguments, **options)

    def close(self) -> None:
        super().close()
        if self._handle is not None:
            _Watch.release(self._handle)
            self._handle = None


class _TlsWatched(_Watched, HTTPSConnection):
    """Likewise, over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsWatched
