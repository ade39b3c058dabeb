"""A webhook in the test's process that sets a scheduling gate on pods with Kueue's label, like Kueue's own webhook."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import kubernetes.client

from componentrun.api.names import KUEUE_QUEUE_LABEL
from componentrun.process.serving.certificate import CERTIFICATE, KEY
from dev.cluster import waiting
from dev.cluster.host import address
from e2e.tenant.admission import try_pod
from e2e.tenant.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.tenant.tenant import Tenant

__all__ = ["GATE", "gate_pods", "open_gate"]

GATE: Final = "kueue.x-k8s.io/admission"


class _Webhook(BaseHTTPRequestHandler):
    """Answers every review with the same patch."""

    def do_POST(self) -> None:
        """Answer an AdmissionReview."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        patch = [{"op": "add", "path": "/spec/schedulingGates", "value": [{"name": GATE}]}]
        response = {
            "uid": review["request"]["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
        }
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def gate_pods(tenant: Tenant, folder: Path) -> Iterator[None]:
    """Within the block, pods of the tenant with Kueue's label get a gate."""
    host = address.node()
    self_signed(folder, host)
    certificate, key = folder / CERTIFICATE, folder / KEY
    server = ThreadingHTTPServer((host, 0), _Webhook)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hooks: Any = kubernetes.client.AdmissionregistrationV1Api(tenant.api)
    name = f"gate-{tenant.namespace}"
    hooks.create_mutating_webhook_configuration(
        _configuration(name, tenant.namespace, f"https://{host}:{server.server_port}/", certificate.read_bytes())
    )
    try:
        waiting.until(lambda: None if _gates(tenant) else "not asked yet", what="the webhook", timeout=60)
        yield
    finally:
        hooks.delete_mutating_webhook_configuration(name)
        server.shutdown()
        server.server_close()


def _gates(tenant: Tenant) -> list[Any]:
    """Gates that a pod would get now."""
    return try_pod(tenant, {KUEUE_QUEUE_LABEL: "team"}).spec.scheduling_gates or []


def open_gate(tenant: Tenant, pod: str) -> None:
    """Remove the gate, as Kueue does when it admits the pod."""
    tenant.kubectl("patch", "pod", pod, "--type=json", '-p=[{"op": "remove", "path": "/spec/schedulingGates"}]')


def _configuration(name: str, namespace: str, url: str, authority: bytes) -> dict[str, Any]:
    webhook = {
        "name": "gate.componentrun.test",
        "clientConfig": {"url": url, "caBundle": base64.b64encode(authority).decode()},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchExpressions": [{"key": KUEUE_QUEUE_LABEL, "operator": "Exists"}]},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 10,
    }
    return {"metadata": {"name": name}, "webhooks": [webhook]}
