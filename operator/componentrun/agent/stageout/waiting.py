"""Waits for the component to end, before stage-out starts.

In the pod, a shell waits, because each pod waits as long as its component runs, and a shell takes a few hundred KiB
where an interpreter takes ten MiB: see `componentrun.wire.agents.STAGE_OUT_COMMAND`. `wait` does the same for images
without a shell.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["wait"]


def wait(options: Sequence[str]) -> NoReturn:
    """Sleep until SIGTERM, then become stage-out with the same options."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.sigwait({signal.SIGTERM})
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.execv(sys.executable, [sys.executable, "-m", "componentrun.agent", "stage-out", *options])  # noqa: S606 - executes itself
