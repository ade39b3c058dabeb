"""The GELF server with common clients of components, over real sockets."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import socket
import struct
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from keboola.component import CommonInterface
from pygelf import GelfHttpHandler, GelfTcpHandler, GelfUdpHandler

from componentrun import contract
from componentrun.agent.gelf.messages import MESSAGE_LIMIT
from componentrun.agent.gelf.servers import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from componentrun.agent.gelf.servers import Server

VERBOSE = dict.fromkeys(contract.GELF_LEVELS, "verbose")


class Receiver:
    """A server on a free port, and the lines that it printed."""

    def __init__(self, kind: str) -> None:
        self._printed: list[bytes] = []
        self._came = threading.Condition()
        self.server: Server = start(kind, VERBOSE, self._take, port=0)
        self.port: int = self.server.server_address[1]  # type: ignore[assignment,index] # typeshed leaves room for Unix sockets

    def _take(self, line: bytes) -> None:
        with self._came:
            self._printed.append(line)
            self._came.notify_all()

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        with self._came:
            assert self._came.wait_for(lambda: len(self._printed) >= count, timeout=20), self._printed
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._printed]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@pytest.fixture
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made = Receiver(request.param)
    yield made
    if not made.server.drained:
        made.server.drain()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.Logger("component", logging.DEBUG)  # noqa: LOG001 - its handlers must not outlive the test
    yield made
    for handler in made.handlers:
        handler.close()


def say(logger: logging.Logger) -> None:
    logger.info("started")
    logger.warning("half of it", extra={"rows": 7})
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("it broke\non two lines")


def check(lines: list[dict[str, Any]]) -> None:
    assert [(line["short_message"], line["level"]) for line in lines] == [
        ("started", 6), ("half of it", 4), ("it broke\non two lines", 3),
    ]  # fmt: skip
    assert lines[1]["_rows"] == 7
    assert "ZeroDivisionError" in lines[2]["full_message"]


@pytest.mark.parametrize("receiver", ["tcp"], indirect=True)
def test_pygelf_over_tcp(receiver: Receiver, logger: logging.Logger) -> None:
    logger.addHandler(GelfTcpHandler("127.0.0.1", receiver.port, include_extra_fields=True))
    say(logger)
    check(receiver.wait_for(3))


@pytest.mark.parametrize("receiver", ["udp"], indirect=True)
@pytest.mark.parametrize("compress", [True, False])
def test_pygelf_over_udp_in_chunks(receiver: Receiver, logger: logging.Logger, compress: bool) -> None:
    handler = GelfUdpHandler(
        "127.0.0.1", receiver.port, compress=compress, chunk_size=60, include_extra_fields=True, static_fields={"_a": 1}
    )
    logger.addHandler(handler)
    say(logger)
    check(receiver.wait_for(3))


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # pygelf does not close its connections
@pytest.mark.parametrize("receiver", ["http"], indirect=True)
@pytest.mark.parametrize("compress", [True, False])
def test_pygelf_over_http(receiver: Receiver, logger: logging.Logger, compress: bool) -> None:
    logger.addHandler(GelfHttpHandler("127.0.0.1", receiver.port, compress=compress, include_extra_fields=True))
    say(logger)
    check(receiver.wait_for(3))


@pytest.mark.parametrize("receiver", ["tcp"], indirect=True)
def test_keboola_component_finds_the_server_by_itself(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBC_LOGGER_ADDR", "127.0.0.1")
    monkeypatch.setenv("KBC_LOGGER_PORT", str(receiver.port))
    (tmp_path / "config.json").write_text("{}")
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        CommonInterface(data_folder_path=str(tmp_path))
        logging.info("from the library")  # noqa: LOG015 - as components do
        assert receiver.wait_for(1)[0]["short_message"] == "from the library"
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)


@pytest.mark.parametrize("receiver", ["tcp"], indirect=True)
def test_a_client_shaped_like_monolog_over_tcp(receiver: Receiver) -> None:
    """GelfMessageFormatter: numeric level, time as a float, context and channel as additional fields."""
    record = {
        "version": "1.0", "host": "8d7f", "short_message": "Exported 5 rows", "full_message": None, "level": 6,
        "timestamp": 1700000000.123, "_facility": "extractor", "_ctxt_table": "in.c-main.t",
    }  # fmt: skip
    with receiver.connect() as connection:
        for _ in range(3):
            connection.sendall(json.dumps(record).encode() + b"\0")
    lines = receiver.wait_for(3)
    assert lines == [{key: value for key, value in record.items() if key != "version"}] * 3


@pytest.mark.parametrize("receiver", ["udp"], indirect=True)
def test_a_client_shaped_like_monolog_over_udp(receiver: Receiver) -> None:
    """gelf-php: gzip, chunks of 8,154 bytes for wide area networks, sent in reverse order in this test."""
    noise = "".join(map(chr, range(256, 9000)))
    data = gzip.compress(json.dumps({"version": "1.1", "host": "h", "short_message": "x", "_noise": noise}).encode(), 1)
    parts = [data[i : i + 1000] for i in range(0, len(data), 1000)]
    assert len(parts) > 3
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for i, part in reversed(list(enumerate(parts))):
            header = b"\x1e\x0f" + b"12345678" + struct.pack("BB", i, len(parts))
            sender.sendto(header + part, ("127.0.0.1", receiver.port))
    assert receiver.wait_for(1)[0]["_noise"] == noise


@pytest.mark.parametrize("receiver", ["tcp"], indirect=True)
def test_what_was_sent_before_the_end_is_printed(receiver: Receiver) -> None:
    """A component that has ended has closed its sockets, some of which the server may not have accepted yet."""
    for i in range(50):
        with receiver.connect() as connection:
            connection.sendall(json.dumps({"short_message": f"message {i}", "level": 6}).encode())
    receiver.server.drain()
    assert sorted(line["short_message"] for line in receiver.lines()) == sorted(f"message {i}" for i in range(50))


@pytest.mark.parametrize("receiver", ["udp"], indirect=True)
def test_datagrams_that_wait_at_the_end_are_printed(receiver: Receiver) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for i in range(50):
            sender.sendto(json.dumps({"short_message": f"{i}", "level": 6}).encode(), ("127.0.0.1", receiver.port))
        sender.sendto(b"\x1e\x0f" + b"12345678" + bytes([0, 2]) + b"half", ("127.0.0.1", receiver.port))
    receiver.server.drain()
    lines = [line["short_message"] for line in receiver.lines()]
    assert lines[:50] == [str(i) for i in range(50)]
    assert lines[50].startswith("a GELF message was not understood: only 1 of its 2 chunks")


@pytest.mark.parametrize("receiver", ["tcp"], indirect=True)
def test_a_bad_message_is_said_and_the_next_one_is_read(receiver: Receiver) -> None:
    with receiver.connect() as connection:
        connection.sendall(b"hello\0" + b'{"short_message": "good", "level": 6}\0')
        lines = receiver.wait_for(2)
    assert lines[0]["level"] == 4
    assert "it is not valid JSON (5 bytes that begin with b'hello')" in lines[0]["short_message"]
    assert lines[1]["short_message"] == "good"


@pytest.mark.parametrize("receiver", ["tcp"], indirect=True)
def test_a_client_that_is_killed_does_no_harm(receiver: Receiver) -> None:
    connection = receiver.connect()
    connection.sendall(b'{"short_message": "first", "level": 6}\0')
    receiver.wait_for(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()  # a reset
    with receiver.connect() as other:
        other.sendall(b'{"short_message": "second", "level": 6}\0')
        assert receiver.wait_for(2)[1]["short_message"] == "second"


@pytest.mark.parametrize("receiver", ["http"], indirect=True)
@pytest.mark.parametrize(
    ("headers", "body", "status", "said"),
    [
        ({}, b"{", 400, "not valid JSON"),
        ({"Content-Length": str(MESSAGE_LIMIT + 1)}, b"", 413, "send at most"),
        ({"Transfer-Encoding": "chunked"}, b"0\r\n\r\n", 411, "send a Content-Length"),
    ],
)
def test_http_answers_say_what_is_wrong(
    receiver: Receiver, headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)) as client:
        client.putrequest("POST", "/gelf")
        for name, value in (headers or {"Content-Length": str(len(body))}).items():
            client.putheader(name, value)
        client.endheaders(body)
        answer = client.getresponse()
        assert answer.status == status
        assert said in answer.read().decode()
    assert "not understood" in receiver.wait_for(1)[0]["short_message"]


@pytest.mark.parametrize("receiver", ["http"], indirect=True)
def test_many_messages_over_one_http_connection(receiver: Receiver) -> None:
    client = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
    for i in range(100):
        client.request("POST", "/", json.dumps({"short_message": str(i), "level": 6}))
        answer = client.getresponse()
        answer.read()
        assert answer.status == 202
    client.close()
    assert [line["short_message"] for line in receiver.wait_for(100)] == [str(i) for i in range(100)]
