"""A try without an answer that the store carries out later, where each write has another ETag (a key service)."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent import transfer
from componentrun.agent.stagein.form import Form
from componentrun.agent.transfer import Client
from componentrun.wire.grants import PostPolicy, SessionKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "data/r-1/"
CONTENT = b"1,one\n2,two\n"
_KEY = re.compile(rb'name="key"\r\n\r\n([^\r]*)\r\n')


class EncryptingStore(ThreadingHTTPServer):
    """Gives each write an ETag of its own. Of so many requests it keeps what was asked, and does not answer."""

    def __init__(self, unanswered: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.unanswered = unanswered
        self.etags: dict[str, str] = {}
        self.writes = 0
        self.late: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/bucket"

    def write(self, key: str) -> str:
        self.writes += 1
        self.etags[key] = f'"{self.writes:032x}"'
        return self.etags[key]

    def carry_out_late(self) -> None:
        """What was not answered is done now."""
        for key in self.late:
            self.write(key)


class _Handler(BaseHTTPRequestHandler):
    server: EncryptingStore

    def do_POST(self) -> None:
        found = _KEY.search(self.rfile.read(int(self.headers["Content-Length"])))
        assert found is not None
        self._store(found[1].decode())

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._store(self.path.partition("/bucket/")[2])

    def _store(self, key: str) -> None:
        if len(self.server.late) < self.server.unanswered:
            self.server.late.append(key)
            self.close_connection = True
            return
        self.send_response(204)
        self.send_header("ETag", self.server.write(key))
        self.send_header("x-amz-server-side-encryption", "aws:kms")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(params=[0, 1, 3])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[EncryptingStore]:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.001)
    with EncryptingStore(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("by_session", [False, True])
def test_what_is_written_down_stays_true_when_an_earlier_try_is_carried_out_late(
    store: EncryptingStore, by_session: bool
) -> None:
    session = SessionKeys(store.url, "region", "key", "secret", "token") if by_session else None
    policy = PostPolicy(store.url, {"policy": "signed"}, PREFIX, 100, session)
    client = Client()
    form = Form(
        policy,
        f"{PREFIX}0000.csv.zst",
        lambda length, offset: CONTENT[offset : offset + length],
        offset=0,
        size=len(CONTENT),
        tail=b"",
        stop=client.stop,
        subject="x",
        own_keys=True,
    )
    with client:
        etag = client.send(form.request(), form.stored)
    assert form.key.startswith(PREFIX)
    assert form.key.endswith(".csv.zst")
    store.carry_out_late()
    assert store.etags[form.key] == etag
    assert len({*store.late, form.key}) == len(store.late) + 1, "each try has a key of its own"
