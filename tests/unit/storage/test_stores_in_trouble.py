"""A store that answers with errors, or not at all: given up within bounds, and told in words."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.probing import send
from componentrun.storage.access.scope import find_scope
from componentrun.storage.store.connection import Store, open_store
from componentrun.storage.store.errors import NoAnswerError
from componentrun.storage.store.objectversions import Versions
from componentrun.storage.store.settings import StoreSettings, StoreTimeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclasses.dataclass
class Server:
    """Answers every request with the next of its answers; the last one stays. None: takes the request and is silent."""

    answers: list[bytes | None]
    asked: int = 0
    url: str = ""
    connections: dict[asyncio.Task[Any] | None, asyncio.StreamWriter] = dataclasses.field(default_factory=dict)

    async def close(self) -> None:
        """Close all connections."""
        for writer in self.connections.values():
            writer.transport.abort()
        await asyncio.gather(*(task for task in self.connections if task is not None))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections[asyncio.current_task()] = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                answer = self.answers[min(self.asked, len(self.answers) - 1)]
                self.asked += 1
                if answer is None:
                    await reader.read()  # until the client hangs up
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


OK = reply("200 OK", b"hello", 'ETag: "e"', "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT")
BUSY = reply("503 Service Unavailable", b"<Error><Code>SlowDown</Code></Error>")


@contextlib.asynccontextmanager
async def answering(*answers: bytes | None) -> AsyncIterator[Server]:
    server = Server(list(answers))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await server.close()


def reach(server: Server, response: float = 60.0) -> Store:
    settings = StoreSettings(bucket="bkt", endpoint=server.url, access_key="a", secret_key="b", name="main")
    return open_store(settings, timeouts=StoreTimeouts(response=response))


async def test_a_passing_fault_is_not_noticed() -> None:
    async with answering(BUSY, BUSY, OK) as server:
        assert (await reach(server).get("k")).data == b"hello"
        assert server.asked == 3


async def test_a_lasting_fault_is_told_as_one_that_may_pass() -> None:
    async with answering(BUSY) as server:
        with pytest.raises(TransientError, match=r"HTTP 503 \(SlowDown\)") as refusal:
            await reach(server).get("k")
        assert refusal.value.reason is Reason.STORAGE_UNAVAILABLE
        assert server.asked == 5


async def test_what_will_not_pass_is_not_told_as_if_it_would() -> None:
    async with answering(reply("400 Bad Request", b"<Error><Code>InvalidArgument</Code></Error>")) as server:
        with pytest.raises(PlatformError, match=r"HTTP 400 \(InvalidArgument\)") as refusal:
            await reach(server).get("k")
        assert not isinstance(refusal.value, TransientError)
        assert server.asked == 1


async def test_not_even_a_traceback_quotes_what_a_refusal_says_of_the_keys() -> None:
    body = b"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA-77</AWSAccessKeyId></Error>"
    async with answering(reply("403 Forbidden", body)) as server:
        with pytest.raises(PlatformError) as refusal:
            await reach(server).get("k")
    assert refusal.value.reason is Reason.STORAGE_ACCESS_DENIED
    assert "AKIA-77" not in "".join(traceback.format_exception(refusal.value))


async def test_a_store_that_is_silent_is_asked_once_and_given_up() -> None:
    async with answering(None) as server:
        with pytest.raises(NoAnswerError, match="did not answer"):
            await reach(server, response=0.2).get("k")
        assert server.asked == 1


async def test_a_store_that_takes_no_connections_gives_no_answer_and_one_that_is_busy_does() -> None:
    async with answering(OK) as server:
        gone = server
    with pytest.raises(NoAnswerError):
        await reach(gone).get("k")
    async with answering(BUSY) as server:
        with pytest.raises(TransientError) as refusal:
            await reach(server).get("k")
    assert not isinstance(refusal.value, NoAnswerError)


async def test_a_token_service_that_is_silent_is_asked_once_within_the_time_that_was_given() -> None:
    async with answering(None) as server:
        settings = dataclasses.replace(reach(server).settings, sts_endpoint=server.url)
        signer = Signer(settings, StoreTimeouts(response=0.2))
        with pytest.raises(NoAnswerError, match="does not answer"):
            await signer.session("data/", 1, timedelta(minutes=15))
        assert server.asked == 1


async def test_what_a_store_can_do_is_asked_within_bounds_when_it_falls_silent() -> None:
    listing = reply("200 OK", b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    async with answering(listing, None) as server:
        store = reach(server, response=0.2)
        with pytest.raises(NoAnswerError):
            await find_scope(store, Signer(store.settings))
        assert server.asked == 2, "the clean-up waited for the same store once more"


async def test_a_store_that_falls_silent_within_an_object_is_given_up() -> None:
    half = OK.replace(b"Content-Length: 5", b"Content-Length: 500")
    async with answering(half, None) as server:
        with pytest.raises(TransientError):
            await reach(server, response=0.2).get("k")


async def test_a_store_that_hangs_up_within_an_object_is_no_short_object() -> None:
    half = OK.replace(b"Content-Length: 5", b"Content-Length: 500")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(half)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        settings = StoreSettings(bucket="bkt", endpoint=f"http://127.0.0.1:{port}", access_key="a", secret_key="b")
        with pytest.raises(TransientError):
            await open_store(settings).get("k")


async def test_a_swap_that_is_refused_twice_is_not_repeated_blindly() -> None:
    refused = reply("412 Precondition Failed", b"<Error><Code>PreconditionFailed</Code></Error>")
    async with answering(BUSY, refused) as server:
        with pytest.raises(TransientError, match="changed by somebody else"):
            await reach(server).swap("k", b"1", '"e"')
        assert server.asked == 2


async def test_keys_that_can_not_be_fetched_for_a_look_at_versions_are_trouble_with_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever gives temporary keys may be away for a moment; the library says so by a ValueError."""
    versions = Versions(StoreSettings(bucket="bucket", endpoint="http://store.test", access_key="k", secret_key="s"))

    def away(**_: object) -> None:
        raise ValueError("All providers fail to fetch credentials")

    monkeypatch.setattr(versions._client, "get_bucket_versioning", away)
    with pytest.raises(TransientError, match=r"can't ask whether versions are kept in .*: no answer \(ValueError\)"):
        await versions.kept()


@pytest.mark.parametrize(
    ("answer", "words"),
    [(None, r"did not answer \(ReadTimeoutError\)"), (reply("503 Slow Down"), "answered with HTTP 503")],
)
async def test_an_error_of_a_signed_request_names_the_store_and_the_storage(answer: bytes | None, words: str) -> None:
    async with answering(answer) as server:
        store = reach(server, response=0.2)
        with pytest.raises(
            TransientError, match=f"can't send a PUT to .* at {server.url}: the store {words}"
        ) as caught:
            await send(store, "PUT", f"{server.url}/bkt/key", body=b"1")
    assert store.settings.title in caught.value.advice
    assert isinstance(caught.value, NoAnswerError) == (answer is None)
