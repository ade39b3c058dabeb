"""GELF servers for TCP, UDP and HTTP on the pod's loopback address.

On SIGTERM they handle what has already been sent, then exit.
"""

from __future__ import annotations

import http.server
import os
import signal
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from componentrun import contract
from componentrun.agent.gelf.framing import Chunks, NullSplitter
from componentrun.agent.gelf.messages import MESSAGE_LIMIT, BadMessageError, complaint, printed
from componentrun.wire import agents as exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SERVERS", "Server", "serve", "start"]

_RECEIVE: Final = 64 * 1024
_SOCKET_BUFFER: Final = 8 * 1024 * 1024
"""Receive buffer requested for UDP, so that bursts are not dropped; the kernel caps it at its own limit."""
_DRAIN_SECONDS: Final = 10.0
"""Seconds to wait for open connections after the component, and with it its own connections, has ended."""
_HTTP_SECONDS: Final = 5.0
"""Timeout for a request on an open connection, because other connections wait meanwhile."""


class _Output:
    """Prints lines one at a time, from several threads."""

    def __init__(self, visibility: Mapping[str, str], write: Callable[[bytes], object]) -> None:
        self._visibility, self._write = visibility, write
        self._lock = threading.Lock()

    def take(self, message: bytes | BadMessageError) -> BadMessageError | None:
        """Print a message, or the error in its place; returns the error."""
        problem = message if isinstance(message, BadMessageError) else None
        line: bytes | None = None
        if isinstance(message, bytes):
            try:
                line = printed(message, self._visibility)
            except BadMessageError as error:
                problem = error
        if problem is not None:
            line = complaint(str(problem))
        if line is not None:
            with self._lock:
                self._write(line)
        return problem


class Server(socketserver.BaseServer):
    """Base of the three servers: an output, and a shutdown that drops nothing already received."""

    output: _Output
    drained = False

    def handle_timeout(self) -> None:
        """Called when no more input is waiting."""
        self.drained = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect before the response: most do not wait for it."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def drain(self) -> None:
        """Stop the server after handling everything that was sent before."""
        self.shutdown()
        self.timeout = 0
        while not self.drained:
            self.handle_request()
        self.server_close()


class _TcpServer(Server, socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 128


class _TcpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        output = cast("Server", self.server).output
        splitter = NullSplitter()
        while data := self._receive():
            for message in splitter.feed(data):
                output.take(message)
        for message in splitter.rest():
            output.take(message)

    def _receive(self) -> bytes:
        try:
            return cast("bytes", self.request.recv(_RECEIVE))
        except ConnectionError:
            return b""  # the component was killed; everything it sent before has been read


class _UdpServer(Server, socketserver.UDPServer):
    max_packet_size = 65_535

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
        super().server_bind()
        self.chunks = Chunks()

    def service_actions(self) -> None:
        """Called between datagrams: report messages that can't be completed."""
        for problem in self.chunks.overdue(time.monotonic()):
            self.output.take(problem)

    def server_close(self) -> None:
        for problem in self.chunks.overdue(float("inf")):
            self.output.take(problem)
        super().server_close()


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = cast("_UdpServer", self.server)
        for message in server.chunks.feed(self.request[0], self.client_address, time.monotonic()):
            server.output.take(message)


class _HttpServer(Server, http.server.HTTPServer):
    """Handles one connection at a time, with one request each.

    Clients open a new connection for each message and do not wait for the response, so concurrent handling would
    lose the order.
    """

    request_queue_size = 128

    def server_bind(self) -> None:
        """Skip the base class's reverse DNS lookup, which may hang in a closed network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = contract.LOGGER_ADDRESS, self.server_address[1]


class _HttpHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # so that `Expect: 100-continue` is answered
    server_version = "componentrun"
    sys_version = ""
    timeout = _HTTP_SECONDS

    def do_POST(self) -> None:
        """Accept a message on any path, because clients use different ones."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length")
        elif int(length) > MESSAGE_LIMIT:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {MESSAGE_LIMIT} bytes")
        else:
            problem = cast("Server", self.server).output.take(self.rfile.read(int(length)))
            if problem is None:
                self._answer(HTTPStatus.ACCEPTED, "")
            else:
                self._answer(HTTPStatus.BAD_REQUEST, f"{problem}\n")

    def _refuse(self, status: HTTPStatus, problem: str) -> None:
        """Refuse the request. The body is not read, so the connection can't be reused."""
        cast("Server", self.server).output.take(BadMessageError(f"HTTP status {status.value}: {problem}"))
        self._answer(status, f"{problem}\n")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.close_connection = True
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gives it
        """Do not log requests."""


SERVERS: Final[dict[str, tuple[type[Server], type[socketserver.BaseRequestHandler]]]] = {
    "tcp": (_TcpServer, _TcpHandler),
    "udp": (_UdpServer, _UdpHandler),
    "http": (_HttpServer, _HttpHandler),
}
"""Server classes by their names in the API."""


def start(kind: str, visibility: Mapping[str, str], write: Callable[[bytes], object], port: int) -> Server:
    """Start a server in a thread of its own.

    Raises:
        OSError: the port is in use.
    """
    make, handler = SERVERS[kind]
    server = make((contract.LOGGER_ADDRESS, port), handler)
    server.output = _Output(visibility, write)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
    return server


def serve(kind: str, visibility: Mapping[str, str]) -> NoReturn:
    """Serve until SIGTERM, which the kubelet sends when the component has ended. The caller has blocked that signal.

    Raises:
        OSError: the port is in use.
    """
    server = start(kind, visibility, _print, contract.LOGGER_PORT)
    with open(exchange.GELF_READY, "wb"):  # noqa: PTH123 - pathlib costs ten milliseconds
        pass
    signal.sigwait({signal.SIGTERM})
    last = threading.Thread(target=server.drain, daemon=True)
    last.start()
    last.join(_DRAIN_SECONDS)
    sys.stdout.flush()
    # Not `sys.exit`, which would wait for the threads of connections that are still open.
    os._exit(0)


def _print(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
