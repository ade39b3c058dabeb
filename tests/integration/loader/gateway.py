"""An HTTP proxy in front of the catalog or the store. The test decides about each request."""

from __future__ import annotations

import contextlib
import http.client
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Answer", "CutError", "Gateway", "Seen"]

_HOP_HEADERS = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length"})


class CutError(Exception):
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Seen:
    """A request."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def is_commit(self) -> bool:
        """Whether the request commits table changes."""
        return self.method == "POST" and (
            self.path.endswith("/transactions/commit") or "/tables/" in self.path
        )  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


def _pass(_: Seen) -> None:
    return None


def _keep(_: Seen, answer: Answer) -> Answer:
    return answer


@dataclass
class Gateway:
    """A context manager that listens on its own port.

    Attributes:
        target: base URL of the server.
        before: called before a request is forwarded. It may wait, answer in place of the server, or raise `CutError`.
        after: called before a response is returned, with the same options.
        seen: all requests until now.
    """

    target: str
    before: Callable[[Seen], Answer | None] = _pass
    after: Callable[[Seen, Answer], Answer] = _keep
    seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> Self:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = Seen(self.command, self.path, body, dict(self.headers))
                gateway.seen.append(seen)
                try:
                    answer = gateway.before(seen) or gateway.after(seen, gateway._ask(seen, gateway.forwarded(seen)))
                except CutError:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                length = next((value for name, value in answer.headers if name == "Content-Length"), len(answer.body))
                if not any(name == "Content-Length" for name, _ in answer.headers):
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _any  # noqa: N815 - names required by http.server

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def forget(self) -> None:
        """Forward everything again."""
        self.before, self.after = _pass, _keep
        self.seen.clear()

    def forwarded(self, seen: Seen) -> dict[str, str]:
        """Headers of the forwarded request."""
        return seen.headers

    def _ask(self, seen: Seen, headers: dict[str, str]) -> Answer:
        # Headers are forwarded unchanged, including `Host`, because requests to the store are signed for it.
        connection = http.client.HTTPConnection(urlsplit(self.target).netloc, timeout=120)
        try:
            connection.putrequest(seen.method, seen.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in {"connection", "keep-alive"}:
                    connection.putheader(name, value)
            connection.endheaders(seen.body or None)
            response = connection.getresponse()
            body = response.read()
            kept = tuple(
                (name, value)
                for name, value in response.getheaders()
                if name.lower() not in _HOP_HEADERS
                or (seen.method == "HEAD" and name.lower() == "content-length")
            )  # fmt: skip
            return Answer(response.status, body, kept)
        finally:
            connection.close()
