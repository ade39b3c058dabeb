"""Runs coroutines on an event loop in a thread, so that callers may have an event loop of their own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["LoopThread", "Runner"]

Result = TypeVar("Result")


class Runner(Protocol):
    """Runs coroutines, one after the other; `asyncio.Runner` is one."""

    def run(self, coro: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine."""

    def close(self) -> None:
        """End it. Coroutines that are not done are cancelled."""


class LoopThread:
    """An event loop in a thread of its own. Methods may be called from any thread, also from one with a loop."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="componentrun-storage", daemon=True)
        self._thread.start()

    def run(self, coro: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine. If the caller is interrupted, the coroutine is cancelled."""
        future = asyncio.run_coroutine_threadsafe(coro, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
