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
    reading, writing = os.pipe()  # not pipe2, which macOS has not
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def came() -> bool:
        try:
            return bool(os.read(reading, 1))
        except BlockingIOError:
            return False

    try:
        yield came
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
