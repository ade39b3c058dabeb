"""Processes on one virtual event loop, each of which can be killed or stopped and continued at any await.

Whatever a task of a process has scheduled bears its context, and so does what that schedules. Callbacks of a process
that is stopped are kept until it goes on; those of one that was killed never run, so no `finally` does either.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from tests.unit.controller.virtualtime import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Value = TypeVar("Value")

_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class Process:
    """One process; it runs from the beginning."""

    def __init__(self, loop: ProcessLoop) -> None:
        self._loop = loop
        self._held: list[asyncio.Handle] = []
        self.runs = True
        self.is_killed = False

    def start(self, main: Coroutine[Any, Any, Value]) -> asyncio.Task[Value]:
        """Run this in the process."""
        context = copy_context()
        context.run(_PROCESS.set, self)
        return self._loop.create_task(main, context=context)

    def stop(self) -> None:
        """As SIGSTOP."""
        self.runs = False
        ready, kept = self._loop.take_ready(self)
        self._held += ready
        self._loop.put_ready(kept)

    def go_on(self) -> None:
        """As SIGCONT: what became due meanwhile runs now."""
        held, self._held = self._held, []
        self.runs = True
        self._loop.add_ready(held)

    def kill(self) -> None:
        """As SIGKILL."""
        self.is_killed = True
        self.stop()

    def hold(self, handle: asyncio.Handle) -> None:
        self._held.append(handle)


class ProcessLoop(VirtualLoop):
    """An event loop with processes."""

    _ready: Any
    is_over = False
    """Whether nothing runs any more."""

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        context = context if context is not None else copy_context()
        process = context.get(_PROCESS)
        if not self.is_over and (process is None or process.runs):
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        if process is not None:
            process.hold(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = context if context is not None else copy_context()
        if context.get(_PROCESS) is None:
            return super().call_at(when, callback, *args, context=context)

        def run() -> None:
            if not timer.cancelled():
                callback(*args)

        # A timer that is due goes through `call_soon`, where its process may be stopped, and can be taken back there.
        timer = super().call_at(when, lambda: self.call_soon(run, context=context), context=context)
        return timer

    def take_ready(self, process: Process) -> tuple[list[asyncio.Handle], list[asyncio.Handle]]:
        """What is to run next: of this process, and of others."""
        ready = list(self._ready)
        own = [handle for handle in ready if _owner(handle) is process]
        return own, [handle for handle in ready if _owner(handle) is not process]

    def put_ready(self, handles: list[asyncio.Handle]) -> None:
        self._ready.clear()
        self._ready.extend(handles)

    def add_ready(self, handles: list[asyncio.Handle]) -> None:
        self._ready.extend(handles)


def _owner(handle: Any) -> Process | None:
    context: Context = handle._context
    return context.get(_PROCESS)


def outside(callback: Callable[..., object], delay: float, *args: Any) -> None:
    """Call this later, whatever becomes of the process that asks for it."""
    asyncio.get_running_loop().call_later(delay, callback, *args, context=Context())
