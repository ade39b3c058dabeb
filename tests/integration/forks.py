"""Processes that tests start again and again, forked from one that has imported their modules.

Imports take an operator 2 s of CPU time. A process has one fork server, and its first process decides what it has
imported. So all tests use this one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["FORKS", "ONE_AT_A_TIME", "Child", "collector", "operator"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "componentrun.controller.app",
        "tests.integration.controller.killing",
        "componentrun.collector.app",
        "tests.integration.loader.killed",
    ]
)
ONE_AT_A_TIME = threading.Lock()
"""A process's exit code can be read only once: if two threads read it at the same time, one gets 255. Starting a
process also reads the exit codes of all others."""


class Child:
    """A forked process, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, work: Callable[[], None], environment: Mapping[str, str], log: Path) -> None:
        """Start it with these environment variables. Its output is appended to the log."""
        log.touch()  # the process opens it later than a test may read it
        self._process = FORKS.Process(target=_work, args=(work, dict(environment), log), daemon=True)
        with ONE_AT_A_TIME:
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code; None if the process is still running."""
        with ONE_AT_A_TIME:
            return None if self._process.is_alive() else self._process.exitcode

    def wait(self, timeout: float = 60) -> int:
        """Wait for the exit code.

        Raises:
            TimeoutExpired: the process is still running.
        """
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self._process.name, timeout)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if the process is running."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def operator() -> None:
    """`python -m componentrun.controller`."""
    from componentrun.controller import app, logs, settings  # noqa: PLC0415 - the fork server has imported them
    from componentrun.process.ending import leave  # noqa: PLC0415 - likewise
    from componentrun.process.launch import launch  # noqa: PLC0415 - likewise

    leave(launch(settings.Settings, app.run, set_up_logs=logs.set_up))


def collector() -> None:
    """`python -m componentrun.collector`."""
    from componentrun.collector import app, settings  # noqa: PLC0415 - the fork server has imported them
    from componentrun.process.ending import leave  # noqa: PLC0415 - likewise
    from componentrun.process.launch import launch  # noqa: PLC0415 - likewise

    leave(launch(settings.Settings, app.collect))


def _work(work: Callable[[], None], environment: dict[str, str], log: Path) -> None:
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    work()
