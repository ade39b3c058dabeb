"""The node's log server as a process, for the collector under test.

It reads the node's own files, so the tests must run on the node's machine. The collector finds it by a pod, as it finds
those of the DaemonSet, but this pod exists only in `front`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from componentrun.wire import logserver
from e2e.tenant.certificates import make_certificate

if TYPE_CHECKING:
    from tests.integration.collector.lab import Lab

__all__ = ["LogServer"]

ROOT = Path(__file__).parents[3]
ACCOUNT = "collector"


class LogServer:
    """Serves the logs of the lab's namespace."""

    def __init__(self, lab: Lab, folder: Path, port: int, health_port: int) -> None:
        self._lab, self._log, self._token = lab, folder / "nodelogs.log", folder / "token"
        self.port, self.health_port = port, health_port
        self._process: subprocess.Popen[bytes] | None = None
        lab.core.create_namespaced_service_account(lab.namespace, {"metadata": {"name": ACCOUNT}})
        self._token.write_text(self.token(ACCOUNT, logserver.AUDIENCE))
        self._tls = make_certificate(folder / "tls")

    @property
    def collector_environment(self) -> dict[str, str]:
        """Environment variables for a collector that reads from the log server."""
        return {
            "COMPONENTRUN_COLLECTOR_READER": "node",
            "COMPONENTRUN_COLLECTOR_NODELOGS_NAMESPACE": self._lab.namespace,
            "COMPONENTRUN_COLLECTOR_NODELOGS_TOKEN_FILE": str(self._token),
            "COMPONENTRUN_COLLECTOR_NODELOGS_CA_FILE": str(self._tls / "ca.crt"),
        }

    def token(self, account: str, audience: str) -> str:
        request: Any = {"spec": {"audiences": [audience], "expirationSeconds": 3600}}
        made = self._lab.core.create_namespaced_service_account_token(account, self._lab.namespace, request)
        return str(made.status.token)

    def start(self) -> None:
        environment = os.environ | {
            "KUBECONFIG": str(self._lab.connection.kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
            "COMPONENTRUN_HOST": "127.0.0.1",
            "COMPONENTRUN_PORT": str(self.health_port),
            "COMPONENTRUN_LOG_FORMAT": "text",
            "COMPONENTRUN_NAMESPACES": self._lab.namespace,
            "COMPONENTRUN_NODELOGS_PORT": str(self.port),
            "COMPONENTRUN_NODELOGS_TLS_FOLDER": str(self._tls),
            "COMPONENTRUN_NODELOGS_READER": f"system:serviceaccount:{self._lab.namespace}:{ACCOUNT}",
        }
        environment["NO_PROXY"] = environment["no_proxy"] = "*"
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "componentrun.nodelogs"]
            self._process = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        self._lab.front.log_server(self._pod())

    def end(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def _pod(self) -> dict[str, Any]:
        metadata = {"name": "node-logs", "namespace": self._lab.namespace, "uid": str(uuid.uuid4())}
        ports = [{"name": "logs", "containerPort": self.port}]
        return {
            "metadata": {**metadata, "resourceVersion": "1"},
            "spec": {"nodeName": self._lab.connection.node_name, "containers": [{"name": "node-logs", "ports": ports}]},
            "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
        }
