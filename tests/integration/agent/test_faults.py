"""Network and store faults between the agents and a real store: retries, then a clear error."""

from __future__ import annotations

import http.client
import os
import socket
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent import transfer
from componentrun.agent.stagein import download
from componentrun.agent.stagein.main import stage_in
from componentrun.agent.stageout import upload
from componentrun.agent.stageout.main import stage_out
from componentrun.agent.transfer import Patience
from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.wire.agents import OutputTable
from tests.integration.agent.proxy import Fault, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.wire.agents import FileRead
    from tests.integration.agent.place import Place

pytestmark = pytest.mark.store

BUSY = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 64\r\nConnection: close\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message>reduce</Message></Error>   "
)


@dataclass(frozen=True)
class WhileFaulty:
    """Short timeouts while the proxy has faults left, normal ones afterwards."""

    proxy: Proxy
    budget: float = 120.0

    @property
    def stall(self) -> float:
        """Seconds without data after which an attempt is aborted."""
        return 0.5 if self.proxy.faults else 30.0


@pytest.fixture
def proxy(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(download, "_RANGE_BYTES", 500_000)
    monkeypatch.setattr(upload, "_SMALLEST_SLICE_BYTES", 500_000)
    host, _, port = place.settings.base_url.removeprefix("http://").partition(":")
    with Proxy(host, int(port)) as running:
        yield running


@pytest.fixture(autouse=True)
def led_astray(place: Place, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Route connections to the store through the proxy. Requests keep the store's name, which is signed."""
    host, _, port = place.settings.base_url.removeprefix("http://").partition(":")
    own, _, own_port = proxy.address.partition(":")
    connect = socket.create_connection

    class Sockets:
        """Replacement of the socket module for http.client."""

        def __getattr__(self, name: str) -> Any:
            return getattr(socket, name)

        @staticmethod
        def create_connection(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
            return connect((own, int(own_port)) if address == (host, int(port)) else address, *rest, **more)

    monkeypatch.setattr(http.client, "socket", Sockets())


async def big_file(place: Place) -> tuple[FileRead, bytes]:
    content = b"".join(b"%d,%s\n" % (i, b"x" * 100) for i in range(20_000))
    return await place.file("big.csv", content), content


FAULTS = {
    "reset before the answer": Fault("reset", 0),
    "reset in the headers": Fault("reset", 100),
    "reset in the body": Fault("reset", 200_000),
    "stall before the answer": Fault("stall", 0),
    "stall in the body": Fault("stall", 200_000),
    "busy": Fault("answer", text=BUSY),
    "nonsense": Fault("answer", text=b"SSH-2.0-OpenSSH_9.6\r\n"),
    "nothing": Fault("answer", text=b""),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_reading_is_tried_again(place: Place, proxy: Proxy, fault: Fault) -> None:
    file, content = await big_file(place)
    grant = await place.grant_in(files=(file,))
    place.data.mkdir()
    proxy.faults = [replace(fault) for _ in range(4)]
    assert stage_in(grant, str(place.data), WhileFaulty(proxy)).ok
    assert (place.data / "in/files/big.csv").read_bytes() == content
    assert proxy.connections >= 5


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset", 0),
        Fault("reset", 5_000, of_request=True),
        Fault("stall", 0),
        Fault("stall", 100_000, of_request=True),
        Fault("answer", text=BUSY),
        Fault("answer", text=b""),
    ],
)
async def test_writing_is_tried_again(place: Place, proxy: Proxy, fault: Fault) -> None:
    rows = "".join(f"{i},{'x' * 100}\n" for i in range(20_000))
    place.write("out/tables/big.csv", "a,b\n" + rows)
    grant = await place.grant_out(OutputTable("big.csv", "out.c-main.big"))
    proxy.faults = [replace(fault) for _ in range(4)]
    assert stage_out(grant, str(place.data), WhileFaulty(proxy)).ok
    assert await place.content("out.c-main.big") == rows.encode()


@pytest.mark.parametrize(
    ("fault", "stall", "trouble"),
    [
        (Fault("reset", 0), 30, "the connection broke"),
        (Fault("stall", 0), 0.5, "it was silent for too long"),
        (Fault("answer", text=BUSY), 30, "it answered 503 SlowDown"),
    ],
)
async def test_what_does_not_end_becomes_a_clear_error(
    place: Place, proxy: Proxy, fault: Fault, stall: float, trouble: str
) -> None:
    grant = await place.grant_in()
    place.data.mkdir()
    proxy.always = fault
    with pytest.raises(TransientError) as caught:
        stage_in(grant, str(place.data), Patience(stall, 3.0))
    assert proxy.connections <= 5, "pauses double up to 3.2 s: a budget of 3 s has no room for a sixth try"
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
    assert caught.value.message.startswith("the plan of stage-in: the object store failed for ")
    assert caught.value.message.endswith(f"; the last time: {trouble}")


async def test_progress_makes_the_patience_last(place: Place, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_BUFFER_BYTES", 8_000)
    # One object over successive connections, each of which breaks after 60 kB of 2 MB. By the agent's clock each takes
    # 0.4 s. The total is far above the budget, but the transfer always makes progress.
    monkeypatch.setattr(download, "_RANGE_BYTES", 10**9)
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(transfer, "time", SimpleNamespace(monotonic=lambda: 0.4 * proxy.connections))
    file, content = await big_file(place)
    grant = await place.grant_in(files=(file,))
    place.data.mkdir()
    proxy.faults = [Fault("reset", 10**6)]
    proxy.always = Fault("reset", 60_000)
    assert stage_in(grant, str(place.data), Patience(30, 1.0)).ok
    assert (place.data / "in/files/big.csv").read_bytes() == content
    assert proxy.connections > 30


async def test_a_refusal_in_the_middle_of_an_upload_is_read(place: Place, proxy: Proxy) -> None:
    place.write("out/tables/big.csv", "a\n" + "x" * 5_000_000 + "\n")
    grant = await place.grant_out(OutputTable("big.csv", "out.c-main.big"))
    grant = replace(grant, post=replace(grant.post, fields={**grant.post.fields, "x-amz-signature": "0" * 64}))
    with pytest.raises(PlatformError) as caught:
        stage_out(grant, str(place.data), Patience(30, 60))
    assert caught.value.reason is Reason.STORAGE_ACCESS_DENIED
    assert not proxy.faults


async def test_a_store_that_keeps_other_bytes_is_not_believed(place: Place) -> None:
    answer = b'HTTP/1.1 204 No Content\r\nETag: "' + os.urandom(16).hex().encode() + b'"\r\nConnection: close\r\n\r\n'
    host, _, port = place.settings.base_url.removeprefix("http://").partition(":")
    place.write("out/tables/x.csv", "a\n1\n")
    grant = await place.grant_out(OutputTable("x.csv", "out.c-main.x"))
    with Proxy(host, int(port), always=Fault("answer", text=answer)) as liar:
        grant = replace(grant, post=replace(grant.post, url=f"http://{liar.address}/bucket"))
        with pytest.raises(TransientError, match="it received other bytes than were sent"):
            stage_out(grant, str(place.data), Patience(30, 3.0))
