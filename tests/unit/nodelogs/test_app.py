"""What is answered over HTTP: to the collector, to strangers, and to those who ask for what is none of theirs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp
import pytest

from componentrun.process.kubernetes.errors import UnavailableError
from componentrun.wire import logserver
from tests.unit.nodelogs.serving import TOKEN, WHERE, a_reviewer, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.nodelogs.serving import Served

LINE = b"2026-11-24T07:46:33.001000001Z stdout F a secret\n"
FILE = "0-2026-11-24T07:46:33.001000001Z"


@dataclass
class Client:
    served: Served
    session: aiohttp.ClientSession

    async def get(
        self, *where: str, token: str = TOKEN, query: str = "", method: str = "GET"
    ) -> tuple[int, bytes, dict[str, str]]:
        path = "/v1/logs/" + "/".join(quote(part, safe="") for part in where or WHERE)
        return await self.raw(path + query, token=token, method=method)

    async def raw(self, path: str, *, token: str = TOKEN, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.served.url + path
        async with self.session.request(method, url, headers=headers, ssl=self.served.tls) as response:
            return response.status, await response.read(), dict(response.headers)

    async def as_it_is(self, path: str) -> tuple[int, bytes]:
        """A request whose path no client makes sense of first."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.served.server.port, ssl=self.served.tls)
        head = f"GET {path} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return int(answer.split(b" ", 2)[1]), answer


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(tmp_path / "pods") as served, aiohttp.ClientSession() as session:
        yield Client(served, session)


async def test_the_collector_gets_the_bytes_and_where_they_are(client: Client) -> None:
    client.served.runtime().print(b"a secret")
    status, data, headers = await client.get()
    assert (status, data) == (200, LINE)
    assert headers[logserver.FILE] == FILE
    assert (headers[logserver.OFFSET], headers[logserver.LATER]) == ("0", "0")
    assert not {logserver.MISSING, logserver.REMOVED} & set(headers)
    status, data, headers = await client.get(query=f"?file={FILE}&offset={len(LINE)}")
    assert (status, data, headers[logserver.OFFSET]) == (200, b"", str(len(LINE)))


async def test_an_answer_waits_for_what_is_printed_and_no_longer(client: Client) -> None:
    runtime = client.served.runtime()
    begun = time.monotonic()
    waiting = asyncio.create_task(client.get(query="?wait=20"))
    await asyncio.sleep(0.05)
    runtime.print(b"a secret")
    assert (await waiting)[1] == LINE
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("token", ["", "stolen", "x" * 8000])
async def test_a_stranger_gets_nothing(client: Client, token: str) -> None:
    client.served.runtime().print(b"a secret")
    status, data, _ = await client.get(token=token)
    assert status == 401
    assert b"secret" not in data


async def test_a_stranger_does_not_learn_what_is_there(client: Client) -> None:
    client.served.runtime().print(b"a secret")
    there = await client.get(token="stolen")
    elsewhere = await client.get(*WHERE[:3], "gelf", token="stolen")
    assert there[:2] == elsewhere[:2]


async def test_without_the_api_server_nobody_is_let_in(tmp_path: Path) -> None:
    reviewer = a_reviewer()
    reviewer.error = UnavailableError("away")
    async with serving(tmp_path, reviewer) as served, aiohttp.ClientSession() as session:
        assert (await Client(served, session).get())[0] == 503


