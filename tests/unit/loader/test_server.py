"""Who is served over HTTP, and what is refused before anything is done."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.process.kubernetes.errors import UnavailableError
from componentrun.wire import loaderaccess
from componentrun.wire.documents import to_json
from componentrun.wire.loader import FENCE_PATH, LOAD_PATH, PLAN_PATH
from tests.unit.loader.serving import OPERATOR, STORAGE, TOKEN, a_fence, a_load, a_plan, serving, until
from tests.unit.process.reviewer import granted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.loader.serving import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as running:
        yield running


async def post(
    served: Served,
    path: str = LOAD_PATH,
    body: bytes | AsyncIterator[bytes] = b"",
    *,
    token: str = TOKEN,
    storage: str = STORAGE,
    method: str = "POST",
) -> tuple[int, str]:
    """A request as a stranger might make it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {loaderaccess.STORAGE: storage} if storage else {}
    context = ssl.create_default_context(cafile=served.authority["authority_file"])
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, served.url + path, data=body or to_json(a_load()).encode(), headers=headers, ssl=context,
            server_hostname=loaderaccess.SERVER_NAME,
        ) as response,
    ):  # fmt: skip
        return response.status, await response.text()


@asynccontextmanager
async def connection(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = ssl.create_default_context(cafile=served.authority["authority_file"])
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", served.server.port, ssl=context, server_hostname=loaderaccess.SERVER_NAME
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def head(length: int, *, path: str = LOAD_PATH, expect: bool = False) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: loader", f"Authorization: Bearer {TOKEN}", f"Content-Length: {length}"]
    lines += [f"{loaderaccess.STORAGE}: {STORAGE}", *(["Expect: 100-continue"] if expect else [])]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_the_operator_is_served(served: Served) -> None:
    async with served.client() as client:
        loaded = await client.load(a_load(), STORAGE)
        assert [table.snapshot for table in loaded.tables] == ["7"]
        await client.fence(a_fence(), STORAGE)
        await client.plan(a_plan(), STORAGE)
    assert served.engine.requests == [a_load(), a_fence(), a_plan()], "each arrives as it was sent, keys included"


async def test_maintenance_is_served_too(served: Served) -> None:
    async with served.client("m") as client:
        await client.plan(a_plan(), STORAGE)
    assert served.engine.begun == ["plan"]


@pytest.mark.parametrize("path", [LOAD_PATH, FENCE_PATH, PLAN_PATH])
@pytest.mark.parametrize("token", ["", "stolen", "other"], ids=["none", "unknown", "another service account"])
async def test_nobody_else_is_served(served: Served, path: str, token: str) -> None:
    status, text = await post(served, path, token=token)
    assert (status, "show a token" in text) == (401, True)
    assert served.engine.begun == []
    name = path.rpartition("/")[2]
    assert served.number("componentrun_loader_requests_total", operation=name, outcome="refused") == 1


async def test_a_token_for_another_purpose_is_refused(served: Served) -> None:
    served.reviewer.tokens[TOKEN] = granted(OPERATOR, "https://kubernetes.default.svc")
    assert (await post(served))[0] == 401
    assert served.engine.begun == []


async def test_plain_http_is_refused(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(head(2) + b"{}")
    assert not (await reader.read()).startswith(b"HTTP/1.1 2")
    writer.close()
    assert served.engine.begun == []


async def test_an_older_protocol_is_refused(served: Served) -> None:
    context = ssl.create_default_context(cafile=served.authority["authority_file"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(
            "127.0.0.1", served.server.port, ssl=context, server_hostname=loaderaccess.SERVER_NAME
        )


async def test_without_the_api_server_nobody_is_let_in(served: Served) -> None:
    served.reviewer.error = UnavailableError("away")
    async with served.client() as client:
        with pytest.raises(TransientError, match="answers 503") as caught:
            await client.load(a_load(), STORAGE)
    assert not caught.value.unknown
    assert served.engine.begun == []


@pytest.mark.parametrize(
    "storage", ["", "default", "team/", "/default", "a/b/c", "Team/default", "team/x\ty", "team/.."]
)
async def test_a_request_says_whose_it_is(served: Served, storage: str) -> None:
    status, text = await post(served, storage=storage)
    assert (status, loaderaccess.STORAGE in text) == (400, True)
    assert served.engine.begun == []


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b"\xff\xfe", b"{}", b"[" * 100_000, b'{"storage": 1, "run": "r"}'],
    ids=["cut", "list", "null", "binary", "empty", "deep", "wrong type"],
)
@pytest.mark.parametrize("path", [LOAD_PATH, FENCE_PATH, PLAN_PATH])
async def test_a_body_that_is_no_request_is_named(served: Served, path: str, body: bytes) -> None:
    assert (await post(served, path, body))[0] == 400
    assert served.engine.begun == []
    assert (await post(served, PLAN_PATH, to_json(a_plan()).encode()))[0] == 200, "its slot was given back"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods_and_paths_are_not_there(served: Served, method: str) -> None:
    assert (await post(served, method=method))[0] == 405
    assert (await post(served, "/v1/other"))[0] == 404
    assert served.engine.begun == []


async def test_a_body_that_says_it_is_too_large_is_not_read(served: Served) -> None:
    async with connection(served) as (reader, writer):
        writer.write(head(loaderaccess.BODY_BYTES + 1, expect=True))
        answer = await reader.readuntil(b"\r\n")
    assert b"413" in answer
    assert served.number("componentrun_loader_requests_total", operation="load", outcome="invalid") == 1


async def test_a_body_without_a_length_is_read_to_the_limit_only(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaderaccess, "BODY_BYTES", 2**20)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    async with serving(served.folder) as other:
        with contextlib.suppress(aiohttp.ClientError):  # the connection may end before the answer is read
            assert (await post(other, body=endless()))[0] == 413
        await until(lambda: other.number("componentrun_loader_requests_total", operation="load", outcome="invalid"))
        assert other.engine.begun == []


async def test_keys_are_not_sent_before_the_request_has_its_turn(served: Served) -> None:
    """So they are not in the memory of a loader that is asked for more than it can do."""
    free = served.engine.held("first", "second")
    async with served.client() as client:
        first = [asyncio.create_task(client.load(a_load(run), STORAGE)) for run in ("first", "second")]
        await until(lambda: len(served.engine.begun) == 2)
        async with connection(served) as (reader, writer):
            writer.write(head(2, expect=True))
            await until(lambda: served.number("componentrun_loader_requests_queued", operation="load") == 1)
            assert not reader._buffer, "nothing was asked for yet"  # type: ignore[attr-defined]
            free.set()
            assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 100 Continue\r\n"
        await asyncio.gather(*first)


async def test_a_body_that_is_larger_than_the_limit_is_not_even_sent(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaderaccess, "BODY_BYTES", 100)
    async with served.client() as client:
        with pytest.raises(PlatformError, match="expected at most 100") as caught:
            await client.load(a_load(), STORAGE)
    assert caught.value.reason is Reason.PUBLISH_FAILED
    assert served.engine.begun == []
