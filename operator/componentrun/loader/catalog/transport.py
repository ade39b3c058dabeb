"""HTTP adapter for requests to a catalog. It limits the total time of a request and the size of its response.

A socket timeout applies to each read: a catalog that sends a byte every few seconds would block a thread forever.
Therefore a timer shuts the connection down when the time limit of the whole request is reached.
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
"""The metadata of a table with ten thousand snapshots is about 10 MiB."""
_CHUNK: Final = 2**16


class AnswerTooLargeError(requests.RequestException):
    """The response is larger than any valid response."""


class LimitedAdapter(HTTPAdapter):
    """Sends requests within limits. Mount it for all URLs of a session.

    Attributes:
        ends_at: deadline of all requests, in `time.monotonic` seconds; None: no deadline.
    """

    def __init__(self, seconds: float) -> None:
        """`seconds` limits a request including its response, unless the request has its own timeout."""
        super().__init__()
        self._seconds = seconds
        self.ends_at: float | None = None
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request as `HTTPAdapter.send` does, and read the whole response before returning it.

        Raises:
            ReadTimeout: the time limit of the request, or the deadline of all requests, has passed.
            AnswerTooLargeError: the response exceeds the size limit.
            RequestException: see `requests`.
        """
        timeout = options.get("timeout")
        seconds = timeout if isinstance(timeout, int | float) else self._seconds
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
        # If the response was read to its end, its connection is already back in the pool.
        raw.close()
    return bytes(content)


class _Watch:
    """Shuts down the connection of this thread's request when its time limit is reached."""

    _current = threading.local()

    def __init__(self, seconds: float) -> None:
        self.fired = False
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._is_last = False
        """Whether this object must close the handle."""
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
        """Close a handle. If a request still uses it, it is closed when that request has ended.

        If a response ends when its connection closes, `http.client` closes the connection before the response is read.
        """
        watch: _Watch | None = getattr(cls._current, "watch", None)
        if watch is None or watch._handle is not handle:  # noqa: SLF001 - its own class
            handle.close()
        else:
            watch._is_last = True  # noqa: SLF001 - likewise

    @classmethod
    def over(cls, handle: socket.socket | None) -> None:
        """Watch this connection for the request of this thread."""
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
    with contextlib.suppress(OSError):  # already closed
        handle.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    """A connection that another thread can shut down, even during the TLS handshake."""

    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        # TLS wraps the socket and detaches it; a duplicate can still be used to shut it down.
        self._handle = connection.dup()
        _Watch.over(self._handle)
        return connection

    def request(self, *arguments: Any, **options: Any) -> None:
        _Watch.over(self._handle)
        super().request(*arguments, **options)

    def close(self) -> None:
        super().close()
        if self._handle is not None:
            _Watch.release(self._handle)
            self._handle = None


class _TlsWatched(_Watched, HTTPSConnection):
    """The same for TLS connections."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsWatched
