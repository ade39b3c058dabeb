"""Requests to catalogs that answer slowly, without end, or too much: a thread is held for so long, and no longer."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import requests

from componentrun.loader.catalog import transport
from componentrun.loader.catalog.transport import AnswerTooLargeError, LimitedAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Reads a request, then behaves as a test wants, for each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            behave(connection)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/config"
    listener.close()


def trickle(begin: bytes) -> Callable[[socket.socket], None]:
    """Sends a beginning, and then a byte every few moments, for ever."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return behave


def session(seconds: float) -> requests.Session:
    made = requests.Session()
    made.mount("http://", LimitedAdapter(seconds))
    return made


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        HEAD + b"\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        HEAD + b"Connection: close\r\n\r\n",
        HEAD + b"Content-Length: 100000\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n",
    ],
)
def test_an_answer_that_comes_byte_by_byte_is_not_waited_for_without_end(begin: bytes) -> None:
    with server(trickle(begin)) as url, pytest.raises(requests.ReadTimeout):
        session(0.3).get(url)


def test_a_catalog_that_says_nothing_is_not_waited_for_either() -> None:
    ended = threading.Event()

    def behave(_: socket.socket) -> None:
        ended.wait()

    with server(behave) as url, pytest.raises(requests.ReadTimeout):
        session(0.2).get(url)
    ended.set()


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end_is_not_kept(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_MOST_BYTES", 2**20)
    body = gzip.compress(b"\0" * 2**22) if packed else b"\0" * 2**22
    more = b"Content-Encoding: gzip\r\n" if packed else b""

    def behave(connection: socket.socket) -> None:
        connection.sendall(HEAD + more + b"\r\n" + body)

    with server(behave) as url, pytest.raises(AnswerTooLargeError):
        session(30).get(url)


def test_what_is_answered_in_time_is_there_and_connections_are_used_again() -> None:
    connections = []

    def behave(connection: socket.socket) -> None:
        connections.append(connection)
        content = gzip.compress(b'{"a": 1}')
        while True:
            connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
            if not connection.recv(65536):
                return

    with server(behave) as url:
        client = session(30)
        assert [client.get(url).json() for _ in range(3)] == [{"a": 1}] * 3
        assert len(connections) == 1


def test_after_the_end_of_all_requests_none_is_sent() -> None:
    adapter = LimitedAdapter(30)
    adapter.ends_at = time.monotonic()
    client = requests.Session()
    client.mount("http://", adapter)
    with pytest.raises(requests.ReadTimeout, match="no time is left"):
        client.get("http://192.0.2.1/")
