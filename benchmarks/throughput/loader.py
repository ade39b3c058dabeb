"""The loader of the work tree as a process on this machine, for an operator on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final, Self

from componentrun.wire import loaderaccess
from dev.cluster import paths, waiting
from dev.cluster.host import processes
from e2e.tenant.certificates import make_certificate

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.throughput.plane import Plane

__all__ = ["Loader"]

_HOST: Final = "127.0.0.1"
_STOP: Final = 30.0


class Loader:
    """A context manager: ready when it is entered, ended when it is left."""

    def __init__(self, plane: Plane, caller: str, token: str, ports: tuple[int, int]) -> None:
        """Nothing is started.

        Args:
            plane: whose API server knows the caller.
            caller: user that may ask: `system:serviceaccount:<namespace>:<name>`.
            token: that the operator shows.
            ports: for requests, and for health and metrics.
        """
        self._tls = make_certificate(plane.folder / "loader-tls", loaderaccess.SERVER_NAME)
        self._token = plane.folder / "loader-token"
        paths.write_private(self._token, token)
        self._ports = ports
        self._log = plane.folder / "loader.log"
        scratch = paths.make_private(plane.folder / "loader-scratch")
        given = {
            "HOST": _HOST,
            "PORT": str(ports[1]),
            "LOADER_PORT": str(ports[0]),
            "LOADER_TLS_FOLDER": str(self._tls),
            "LOADER_SCRATCH_FOLDER": str(scratch),
            "LOADER_CALLERS": caller,
        }
        self._environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "KUBECONFIG": str(plane.operator_kubeconfig),
            **{f"COMPONENTRUN_{name}": value for name, value in given.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What the operator is told of it, as `Operator` takes it."""
        return {
            "LOADER_URL": f"https://{_HOST}:{self._ports[0]}",
            "LOADER_TOKEN_FILE": str(self._token),
            "LOADER_CA_FILE": str(self._tls / "ca.crt"),
        }

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        with self._log.open("ab") as output:
            command = [sys.executable, "-m", "componentrun.loader"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        waiting.until(self._problem, what="the loader", timeout=60)
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

    def _problem(self) -> str | None:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the loader ended:\n{processes.tail(self._log)}")
        return waiting.http_problem(f"http://{_HOST}:{self._ports[1]}/readyz")
