"""A client that is closed leaves no socket to the garbage collector, also if its event loop ends right afterwards."""

from __future__ import annotations

import asyncio
import gc
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from componentrun.controller.settings import LoaderSettings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.errors import PlatformError
from componentrun.process.kubernetes.connections import LivelySockets
from componentrun.wire import loaderaccess
from componentrun.wire.loader import PlanRequest
from e2e.tenant.certificates import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SLOW_SECONDS = 0.2


class Handler(BaseHTTPRequestHandler):
    """Begins a response to GET, refuses POST, and is slow to notice that the client closes the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"1\r\nx\r\n")
        self.leave()

    def do_POST(self) -> None:
        self.refuse()

    def handle_expect_100(self) -> bool:
        self.refuse()
        return False

    def refuse(self) -> None:
        self.send_error(401)
        self.leave()

    def leave(self) -> None:
        time.sleep(SLOW_SECONDS)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    return make_certificate(tmp_path / "tls", loaderaccess.SERVER_NAME)


@pytest.fixture
def url(tls: Path) -> Iterator[str]:
    """A server in threads of its own, which outlives the client's event loop."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "tls.crt", tls / "tls.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Exceptions that the garbage collector met."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    return found


async def leave_a_stream(url: str) -> None:
    sockets = LivelySockets()
    connector = aiohttp.TCPConnector(ssl=False, socket_factory=sockets)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        assert await answer.content.readexactly(1) == b"x"
    await sockets.closed()


def test_a_response_that_is_not_read_to_its_end_leaves_no_socket(url: str, unraisable: list[Any]) -> None:
    asyncio.run(leave_a_stream(url))
    gc.collect()
    assert unraisable == []


async def ask_the_loader(url: str, token: Path, authority: Path) -> None:
    async with LoaderClient(LoaderSettings(url, str(token), str(authority))) as client:
        with pytest.raises(PlatformError, match="401"):
            await client.plan(PlanRequest({}, ("out.c-main.a",)), "team/main")


def test_a_refused_request_to_the_loader_leaves_no_socket(
    url: str, tls: Path, tmp_path: Path, unraisable: list[Any]
) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    asyncio.run(ask_the_loader(url, token, tls / "ca.crt"))
    gc.collect()
    assert unraisable == []
