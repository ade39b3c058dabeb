"""What somebody on the pod network sees of logs and of the collector's token, and that log servers alone get it."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from componentrun.collector.readers.node.servers import NodeLogError, NodeLogs
from componentrun.collector.settings import NodeLogSettings
from componentrun.errors import PlatformError
from componentrun.process.serving.certificate import CERTIFICATE, KEY, Certificate
from componentrun.wire import logserver
from e2e.tenant.certificates import make_certificate
from tests.unit.nodelogs.serving import NODE, TOKEN, WHERE, serving, the_way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.nodelogs.serving import Served

SECRET = b"a line that only the collector should read"


async def read(nodes: NodeLogs) -> bytes:
    async with asyncio.timeout(10), nodes.read(NODE, WHERE, ("", 0), 0.0) as part:
        return b"".join([chunk async for chunk in part.chunks()])


@dataclass
class Listener:
    """Somebody between the collector and a log server, or in the place of one."""

    port: int = 0
    heard: bytearray = field(default_factory=bytearray)

    def stand_in(self, nodes: NodeLogs, served: Served) -> None:
        """The collector takes this for the address of the log server."""
        raw = served.pod()
        raw["spec"]["containers"] = [{"ports": [{"name": "logs", "containerPort": self.port}]}]
        nodes.changed(raw)


@asynccontextmanager
async def between(port: int) -> AsyncIterator[Listener]:
    """Passes everything on, both ways, and keeps a copy."""
    listener = Listener()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            listener.heard += chunk
            writer.write(chunk)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    yield listener
    server.close()


@asynccontextmanager
async def impostor(certificates: Path | None) -> AsyncIterator[Listener]:
    """Answers as a log server does, and keeps what it is shown."""
    listener = Listener()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.heard += await reader.read(65536)
        head = f"HTTP/1.1 200 OK\r\n{logserver.OFFSET}: 0\r\n{logserver.LATER}: 0\r\nContent-Length: 6\r\n\r\nforged"
        writer.write(head.encode())
        writer.close()

    context = None if certificates is None else Certificate(str(certificates), "log server", "nodeLogs.tls").context
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    listener.port = server.sockets[0].getsockname()[1]
    yield listener
    server.close()


async def test_who_listens_on_the_network_learns_neither_lines_nor_the_token(tmp_path: Path) -> None:
    async with serving(tmp_path / "pods") as served, the_way(served, tmp_path) as nodes:
        served.runtime().print(SECRET)
        async with between(served.server.port) as listener:
            listener.stand_in(nodes, served)
            assert SECRET in await read(nodes)
    assert len(listener.heard) > 500
    assert SECRET not in listener.heard
    assert TOKEN.encode() not in listener.heard
    assert WHERE[1].encode() not in listener.heard


async def test_a_pod_that_only_looks_like_a_log_server_gets_no_token(tmp_path: Path) -> None:
    """Whoever may create pods in the namespace can give one the label that the collector looks for."""
    async with serving(tmp_path / "pods") as served, the_way(served, tmp_path) as nodes, impostor(None) as listener:
        listener.stand_in(nodes, served)
        with pytest.raises(NodeLogError):
            await read(nodes)
        assert TOKEN.encode() not in listener.heard


@pytest.mark.parametrize("kind", ["another authority", "another name", "expired"])
async def test_a_certificate_that_is_not_a_log_servers_is_refused_before_the_token_is_shown(
    tmp_path: Path, kind: str
) -> None:
    made = make_certificate(
        tmp_path / "made",
        "operator.componentrun.dev" if kind == "another name" else logserver.SERVER_NAME,
        lifetime=dt.timedelta(minutes=-1 if kind == "expired" else 60),
    )
    trusted = None if kind == "another authority" else made
    async with serving(tmp_path / "pods", certificates=trusted) as served, the_way(served, tmp_path) as nodes:
        async with impostor(made) as listener:
            listener.stand_in(nodes, served)
            with pytest.raises(NodeLogError, match="has no valid certificate") as caught:
                await read(nodes)
        assert caught.value.cause == "refused"
        assert TOKEN.encode() not in listener.heard


async def test_an_older_protocol_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path / "pods") as served:
        context = served.tls
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", served.server.port, ssl=context)


async def test_a_certificate_that_is_renewed_is_used_without_a_restart(tmp_path: Path) -> None:
    folder = make_certificate(tmp_path / "tls")
    before = (folder / "ca.crt").read_bytes()
    async with (
        serving(tmp_path / "pods", certificates=folder) as served,
        the_way(served, tmp_path) as nodes,
        NodeLogs(NodeLogSettings("componentrun-system", str(tmp_path / "token"), str(folder / "ca.crt"))) as late,
    ):
        served.runtime().print(SECRET)
        assert SECRET in await read(nodes)
        shutil.copytree(make_certificate(tmp_path / "renewed"), folder, dirs_exist_ok=True)
        assert served.certificate.load()
        assert not served.certificate.load()
        assert SECRET in await read(nodes), "the connection that is open goes on"
        late.changed(served.pod())
        assert SECRET in await read(late)
        # A collector that still trusts the authority before meets a server that is renewed already.
        (tmp_path / "ca.crt").write_bytes(before)
        settings = NodeLogSettings("componentrun-system", str(tmp_path / "token"), str(tmp_path / "ca.crt"))
        async with NodeLogs(settings) as old:
            old.changed(served.pod())
            with pytest.raises(NodeLogError, match="no valid certificate"):
                await read(old)
            (tmp_path / "ca.crt").write_bytes((folder / "ca.crt").read_bytes() + before)
            assert SECRET in await read(old)


@pytest.mark.parametrize("wrong", [KEY, CERTIFICATE])
async def test_files_that_do_not_fit_leave_the_certificate_before(tmp_path: Path, wrong: str) -> None:
    folder = make_certificate(tmp_path / "tls")
    async with serving(tmp_path / "pods", certificates=folder) as served, the_way(served, tmp_path) as nodes:
        served.runtime().print(SECRET)
        other = make_certificate(tmp_path / "other")
        shutil.copy(other / wrong, folder / wrong)
        with pytest.raises(PlatformError, match=r"tls\.crt and the key of it"):
            served.certificate.load()
        assert SECRET in await read(nodes)


def test_without_a_certificate_nothing_is_served(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"nodeLogs\.tls"):
        Certificate(str(tmp_path), "log server", "nodeLogs.tls")


@pytest.mark.parametrize("content", [None, b"no certificate", b"", b"\n"])
async def test_without_an_authority_nothing_is_asked(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)
    (tmp_path / "token").write_text(TOKEN)
    async with (
        serving(tmp_path / "pods") as served,
        NodeLogs(NodeLogSettings("componentrun-system", str(tmp_path / "token"), str(file))) as nodes,
    ):
        nodes.changed(served.pod())
        with pytest.raises(NodeLogError, match="can't verify log servers without") as caught:
            await read(nodes)
        assert caught.value.cause == "refused"
