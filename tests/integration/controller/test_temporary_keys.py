"""A store that takes no signed forms, so that each attempt needs temporary keys, and a service that gives none."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from e2e import tenant as tenants
from e2e.cluster import address
from e2e.tenant.formless import formless
from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.cluster.connection import Connection
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

REFUSAL = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not this user</Message></Error></ErrorResponse>"


class _Refuses(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(403)
        self.send_header("Content-Length", str(len(REFUSAL)))
        self.end_headers()
        self.wfile.write(REFUSAL)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    """URL of a service that gives keys to nobody."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("refusing")) if request.param == "refuses" else "http://127.0.0.1:9"


@pytest.fixture
def tenant(connection: Connection, service: str) -> Iterator[Tenant]:
    with formless(connection.store_endpoint, address.node()) as endpoint:
        made = tenants.create(connection, "sts", endpoint=endpoint, sts={"endpoint": service})
        yield made
        made.delete()


@pytest.mark.parametrize(
    ("service", "reason"),
    [("refuses", "StorageAccessDenied"), ("away", "StorageUnavailable")],
    indirect=["service"],
    ids=["refuses", "away"],
)
def test_temporary_keys_that_nobody_gives(
    tenant: Tenant, operator: OperatorProcess, submit: Any, service: str, reason: str
) -> None:
    operator.start(COMPONENTRUN_START_RETRY_SECONDS="5")
    name = submit("true")
    if reason == "StorageUnavailable":
        run = tenant.wait(name, lambda run: phase_of(run) == "Queued")
        assert "will be tried again" in run["status"]["message"], run["status"]
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason), status
    assert service in status["message"], status["message"]
    assert "secret" not in status["message"].lower(), status["message"]
