"""One connection to an API server over the standard library: TLS, proxies, and when it has to be opened again."""

from __future__ import annotations

import http.client
import select
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from componentrun.process.kubernetes.access.errors import AccessError
from componentrun.process.kubernetes.access.proxy import proxy_for
from componentrun.process.kubernetes.errors import UnavailableError
from componentrun.process.kubernetes.exchange import JSON, UNTRUSTED

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

    from componentrun.process.kubernetes.access.access import Access
    from componentrun.process.kubernetes.access.credentials import Certificate, Credential

__all__ = ["Connection", "Request", "cut_off"]

_CONNECT_SECONDS: Final = 5.0
_HTTPS: Final = "https"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, apart from credentials."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    kind: str = JSON
    """Content type of the data."""

    @property
    def what(self) -> str:
        """The request, for messages."""
        return f"{self.method} {self.path}"

    @property
    def target(self) -> str:
        """Path and query."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")


class Connection:
    """A connection that is opened by the first request, and again when it was closed or needs another certificate."""

    def __init__(self, access: Access, read_seconds: float) -> None:
        """Nothing is opened yet.

        Args:
            access: the API server.
            read_seconds: how long the server may be silent.

        Raises:
            AccessError: the proxy can't be used.
        """
        self._access, self._read_seconds = access, read_seconds
        self._server = urlsplit(access.server)
        self._proxy, self._proxy_headers = proxy_for(access.server, access.proxy_url)
        if self._proxy is not None and urlsplit(self._proxy).scheme != "http":
            raise AccessError(f"proxy `{self._proxy}`: expected a URL that starts with `http://`")
        self._certificate: Certificate | None = None
        self._http: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._is_aborted = False

    def abort(self) -> None:
        """Make the request that another thread is waiting for fail, and all later ones."""
        self._is_aborted = True
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                # Not the method of an SSLSocket, which also drops the TLS state that the other thread is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it; the next request opens it again."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def send(self, request: Request, credential: Credential) -> http.client.HTTPResponse:
        """Send a request and read the headers of its answer.

        Raises:
            UnavailableError: there is no answer; `may_be_done` says whether the request was sent.
            AccessError: the certificates can't be used.
        """
        if self._http is not None and (credential.certificate != self._certificate or _is_closed(self._http)):
            self.close()
        is_sent = False
        try:
            if self._http is None:
                self._http = self._opened(credential.certificate)
            is_sent = True
            return self._exchange(self._http, request, credential)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            lost = UnavailableError(f"{request.what}: no answer: {_cause(error)}")
            lost.may_be_done = is_sent
            raise lost from error

    def _exchange(
        self, connection: http.client.HTTPConnection, request: Request, credential: Credential
    ) -> http.client.HTTPResponse:
        target = self._server.path + request.target
        if self._proxy is not None and self._server.scheme != _HTTPS:
            target = f"{self._server.scheme}://{self._server.netloc}{target}"
        connection.putrequest(request.method, target)
        for name, value in self._headers(request, credential):
            connection.putheader(name, value)
        with suppress(BrokenPipeError):  # a server that finds a body too large answers before it has read all of it
            connection.endheaders(request.data)
        return connection.getresponse()

    def _headers(self, request: Request, credential: Credential) -> Iterable[tuple[str, str]]:
        yield from (("Accept", JSON), ("User-Agent", "componentrun"))
        yield from credential.headers().items()
        yield from self._access.headers
        if request.data is not None:
            yield from (("Content-Type", request.kind), ("Content-Length", str(len(request.data))))
        if self._proxy_headers is not None and self._server.scheme != _HTTPS:
            yield from self._proxy_headers.items()

    def _opened(self, certificate: Certificate | None) -> http.client.HTTPConnection:
        """A new connection that shows this client certificate."""
        first = self._server if self._proxy is None else urlsplit(self._proxy)
        host, name = first.hostname or "", self._server.hostname or ""
        # Without a port, http.client looks for one in the host, and an IPv6 address is full of colons.
        port = first.port or (http.client.HTTPS_PORT if first.scheme == _HTTPS else http.client.HTTP_PORT)
        if self._server.scheme != _HTTPS:
            connection = http.client.HTTPConnection(host, port, timeout=_CONNECT_SECONDS)
        else:
            tls = self._access.tls(certificate)
            connection = _TlsConnection(host, port, tls, self._access.tls_server_name or name)
            if self._proxy is not None:
                connection.set_tunnel(name, self._server.port or http.client.HTTPS_PORT, self._proxy_headers or {})
        self._certificate = certificate
        connection.connect()
        connection.sock.settimeout(self._read_seconds)
        self._socket = connection.sock
        if self._is_aborted:
            connection.close()
            raise ConnectionAbortedError("the request was aborted")
        return connection


class _TlsConnection(http.client.HTTPConnection):
    """A connection over TLS to a server whose certificate may have another name than its host."""

    default_port = http.client.HTTPS_PORT

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, name: str) -> None:
        super().__init__(host, port, timeout=_CONNECT_SECONDS)
        self._tls, self._name = tls, name

    def connect(self) -> None:
        """Connect, through the proxy if there is one."""
        super().connect()
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed an idle connection: then there is an end to be read from it."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])


def cut_off(request: Request, error: BaseException) -> UnavailableError:
    """The error for an answer that ended too early."""
    return UnavailableError(f"{request.what}: the answer was cut off: {_cause(error)}")


def _cause(error: BaseException) -> str:
    """Why there is no answer, in a few words."""
    if refusal := getattr(error, "verify_message", ""):
        return f"{UNTRUSTED}: {refusal}"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
