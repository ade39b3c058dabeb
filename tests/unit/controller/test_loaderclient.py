"""What the operator makes of whatever happens to a request to the loader: what is certain, and what is not."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.controller.settings import LoaderSettings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.errors import (
    ComponentRunError,
    PlatformError,
    Reason,
    TransientError,
    UnknownOutcomeError,
    UserError,
)
from componentrun.loader.service.carrying import _failure_of
from componentrun.process.serving.certificate import Certificate
from componentrun.wire import loaderaccess
from componentrun.wire.loader import Failure, FenceAnswer, LoadAnswer, PlanAnswer
from e2e.tenant.certificates import make_certificate
from tests.unit.loader.serving import STORAGE, TOKEN, a_certificate, a_fence, a_load, a_plan, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from aiohttp.web_protocol import RequestHandler

    from tests.unit.loader.serving import Served

SENT = b"HTTP/1.1 100 Continue\r\n\r\n"


@asynccontextmanager
async def answering(
    tmp_path: Path, answers: tuple[bytes, ...], *, certificates: Path | None = None, encrypted: bool = True
) -> AsyncIterator[tuple[LoaderClient, bytearray]]:
    """Something in the place of a loader: sends these one after the other, each when it got something, and hangs up."""
    heard = bytearray()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            heard.extend(await reader.read(65536))
            writer.write(answer)
            await writer.drain()
        writer.close()

    folder = certificates or a_certificate()
    context = Certificate(str(folder), "loader", "loader.tls").context if encrypted else None
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with client_of(tmp_path, server.sockets[0].getsockname()[1]) as client:
        yield client, heard
    server.close()


@asynccontextmanager
async def client_of(tmp_path: Path, port: int, **other: float) -> AsyncIterator[LoaderClient]:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    authority = str(a_certificate() / "ca.crt")
    chosen = LoaderSettings(f"https://127.0.0.1:{port}", str(token), authority, **other)
    async with LoaderClient(chosen) as client:
        yield client


async def failure(asked: Awaitable[object]) -> ComponentRunError:
    with pytest.raises(ComponentRunError) as caught:
        async with asyncio.timeout(20):
            await asked
    return caught.value


def document(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


@pytest.mark.parametrize(
    ("kind", "expected"), [("user", UserError), ("platform", PlatformError), ("transient", TransientError)]
)
async def test_a_failure_becomes_the_error_that_it_is(
    tmp_path: Path, kind: str, expected: type[ComponentRunError]
) -> None:
    async with serving(tmp_path) as served, served.client() as client:
        told = Failure(Reason.OUTPUT_INVALID, "no such column", kind)
        served.engine.load_answer, served.engine.fence_answer = LoadAnswer(failure=told), FenceAnswer(failure=told)
        served.engine.plan_answer = PlanAnswer(failure=told)
        for asked in (client.load(a_load(), STORAGE), client.fence(a_fence(), STORAGE), client.plan(a_plan(), STORAGE)):
            error = await failure(asked)
            assert type(error) is expected
            assert (error.reason, error.message, error.unknown) == (Reason.OUTPUT_INVALID, "no such column", False)


@pytest.mark.parametrize("kind", ["platform", "transient", "of a later release"])
async def test_a_commit_that_may_have_landed_is_unknown_whatever_else_was_wrong(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path) as served, served.client() as client:
        told = Failure(Reason.PUBLISH_FAILED, "503 behind a commit", kind, unknown=True)
        served.engine.load_answer = LoadAnswer(failure=told)
        error = await failure(client.load(a_load(), STORAGE))
    assert type(error) is UnknownOutcomeError
    assert (error.unknown, error.reason) == (True, Reason.PUBLISH_FAILED)


async def test_a_failures_advice_stays_apart_from_its_summary(tmp_path: Path) -> None:
    error = UserError("`t` has no column `a`", Reason.OUTPUT_INVALID, advice="Add the column.")
    async with serving(tmp_path) as served, served.client() as client:
        served.engine.load_answer = LoadAnswer(failure=_failure_of(error))
        found = await failure(client.load(a_load(), STORAGE))
    assert (found.message, found.advice) == ("`t` has no column `a`. Add the column.", "Add the column.")
    assert found.summary == "`t` has no column `a`."


async def test_words_of_a_later_release_are_the_platforms(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, served.client() as client:
        served.engine.load_answer = LoadAnswer(failure=Failure("BrandNew", "what is that", "cosmic"))
        error = await failure(client.load(a_load(), STORAGE))
    assert (type(error), error.reason) == (PlatformError, Reason.INTERNAL)


async def test_without_a_loader_it_says_what_to_install() -> None:
    async with LoaderClient(None) as client:
        error = await failure(client.load(a_load(), STORAGE))
    assert (type(error), error.reason, error.unknown) == (PlatformError, Reason.LOADER_UNAVAILABLE, False)
    assert "loader.enabled=true" in error.message
    assert f"`{STORAGE}`" in error.message


async def test_a_refused_connection_is_certain(tmp_path: Path, unused_tcp_port: int) -> None:
    async with client_of(tmp_path, unused_tcp_port) as client:
        error = await failure(client.load(a_load(), STORAGE))
    assert (type(error), error.reason, error.unknown) == (TransientError, Reason.LOADER_UNAVAILABLE, False)


async def test_a_connection_that_is_lost_before_the_body_is_asked_for_is_certain(tmp_path: Path) -> None:
    async with answering(tmp_path, (b"",)) as (client, heard):
        error = await failure(client.load(a_load(), STORAGE))
    assert (type(error), error.unknown) == (TransientError, False)
    assert b"secret_key" not in heard


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", document("{}x"), document("[]"),
               b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
               b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example.com/\r\nContent-Length: 0\r\n\r\n",
               b"nonsense\r\n\r\n"],
    ids=["hangs up", "cut", "no JSON", "no document", "500", "redirect", "no HTTP"],
)  # fmt: skip
async def test_a_request_that_was_sent_and_not_answered_is_unknown(tmp_path: Path, answer: bytes) -> None:
    for changes in (True, False):
        async with answering(tmp_path, (SENT, answer)) as (client, heard):
            error = await failure(client.load(a_load(), STORAGE) if changes else client.plan(a_plan(), STORAGE))
        assert b"secret_key" in heard
        assert isinstance(error, TransientError)
        assert error.unknown is changes, "a plan changes nothing, whatever became of it"


@pytest.mark.parametrize(("status", "expected"), [(401, PlatformError), (429, TransientError), (503, TransientError)])
async def test_what_a_loader_refuses_was_not_begun(
    tmp_path: Path, status: int, expected: type[ComponentRunError]
) -> None:
    refused = f"HTTP/1.1 {status} No\r\nContent-Length: 6\r\n\r\nwhy so"
    async with answering(tmp_path, (refused.encode(),)) as (client, heard):
        error = await failure(client.load(a_load(), STORAGE))
    assert (type(error), error.unknown) == (expected, False)
    assert f"{status}: why so" in error.message
    assert b"secret_key" not in heard


async def test_time_spent_in_the_queue_is_certain_and_time_spent_on_the_load_is_not(tmp_path: Path) -> None:
    async with serving(tmp_path, loads=2) as served, served.client(load_seconds=1.5) as client:
        served.engine.held("first", "second")
        first = asyncio.create_task(client.load(a_load("first"), STORAGE))
        await until(lambda: served.engine.begun)
        waiting = await failure(client.load(a_load("second"), STORAGE))
        assert (type(waiting), waiting.unknown) == (TransientError, False)
        assert (await failure(first)).unknown
        assert served.engine.begun == ["first"]


@pytest.mark.parametrize("kind", ["another authority", "another name", "plain text"])
async def test_whoever_is_no_loader_gets_neither_token_nor_keys(tmp_path: Path, kind: str) -> None:
    made = make_certificate(tmp_path / "made", loaderaccess.SERVER_NAME)
    if kind == "another name":
        made = make_certificate(tmp_path / "named", "node-logs.componentrun.dev")
    async with answering(tmp_path, (b"",), certificates=made, encrypted=kind != "plain text") as (client, heard):
        error = await failure(client.load(a_load(), STORAGE))
    assert (type(error), error.unknown) == (TransientError, False)
    assert TOKEN.encode() not in heard
    assert b"secret_key" not in heard


@pytest.mark.parametrize("missing", ["token_file", "authority_file"])
async def test_without_token_or_authority_nothing_is_sent(tmp_path: Path, missing: str) -> None:
    async with serving(tmp_path) as served, served.client(**{missing: str(tmp_path / "none")}) as client:
        error = await failure(client.load(a_load(), STORAGE))
        assert (type(error), error.reason) == (PlatformError, Reason.LOADER_UNAVAILABLE)
        assert "/none: No such file" in error.message
        assert served.engine.begun == []


async def test_a_token_that_is_renewed_is_read_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, served.client("expired") as client:
        assert type(await failure(client.load(a_load(), STORAGE))) is PlatformError
        (tmp_path / "token-expired").write_text(TOKEN)
        await client.load(a_load(), STORAGE)


def connections_of(served: Served) -> list[RequestHandler[Any]]:
    server = served.server._server._runner.server
    assert server is not None
    return server.connections


async def test_each_load_and_fence_has_a_connection_of_its_own(tmp_path: Path) -> None:
    """The loader's Service spreads connections over its pods, not requests."""
    async with serving(tmp_path) as served, served.client() as client:
        await client.load(a_load(), STORAGE)
        await until(lambda: not connections_of(served))
        await client.fence(a_fence(), STORAGE)
        await until(lambda: not connections_of(served))


async def test_plans_share_a_connection_until_the_loader_closes_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, served.client() as client:
        await client.plan(a_plan(), STORAGE)
        (first,) = connections_of(served)
        await client.plan(a_plan(), STORAGE)
        assert connections_of(served) == [first]
        assert first.transport is not None
        first.transport.close()
        await until(lambda: not connections_of(served))
        await client.plan(a_plan(), STORAGE)


def test_no_other_protocol_is_spoken() -> None:
    assert Certificate(str(a_certificate()), "loader", "loader.tls").context.minimum_version == ssl.TLSVersion.TLSv1_3
