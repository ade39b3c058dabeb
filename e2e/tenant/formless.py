"""A store that accepts no signed forms, like some S3-compatible stores: a proxy in front of another store."""

from __future__ import annotations

import contextlib
import http.client
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK: Final = 1 << 20
_METHODS: Final = ("GET", "HEAD", "PUT", "POST", "DELETE")
_SET_HERE: Final = frozenset({"connection", "transfer-encoding", "date", "server"})
"""Response headers that the proxy sets itself."""


@contextlib.contextmanager
def formless(endpoint: str, host: str) -> Iterator[str]:
    """Run the proxy within the block, and yield its URL.

    Args:
        endpoint: URL of the store, without TLS. Requests are forwarded with the host name that was signed.
        host: address of this machine to listen on.
    """
    answers = {f"do_{method}": _Handler.answer for method in _METHODS}
    attributes = {"behind": endpoint.removeprefix("http://"), "log_message": lambda *_: None}
    handler = type("Handler", (_Handler,), {**answers, **attributes})
    with ThreadingHTTPServer((host, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behind = ""

    def answer(self) -> None:
        if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
            self.close_connection = True
            self.send_error(HTTPStatus.NOT_IMPLEMENTED)
        else:
            self._pass_on()

    def _pass_on(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        link = http.client.HTTPConnection(self.behind)
        with contextlib.closing(link):
            link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                link.putheader(name, value)
            link.endheaders()
            while size:
                block = self.rfile.read(min(size, _BLOCK))
                if not block:  # the client has closed the connection
                    self.close_connection = True
                    return
                link.send(block)
                size -= len(block)
            self._bring(link.getresponse())

    def _bring(self, response: http.client.HTTPResponse) -> None:
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _SET_HERE:
                self.send_header(name, value)
        if response.getheader("Content-Length") is None and response.status != HTTPStatus.NO_CONTENT:
            # The length is not known in advance, so the response ends with the connection.
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        while block := response.read(_BLOCK):
            self.wfile.write(block)
