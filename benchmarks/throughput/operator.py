"""The operator of the work tree as a process on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final, Self

from benchmarks import costs
from benchmarks.throughput.manifests import AGENT_IMAGE, NAMESPACE
from benchmarks.throughput.plane import free_ports
from dev.cluster.host import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from benchmarks.throughput.plane import Plane

__all__ = ["Operator"]

_PATIENCE: Final = 300.0
_STOP: Final = 40.0
_LOOK_EVERY: Final = 0.05
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Operator:
    """A context manager: ready when it is entered, ended when it is left.

    Attributes:
        seconds_to_ready: from the call that starts the process until it says that it is ready.
    """

    def __init__(self, plane: Plane, **settings: str) -> None:
        """`settings`: environment variables without their prefix."""
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        self._log: Path = plane.folder / "operator.log"
        given = {
            "AGENT_IMAGE": AGENT_IMAGE,
            "HOST": "127.0.0.1",
            "NAMESPACES": NAMESPACE,
            "PORT": str(port),
            **settings,
        }
        self._environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "KUBECONFIG": str(plane.operator_kubeconfig),
            **{f"COMPONENTRUN_{name}": value for name, value in given.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.seconds_to_ready = 0.0

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        begun = time.monotonic()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "componentrun.controller"],
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > begun + _PATIENCE:
                raise RuntimeError(f"the operator did not get ready:\n{processes.tail(self._log)}")
            time.sleep(_LOOK_EVERY)
        self.seconds_to_ready = time.monotonic() - begun
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have it end."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        if self._process is None:
            raise RuntimeError("the operator was not started")
        return self._process.pid

    def writes(self) -> float:
        """How many writes it has sent to the API server, by its own count of requests."""
        return self._counted("rest_client_requests_total", lambda labels: labels["method"] in _WRITES)

    def reads(self) -> float:
        """How many reads it has sent to the API server; watches are not counted again for each event."""
        return self._counted("rest_client_requests_total", lambda labels: labels["method"] not in _WRITES)

    def ended(self) -> float:
        """How many runs it has seen to their end."""
        return self._counted("componentrun_results_total", lambda _: True)

    def waiting(self) -> float:
        """How many runs wait for their turn."""
        return self._counted("componentrun_queue_waiting", lambda _: True)

    def backlog(self) -> float:
        """How many runs are to be looked at."""
        return self._counted("workqueue_depth", lambda _: True)

    def _counted(self, name: str, wanted: Callable[[Mapping[str, str]], bool]) -> float:
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=30) as answer:  # noqa: S310 - our own URL
            return costs.counted(answer.read().decode(), name, wanted)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=2):  # noqa: S310 - likewise
                return True
        except (urllib.error.URLError, OSError):
            return False
