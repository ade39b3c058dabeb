"""Kills a process at one of its writes to the catalog or the store."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from tests.integration.forks import FORKS
from tests.integration.loader.gateway import CutError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess

    from tests.integration.loader.gateway import Answer, Gateway, Seen

__all__ = ["Killer"]

READS = {"GET", "HEAD"}


def is_write(seen: Seen) -> bool:
    """Whether the request changes the catalog or the store."""
    return seen.method not in READS and not seen.path.endswith("/oauth/tokens")


class Killer:
    """Kills a process at one of its writes, at either gateway, before or after the write is forwarded."""

    def __init__(self, catalog: Gateway, store: Gateway) -> None:
        self._lock = threading.Lock()
        self._gateways = (catalog, store)
        self._count, self._at, self._is_behind = 0, 0, False
        self._process: ForkServerProcess | None = None
        self.reached = ""

    def run(self, work: Callable[..., None], arguments: tuple[Any, ...], at: int, *, behind: bool) -> bool:
        """Execute `work` in a process. Returns whether it was killed; otherwise it ended by itself."""
        self._count, self._at, self._is_behind, self.reached = 0, at, behind, ""
        for gateway in self._gateways:
            gateway.before, gateway.after = self._before, self._after
        self._process = FORKS.Process(target=work, args=arguments)
        with self._lock:  # requests wait until `_process` is set
            self._process.start()
        self._process.join(60)
        for gateway in self._gateways:
            gateway.forget()
        assert self._process.exitcode == (-signal.SIGKILL if self.reached else 0)
        return bool(self.reached)

    def _before(self, seen: Seen) -> None:
        with self._lock:
            if self.reached:
                raise CutError
            self._count += is_write(seen)
            if self._count != self._at or not is_write(seen):
                return
            self.reached = f"{seen.method} {seen.path}"
            if not self._is_behind:
                self._kill()

    def _after(self, seen: Seen, answer: Answer) -> Answer:
        with self._lock:
            if self._is_behind and self.reached == f"{seen.method} {seen.path}":
                self._kill()
        return answer

    def _kill(self) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        raise CutError
