"""An event loop whose time passes only while nothing happens, so that hours of waiting take no time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Coroutine


STEP_SECONDS = 1e-6
"""What each turn of the loop takes: who waits for the rest of a time that rounds to nothing would turn for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its selector never waits: where there is nothing to do, the clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        selector: Any = self._selector  # type: ignore[attr-defined]  # asyncio has no public place for it
        select = selector.select

        def jump(timeout: float | None) -> Any:
            self.now += STEP_SECONDS
            events = select(0)
            if not events and timeout != 0:
                assert timeout is not None, "everybody waits for somebody else"
                self.now += timeout
            return events

        selector.select = jump

    def time(self) -> float:
        return self.now


def run_in_virtual_time(work: Coroutine[Any, Any, Any]) -> None:
    """Run it, with `time.monotonic` as the loop's clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop: Any = runner.get_loop()
        with patch.object(time, "monotonic", loop.time):
            runner.run(work)
