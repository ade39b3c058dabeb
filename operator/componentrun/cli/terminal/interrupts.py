"""Ctrl-C, known for certain."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["interrupts"]


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether a signal came that this program handles, which is Ctrl-C alone.

    That comes as a KeyboardInterrupt, too; but one that is raised while an object is finalized is lost, and each answer
    from the cluster is finalized by closing it. A program that goes round for hours would not hear it. To be used in
    the main thread (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).
    """
    read_end, write_end = os.pipe()  # not pipe2, which macOS has not
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    previous = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def came() -> bool:
        try:
            return bool(os.read(read_end, 1))
        except BlockingIOError:
            return False

    try:
        yield came
    finally:
        signal.set_wakeup_fd(previous)
        os.close(read_end)
        os.close(write_end)
