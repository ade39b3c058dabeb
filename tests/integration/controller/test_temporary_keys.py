"""Temporary keys, which attempts need on a store without signed forms, and a token service that fails."""

from __future__ import annotations

import contextlib
import http.client
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from dev.cluster.host import address
from dev.cluster.host.ports import free_port
from dev.cluster.stores import minio as local_store
from e2e import tenant as tenants
from e2e.tenant.formless import formless
from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection
    from dev.cluster.stores.minio import Store
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess


class Service:
    """A token service that forwards requests until it is switched to reject them.

    Attributes:
        url: URL of the service.
        refuses: whether requests are rejected.
    """

    def __init__(self, behind: str) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = (403, b"") if service.refuses else self._pass_on(asked)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _pass_on(self, asked: bytes) -> tuple[int, bytes]:
                with contextlib.closing(http.client.HTTPConnection(behind)) as link:
                    link.request("POST", self.path, asked, dict(self.headers))
                    answer = link.getresponse()
                    return answer.status, answer.read()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
                """Log nothing."""

        self.refuses = False
        # After it has ended, no other process may answer on its port. The system would soon reuse an ephemeral port.
        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def minio() -> Store:
    """A store that issues temporary keys."""
    return local_store.up()


@pytest.fixture
def service(minio: Store) -> Iterator[Service]:
    made = Service(minio.endpoint.removeprefix("http://"))
    yield made
    made.end()


@pytest.fixture
def tenant(connection: Connection, minio: Store, service: Service) -> Iterator[Tenant]:
    with formless(minio.endpoint, address.node()) as endpoint:
        store = replace(minio.settings, endpoint=endpoint)
        made = tenants.create(connection, "sts", elsewhere=store, sts={"endpoint": service.url})
        yield made
        made.delete()


def use(tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
    """Let a run succeed with temporary keys."""
    operator.start(COMPONENTRUN_START_RETRY_SECONDS="5")
    status = tenant.wait(submit("true"))["status"]
    assert status["phase"] == "Succeeded", status


def failed(tenant: Tenant, name: str, reason: str, *words: str) -> None:
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason), status
    for word in words:
        assert word in status["message"], status["message"]


def test_that_are_refused_from_now_on(tenant: Tenant, service: Service, operator: OperatorProcess, submit: Any) -> None:
    use(tenant, operator, submit)
    service.refuses = True
    failed(tenant, submit("true"), "StorageAccessDenied", service.url, "HTTP 403", "Check `sts`")


def test_that_were_never_given(tenant: Tenant, service: Service, operator: OperatorProcess, submit: Any) -> None:
    """The store can't be used at all, because it does not accept signed forms either."""
    service.refuses = True
    operator.start()
    failed(tenant, submit("true"), "StorageUnscoped", service.url, "HTTP 403", "does not support POST policies")


def test_whose_service_is_away(tenant: Tenant, service: Service, operator: OperatorProcess, submit: Any) -> None:
    use(tenant, operator, submit)
    service.end()
    name = submit("true")
    run = tenant.wait(name, lambda run: phase_of(run) == "Queued")
    assert "will be tried again" in run["status"]["message"], run["status"]
    # Reported by the failed request, or by the circuit breaker after several failures.
    failed(tenant, name, "StorageUnavailable", f"the token service {service.url}")
