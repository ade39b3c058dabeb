"""How stage-out waits for the component to end.

In the pod a shell waits, because it holds a few hundred KiB where an interpreter holds ten MiB, in every pod and for as
long as the component runs: see `componentrun.wire.agents.STAGE_OUT_COMMAND`. `wait` does the same for an image without
a shell.
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
    os.execv(sys.executable, [sys.executable, "-m", "componentrun.agent", "stage-out", *options])  # noqa: S606 - itself
