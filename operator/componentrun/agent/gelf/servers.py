"""TCP, UDP and HTTP: receive GELF on the pod's loopback address.

Told to end, they first take what is on its way.
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
"""Asked for where datagrams come in, so that a burst is not dropped; the kernel grants what its own limit allows."""
_DRAIN_SECONDS: Final = 10.0
"""For connections that are still open when the component has ended: its own have ended with it."""
_HTTP_SECONDS: Final = 5.0
"""For a request to come over a connection that is open: others wait."""


class _Output:
    """Prints lines one after another, whichever thread they come from."""

    def __init__(self, visibility: Mapping[str, str], write: Callable[[bytes], object]) -> None:
        self._visibility, self._write = visibility, write
        self._lock = threading.Lock()

    def take(self, message: bytes | BadMessageError) -> BadMessageError | None:
        """Print a message, or what is wrong with it; returns that."""
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
    """What the three have in common: an output, and an end at which nothing is dropped that has come in."""

    output: _Output
    drained = False

    def handle_timeout(self) -> None:
        """Nothing more is waiting."""
        self.drained = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone before it is answered is no error: most don't wait for the answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def drain(self) -> None:
        """Stop, but handle first what was sent before."""
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
            return b""  # the component was killed: what it had sent before has been read


class _UdpServer(Server, socketserver.UDPServer):
    max_packet_size = 65_535

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
        super().server_bind()
        self.chunks = Chunks()

    def service_actions(self) -> None:
        """Between datagrams: say what won't be finished any more."""
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
    """One connection after another, one request each.

    Clients send each message over a connection of its own and don't wait for the answer: side by side, their order
    would be lost.
    """

    request_queue_size = 128

    def server_bind(self) -> None:
        """Without the base class's look-up of the host's name: in a closed network it could take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = contract.LOGGER_ADDRESS, self.server_address[1]


class _HttpHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # clients that ask whether to go on are answered
    server_version = "componentrun"
    sys_version = ""
    timeout = _HTTP_SECONDS

    def do_POST(self) -> None:
        """A message; whatever the path: clients differ in it."""
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

    def _refuse(self, status: HTTPStatus, what: str) -> None:
        """The body is not read, so nothing more can come over this connection."""
        cast("Server", self.server).output.take(BadMessageError(f"HTTP status {status.value}: {what}"))
        self._answer(status, f"{what}\n")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.close_connection = True
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gives it
        """Requests are no events."""


SERVERS: Final[dict[str, tuple[type[Server], type[socketserver.BaseRequestHandler]]]] = {
    "tcp": (_TcpServer, _TcpHandler),
    "udp": (_UdpServer, _UdpHandler),
    "http": (_HttpServer, _HttpHandler),
}
"""By the names that the API gives them."""


def start(kind: str, visibility: Mapping[str, str], write: Callable[[bytes], object], port: int) -> Server:
    """A server that listens and is served by a thread of its own.

    Raises:
        OSError: the port is taken.
    """
    make, handler = SERVERS[kind]
    server = make((contract.LOGGER_ADDRESS, port), handler)
    server.output = _Output(visibility, write)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
    return server


def serve(kind: str, visibility: Mapping[str, str]) -> NoReturn:
    """Serve until SIGTERM, which comes when the component has ended. The caller has blocked that signal.

    Raises:
        OSError: the port is taken.
    """
    server = start(kind, visibility, _print, contract.LOGGER_PORT)
    with open(exchange.GELF_READY, "wb"):  # noqa: PTH123 - pathlib costs ten milliseconds
        pass
    signal.sigwait({signal.SIGTERM})
    last = threading.Thread(target=server.drain, daemon=True)
    last.start()
    last.join(_DRAIN_SECONDS)
    sys.stdout.flush()
    # Not `sys.exit`: that would wait for the thread of a connection that somebody keeps open.
    os._exit(0)


def _print(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
