"""A process of the work tree on this machine: started, awaited until it is ready, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Self

from dev.cluster import waiting
from dev.cluster.host import processes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["ServiceProcess"]

_READY_WITHIN: Final = 300.0
_STOPS_WITHIN: Final = 40.0
_CHECK_EVERY: Final = 0.05


class ServiceProcess:
    """A context manager that starts `python -m <module>`, waits until it is ready, and stops it.

    Attributes:
        seconds_to_ready: seconds from the start of the process until it is ready.
        log: file with its output.
    """

    def __init__(self, module: str, url: str, log: Path, kubeconfig: Path, settings: Mapping[str, str]) -> None:
        """Prepare without starting anything.

        Args:
            module: the module to run, such as `componentrun.loader`.
            url: where it serves `/readyz`.
            log: file for its output.
            kubeconfig: how it reaches the API server.
            settings: environment variables without their prefix.
        """
        self.seconds_to_ready = 0.0
        self._module, self._url, self.log = module, url, log
        self._environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "KUBECONFIG": str(kubeconfig),
            **{f"COMPONENTRUN_{name}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            RuntimeError: it ended.
            ClusterError: it is not ready in time.
        """
        begun = time.monotonic()
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", self._module]
            self._process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        try:
            waiting.until(self._problem, what=self._module, timeout=_READY_WITHIN, every=_CHECK_EVERY)
        except BaseException:
            self._stop()
            raise
        self.seconds_to_ready = time.monotonic() - begun
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self._stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise RuntimeError(f"{self._module} was not started")
        return self._process.pid

    def _problem(self) -> str | None:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self._module} ended:\n{processes.tail(self.log)}")
        problem = waiting.http_problem(f"{self._url}/readyz")
        return None if problem is None else f"{problem}\n{processes.tail(self.log)}"

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
