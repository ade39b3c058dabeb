"""A store that takes no signed forms, as some S3-compatible ones are: another store with this server in front of it."""

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
"""Headers of an answer that the server in front sets itself."""


@contextlib.contextmanager
def formless(endpoint: str, host: str) -> Iterator[str]:
    """URL of the server, which ends with the block.

    Args:
        endpoint: of the store behind, without TLS. Requests are passed on with the name that was signed.
        host: address of this machine to listen at.
    """
    answers = {f"do_{method}": _Handler.answer for method in _METHODS}
    quiet = {"behind": endpoint.removeprefix("http://"), "log_message": lambda *_: None}
    handler = type("Handler", (_Handler,), {**answers, **quiet})
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
                if not block:  # whoever sent it is gone
                    self.close_connection = True
                    return
                link.send(block)
                size -= len(block)
            self._bring(link.getresponse())

    def _bring(self, found: http.client.HTTPResponse) -> None:
        self.send_response(found.status)
        for name, value in found.getheaders():
            if name.lower() not in _SET_HERE:
                self.send_header(name, value)
        if found.getheader("Content-Length") is None and found.status != HTTPStatus.NO_CONTENT:
            # Its length is not known beforehand: the end of the connection is its end.
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        while block := found.read(_BLOCK):
            self.wfile.write(block)
