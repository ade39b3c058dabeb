"""The loader as a process, and a namespace with authorized and unauthorized service accounts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes

from componentrun.controller.settings import LoaderSettings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.wire import loaderaccess
from dev.cluster import waiting
from dev.cluster.host.ports import free_port
from e2e.tenant.certificates import make_certificate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dev.cluster.connection import Connection

__all__ = ["OPERATOR", "Loader"]

ROOT = Path(__file__).parents[3]
OPERATOR, OTHER = "operator", "other"


@dataclass
class Loader:
    """`python -m componentrun.loader`, and its namespace."""

    connection: Connection
    folder: Path
    namespace: str = field(default_factory=lambda: f"loader-{uuid.uuid4().hex[:8]}")
    port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        configuration: Any = kubernetes.config  # without types in the client
        self._api: Any = configuration.new_client_from_config(str(self.connection.kubeconfig))
        client: Any = kubernetes.client
        self.core: Any = client.CoreV1Api(self._api)
        self.core.create_namespace({"metadata": {"name": self.namespace}})
        for account in (OPERATOR, OTHER):
            self.core.create_namespaced_service_account(self.namespace, {"metadata": {"name": account}})
        self._tls = make_certificate(self.folder / "tls", loaderaccess.SERVER_NAME)
        self._log = self.folder / "loader.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **more: str) -> None:
        """Start the loader, and wait until it is ready."""
        environment = os.environ | {
            "KUBECONFIG": str(self.connection.kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
            "COMPONENTRUN_HOST": "127.0.0.1",
            "COMPONENTRUN_PORT": str(self.health_port),
            "COMPONENTRUN_LOG_LEVEL": "DEBUG",
            "COMPONENTRUN_LOADER_PORT": str(self.port),
            "COMPONENTRUN_LOADER_TLS_FOLDER": str(self._tls),
            "COMPONENTRUN_LOADER_SCRATCH_FOLDER": str(self.folder),
            "COMPONENTRUN_LOADER_CALLERS": f"system:serviceaccount:{self.namespace}:{OPERATOR}",
        }
        environment |= more | {"NO_PROXY": "*", "no_proxy": "*"}
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "componentrun.loader"]
            self._process = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        waiting.until(self._unready, what="the loader", timeout=120)

    def end(self, number: int = signal.SIGTERM) -> int | None:
        """Stop the loader, and return its exit code."""
        if self._process is None:
            return None
        self._process.send_signal(number)
        code = self._process.wait(60)
        self._process = None
        return code

    def delete(self) -> None:
        """Stop the loader, delete its namespace, and close the client."""
        self.end(signal.SIGKILL)
        self.core.delete_namespace(self.namespace)
        self._api.close()

    def token(self, account: str, *audiences: str, seconds: int = 3600) -> str:
        """A token of a service account. Without audiences, the token is like those in pods."""
        request: Any = {"spec": {"audiences": list(audiences), "expirationSeconds": seconds}}
        made = self.core.create_namespaced_service_account_token(account, self.namespace, request)
        return str(made.status.token)

    def of_an_operator(self) -> dict[str, str]:
        """Environment of an operator that uses this loader, with a token that is valid for a day."""
        file = self.folder / "operator-token"
        file.write_text(self.token(OPERATOR, loaderaccess.AUDIENCE, seconds=86_400))
        return {
            "COMPONENTRUN_LOADER_URL": f"https://127.0.0.1:{self.port}",
            "COMPONENTRUN_LOADER_TOKEN_FILE": str(file),
            "COMPONENTRUN_LOADER_CA_FILE": str(self._tls / "ca.crt"),
        }

    def ask(self, work: Callable[[LoaderClient], Awaitable[Any]], token: str | None = None) -> Any:
        """Run `work` with the operator's client."""
        file = self.folder / "token"
        file.write_text(token or self.token(OPERATOR, loaderaccess.AUDIENCE))
        chosen = LoaderSettings(f"https://127.0.0.1:{self.port}", str(file), str(self._tls / "ca.crt"))

        async def asking() -> Any:
            async with LoaderClient(chosen) as client:
                return await work(client)

        return asyncio.run(asking())

    def log(self) -> str:
        """The loader's log until now."""
        return self._log.read_text()

    def metrics(self) -> str:
        """The loader's Prometheus metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    def _unready(self) -> str | None:
        with suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/readyz", timeout=5).close()
            return None
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return self.log()[-500:] or "no line yet"
