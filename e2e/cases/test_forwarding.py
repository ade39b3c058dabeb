"""Signed life-cycle events reach a webhook outside the cluster, even if it or the collector was down for a while."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from dev.install import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from e2e.tenant import Tenant

pytestmark = pytest.mark.disruptive
KEY = secrets.token_bytes(32)
WITHIN_SECONDS = 120


@dataclass
class Hook:
    """Requests that the webhook received."""

    status: int = 200
    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    news: threading.Condition = field(default_factory=threading.Condition)

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signature = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
        with self.news:
            is_signed = f"v1,{signature}" in headers["webhook-signature"].split(" ")
            status = self.status if is_signed else 400
            if status == 200:
                self.events += json.loads(body)
            else:
                self.refused += 1
            self.news.notify_all()
            return status

    def until(self, check: Any) -> None:
        with self.news:
            assert self.news.wait_for(check, timeout=WITHIN_SECONDS), (len(self.events), self.refused)

    def of(self, run: str) -> list[dict[str, Any]]:
        """CloudEvents of a run without duplicates, in the order of their first arrival."""
        return list({event["id"]: event for event in self.events if event["subject"] == run}.values())


@contextmanager
def listening(host: str) -> Iterator[Hook]:
    """Run a receiver at this address of the machine."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(hook.take({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    hook.url = f"http://{host}:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()


def send_to(tenant: Tenant, hook: Hook) -> None:
    tenant.secret("hook", {"secret": f"whsec_{base64.b64encode(KEY).decode()}"})
    events = {"webhook": {"url": hook.url, "secretName": "hook"}}
    tenant.kubectl("patch", "storage", "main", "--type=merge", "--patch", json.dumps({"spec": {"events": events}}))


def said(tenant: Tenant, run: str) -> list[str]:
    """Ids of a run's stored life-cycle events."""
    return [event.id for event in tenant.events(run) if event.source == "operator"]


def test_a_webhook_hears_what_becomes_of_a_run_though_it_and_the_collector_were_away(
    tenant: Tenant, components: str
) -> None:
    host = urlsplit(tenant.connection.lake.endpoint).hostname or ""
    with listening(host) as hook:
        send_to(tenant, hook)
        run = tenant.run(components, "chatty", "20")
        tenant.wait(run)
        hook.until(lambda: any(event["type"] == "dev.componentrun.run.succeeded" for event in hook.of(run)))
        assert [event["id"] for event in hook.of(run)] == said(tenant, run)
        assert {event["source"] for event in hook.of(run)} == {f"/namespaces/{tenant.namespace}/componentruns/{run}"}
        assert hook.refused == 0

        hook.status = 503
        late = tenant.run(components, "chatty", "20")
        tenant.wait(late, lambda run: ((run.get("status") or {}).get("events") or {}).get("delivered", False))
        hook.until(lambda: hook.refused > 0)
        assert hook.of(late) == []
        tenant.kubectl(
            "delete",
            "pod",
            "--selector=app.kubernetes.io/component=collector",
            "--namespace",
            NAMESPACE,
            "--wait=false",
        )
        hook.status = 200
        hook.until(lambda: any(event["type"] == "dev.componentrun.run.succeeded" for event in hook.of(late)))
        assert [event["id"] for event in hook.of(late)] == said(tenant, late)