@pytest.mark.parametrize(
    "where",
    [
        ("..", "..", "0a1b2c3d-0000-4000-8000-000000000001", "component"),
        ("team", "../../etc", "0a1b2c3d-0000-4000-8000-000000000001", "component"),
        ("team", "clean-1", "..", "component"),
        ("team", "clean-1", "0a1b2c3d-0000-4000-8000-000000000001", ".."),
        ("team", "clean-1", "0a1b2c3d-0000-4000-8000-000000000001", "../../../shadow"),
        ("team", "clean-1\n", "0a1b2c3d-0000-4000-8000-000000000001", "component"),
        ("team", "clean-1\0", "0a1b2c3d-0000-4000-8000-000000000001", "component"),
        ("TEAM", "clean-1", "0a1b2c3d-0000-4000-8000-000000000001", "component"),
        ("team", "x" * 300, "0a1b2c3d-0000-4000-8000-000000000001", "component"),
    ],
    ids=["parents", "slashes", "parent as uid", "parent", "out", "newline", "NUL", "capitals", "long"],
)
async def test_names_that_lead_elsewhere_are_refused(client: Client, where: tuple[str, ...]) -> None:
    (client.served.root.parent / "shadow").write_bytes(LINE)
    client.served.runtime().print(b"a secret")
    status, data = await client.as_it_is("/v1/logs/" + "/".join(quote(part, safe=".") for part in where))
    assert (status, b"not one that Kubernetes could have assigned" in data) == (400, True), data


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/logs/", "/v1/logs/..%2f..%2f/a/b/c/d", "/v1/logs/team/clean-1", "//etc/passwd", "/v1/logs/a/b/c/d/e"],
)
async def test_other_paths_are_not_there(client: Client, path: str) -> None:
    assert (await client.as_it_is(path))[0] in {400, 404}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(client: Client, method: str) -> None:
    client.served.runtime().print(b"a secret")
    assert (await client.get(method=method))[0] == 405
    assert client.served.runtime().current.read_bytes() == LINE


@pytest.mark.parametrize("part", ["pod", "container", "file"])
async def test_a_link_is_not_followed(client: Client, part: str) -> None:
    runtime = client.served.runtime()
    runtime.print(b"a secret")
    moved = {"pod": runtime.folder.parent, "container": runtime.folder, "file": runtime.current}[part]
    elsewhere = moved.with_name("elsewhere")
    moved.rename(elsewhere)
    moved.symlink_to(elsewhere)
    status, data, _ = await client.get()
    assert status == 500
    assert b"secret" not in data


async def test_containers_that_are_not_of_runs_are_not_served(client: Client) -> None:
    client.served.runtime("etcd").print(b"a secret")
    assert (await client.get(*WHERE[:3], "etcd"))[0] == 403


async def test_only_listed_namespaces_are_served(tmp_path: Path) -> None:
    async with serving(tmp_path, namespaces=("other",)) as served, aiohttp.ClientSession() as session:
        served.runtime().print(b"a secret")
        assert (await Client(served, session).get())[0] == 403


@pytest.mark.parametrize(
    "query",
    [
        "?file=../0.log", "?file=0-now", "?file=" + "0" * 500, "?offset=-1", "?offset=x", f"?offset={2**63}",
        "?wait=-1", "?wait=1e9", "?wait=nan",
    ],
)  # fmt: skip
async def test_a_question_that_makes_no_sense_is_named(client: Client, query: str) -> None:
    client.served.runtime().print(b"a secret")
    status, data, _ = await client.get(query=query)
    assert (status, b"expected" in data) == (400, True), data


async def test_an_offset_behind_the_end_brings_nothing(client: Client) -> None:
    client.served.runtime().print(b"a secret")
    assert (await client.get(query=f"?file={FILE}&offset=100000"))[:2] == (200, b"")


async def test_a_log_that_is_not_there_is_not_found(client: Client) -> None:
    assert (await client.get())[0] == 404
    client.served.runtime().print(b"a secret")
    assert (await client.get(query="?file=5-2026-11-24T08:00:00Z"))[0] == 404


async def test_what_nobody_reads_any_more_is_given_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.served.runtime().print(b"a secret")
    await client.get()
    await client.get(query=f"?file={FILE}&offset={len(LINE)}")
    assert len(client.served.folders._entries) == 1
    monkeypatch.setattr("componentrun.nodelogs.folders._READ_KEPT", 0.0)
    async with asyncio.timeout(5):
        while client.served.folders._entries:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_what_is_not_read_yet_is_held_longer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("componentrun.nodelogs.folders._READ_KEPT", 0.0)
    monkeypatch.setattr("componentrun.nodelogs.folders._TEND_EVERY", 1)
    client.served.runtime().print(b"a secret")
    await client.get()
    await asyncio.sleep(0.5)
    assert len(client.served.folders._entries) == 1
